"""Pruned KAN: how it is sparsified and cut, for few errors and few parameters at once."""

from __future__ import annotations

from studies.definition import Constraint, Objective, Study
from studies.measures import CAP, active_parameters, beyond_twice_the_twin, log10_nmse, short_of_a_fifth, spikes
from studies.space import Choice, Real

KAN = Study(
    name="kan",
    model="kan_pruned",
    summary="How a pruned KAN is penalised, cut and refined: least validation error and fewest parameters (K1, K2, K4).",
    space={
        "lamb": Real(1e-7, 1e-2, log=True),
        "node_th": Real(1e-3, 1e-1, log=True),
        "edge_th": Real(1e-3, 1e-1, log=True),
        "sparsify_fraction": Real(0.1, 0.6),
        "grids": Choice(
            {
                "5": {"grids": "5", "retrain_grids": ""},
                "5, then 10": {"grids": "5", "retrain_grids": "10"},
                "5, then 10, 20": {"grids": "5", "retrain_grids": "10,20"},
                "5, then 10, 20, 40": {"grids": "5", "retrain_grids": "10,20,40"},
                "5, 10, then 20": {"grids": "5,10", "retrain_grids": "20"},
                "5, 10, 20": {"grids": "5,10,20", "retrain_grids": ""},
            }
        ),
        "prune_mode": Choice(
            {"threshold": {"prune_mode": "threshold"}, "greedy": {"prune_mode": "greedy"}},
        ),
        "reduction": Real(0.2, 0.8),  # where greedy pruning stops
        "history": Choice({"10": {"history": 10}, "50": {"history": 50}}),  # few values: each has twins of its own
    },
    objectives=(
        Objective("log10 NMSE", log10_nmse, penalty=CAP),
        Objective("active parameters", active_parameters, penalty=1e4),
    ),
    constraints=(
        Constraint("K1", spikes),
        Constraint("K2", beyond_twice_the_twin),
        Constraint("K4", short_of_a_fifth),
    ),
)
