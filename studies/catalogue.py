"""Which studies there are: those declared here, registered plug-ins, and entry points of the group ``harness.studies``."""

from __future__ import annotations

from studies.definition import STUDIES, Constraint, SearchObjective, Study, register
from studies.measures import CAP, active_parameters, beyond_twice_the_twin, log10_nmse, rises, short_of_a_fifth, spikes
from studies.space import Choice, Real, Whole

# With Adam: the rate and the clip that the original fixed, and the size and frequency that they can't replace.
RATE, CLIP = Real(1e-4, 3e-2, log=True), Real(1e-2, 1e2, log=True)

SIREN = Study(
    name="siren",
    model="siren",
    summary="Rate, clip, width, depth and omega0 of a SIREN: least validation error with a loss that falls (S3).",
    space={
        "lr": RATE,
        "clip": CLIP,
        "width": Whole(16, 96, step=16),
        "omega0": Real(2.0, 30.0, log=True),
        "depth": Whole(1, 4),
    },
    objectives=(SearchObjective("log10 NMSE", log10_nmse, penalty=CAP),),
    constraints=(Constraint("S3", rises),),
    fields={"optimizer": "adam"},
)

SIREN_RATE = Study(
    name="siren_rate",
    model="siren",
    summary="Rate and clip alone, on the original's network (preset seed): how much they can't save.",
    space={"lr": RATE, "clip": CLIP},
    objectives=SIREN.objectives,
    fields={**SIREN.fields, "preset": "seed"},
)

# How it is sparsified and cut, for few errors and few parameters at once.
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
        SearchObjective("log10 NMSE", log10_nmse, penalty=CAP),
        SearchObjective("active parameters", active_parameters, penalty=1e4),
    ),
    constraints=(
        Constraint("K1", spikes),
        Constraint("K2", beyond_twice_the_twin),
        Constraint("K4", short_of_a_fifth),
    ),
)

for _declared in (SIREN, SIREN_RATE, KAN):
    register(_declared)

__all__ = ["KAN", "SIREN", "SIREN_RATE", "STUDIES"]
