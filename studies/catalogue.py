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

DEPTH = Whole(1, 2)


def _ladder(name: str, *ladders: str) -> Choice:
    """Which grids or degrees a KAN goes through."""
    return Choice({ladder: {name: ladder} for ladder in ladders})


DEGREES = _ladder("degrees", "4", "8", "4,8", "8,16", "4,8,16")
GRIDS = _ladder("grids", "5", "10", "5,10", "10,20", "5,10,20")

# The shape of a network with what is its own; the optimizer is the preset's, and so is what suits it. The largest are those
# whose steps of Levenberg-Marquardt a laptop can afford: some 700 parameters for two inputs.
FAMILIES: dict[str, dict[str, Real | Whole | Choice]] = {
    "wire": {"width": Whole(8, 24, 2), "depth": DEPTH, "omega0": Real(1, 20, log=True), "s0": Real(0.1, 4, log=True)},
    "finer": {
        "width": Whole(8, 24, 2),
        "depth": DEPTH,
        "omega0": Real(1, 30, log=True),
        "bias_range": Real(0.1, 5, log=True),
    },
    "gauss": {"width": Whole(8, 24, 2), "depth": DEPTH, "a": Real(0.05, 1, log=True)},
    "mlp_bspline": {
        "width": Whole(4, 16, 2),
        "depth": DEPTH,
        "k": Whole(3, 5),
        "grid": Whole(3, 15, 2),
        "grid_range": Real(0.5, 4, log=True),
    },
    "kan_chebyshev": {"width": Whole(2, 8), "depth": DEPTH, "degrees": DEGREES},
    "kan_legendre": {"width": Whole(2, 8), "depth": DEPTH, "degrees": DEGREES},
    "kan_fourier": {
        "width": Whole(2, 8),
        "depth": DEPTH,
        "degrees": _ladder("degrees", "2", "4", "8", "2,4", "4,8", "2,4,8"),
    },
    "kan_rbf": {"width": Whole(2, 8), "depth": DEPTH, "grids": GRIDS},
    "kan_relu": {"width": Whole(2, 8), "depth": DEPTH, "k": Whole(3, 6), "grids": GRIDS},
    "kan_wavelet": {
        "width": Whole(4, 12),
        "depth": DEPTH,
        "wavelet": Choice({"mexican_hat": {"wavelet": "mexican_hat"}, "dog": {"wavelet": "dog"}}),
    },
    "kan_rational": {
        "width": Whole(3, 12),
        "depth": DEPTH,
        "numerator": Whole(3, 8),
        "denominator": Whole(2, 6, 2),
    },
}

for _declared in (SIREN, SIREN_RATE, KAN):
    register(_declared)
for _model, _space in FAMILIES.items():
    register(
        Study(
            name=_model,
            model=_model,
            summary=f"Shape of a {_model}, and what is its own, under the optimizer of the preset: least validation error.",
            space=_space,
            objectives=SIREN.objectives,
        )
    )

__all__ = ["FAMILIES", "KAN", "SIREN", "SIREN_RATE", "STUDIES"]
