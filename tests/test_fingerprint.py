"""A fingerprint stands for everything that decides a result, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from harness import problems
from harness.config import RunConfig, fields_of
from harness.data import Data, sample
from harness.families import FAMILIES
from harness.fingerprint import fingerprint
from harness.presets import resolve
from tests.support import MODELS

BASE = {"model": "kan_pruned", "n_train": 10, "n_val": 5, "n_test": 5}


def data_of(config: RunConfig) -> Data:
    sides = {name: getattr(config, name) for name in ("n_boundary", "boundary_weight")}
    return sample(problems.get(config.problem), config.seed, config.n_train, config.n_val, config.n_test, **sides)


def of(**fields: Any) -> str:
    config = resolve(BASE | fields)
    return fingerprint(config, data_of(config))


@pytest.mark.parametrize(("field", "value"), [("device", "cpu"), ("timeout", 9.0), ("plugins", ("json",))])
def test_where_and_how_long_a_run_computes_is_no_part_of_it(field: str, value: object) -> None:
    assert of(**{field: value}) == of()


OTHER_VALUES: dict[str, Any] = {
    "model": "kan",
    "problem": "poisson_2d_poly",
    "preset": "seed",
    "seed": 1,
    "epochs": 7,
    "dtype": "float32",
    "threads": 2,
    "n_train": 11,
    "n_val": 6,
    "n_test": 6,
    "standardise": False,
    "optimizer": "adam",
    "lr": 0.5,
    "lr_decay": 0.5,
    "clip": 2.0,
    "iterations": 3,
    "history": 4,
    "damping": 0.5,
    "damping_up": 2.5,
    "damping_down": 2.5,
    "width": 3,
    "depth": 6,
    "activation": "silu",
    "initialisation": "he",
    "features": 5,
    "sigma": 0.7,
    "omega0": 7.0,
    "k": 2,
    "grids": (2, 4),
    "steps_per_grid": 9,
    "grid_update_every": 0,
    "grid_update_until": 3,
    "noise": 0.1,
    "lamb": 0.5,
    "lamb_entropy": 1.0,
    "node_th": 0.5,
    "edge_th": 0.5,
    "sparsify_fraction": 0.25,
    "prune_mode": "threshold",
    "tolerance": 3.0,
    "reduction": 0.4,
    "retrain_briefly": 3,
    "retrain_grids": (25,),
    "symbolic": True,
    "batch": 4,
    "target_noise": 0.2,
    "patience": 4,
    "n_boundary": 100,
    "boundary_weight": 1.0,
    "resample": 3,
}
OF_KAN = {"initialisation": "power_law"}
"""Where a field of the same name has other values in a KAN."""
OF_FILE = ("data", *RunConfig.of_file)
BASES = [
    BASE,
    {**BASE, "model": "siren", "optimizer": "adam"},
    {**BASE, "model": "mlp", "optimizer": "lm"},
    {**BASE, "model": "mlp_fourier", "optimizer": "lbfgs"},
    {**BASE, "model": "kan", "optimizer": "lm", "problem": "solve_2d_sin"},
]
"""Between them they have every model's fields and every optimizer's."""


@pytest.mark.parametrize("field", sorted(OTHER_VALUES))
def test_any_other_field_changes_it(field: str) -> None:
    value = OTHER_VALUES[field]
    bases = [base for base in BASES if resolve(base).values().get(field, value) != value]
    assert bases
    for base in bases:
        other = OF_KAN.get(field, value) if str(base["model"]).startswith("kan") else value
        assert of(**{**base, field: other}) != of(**base)


def test_each_field_of_every_model_and_optimizer_was_tried() -> None:
    every = set().union(*(fields_of(FAMILIES.get(name).config) for name in MODELS))
    assert every - {"device", "timeout", "plugins", *OF_FILE} == set(OTHER_VALUES)


def test_fields_that_came_later_are_as_if_they_were_not_there_at_their_defaults() -> None:
    """Runs that were computed before such fields counted are still found."""
    later = {
        "threads": 1,
        "symbolic": False,
        "target_noise": 0.0,
        "patience": None,
        "resample": 0,
        "initialisation": "pykan",
    }
    assert not {*later, *OF_FILE} & set(resolve(BASE).identity())
    assert of(**later) == of()


def test_other_data_changes_it_at_the_same_configuration() -> None:
    config = resolve(BASE)
    other = sample(problems.get("poisson_2d_sin"), 1, 10, 5, 5)
    assert fingerprint(config, other) != fingerprint(config, data_of(config))


def test_two_runs_of_one_configuration_have_the_same() -> None:
    first = of()
    assert of() == first
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")
