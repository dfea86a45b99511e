"""A fingerprint stands for everything that decides a result, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from harness import problems
from harness.config import RunConfig
from harness.data import Data, sample
from harness.fingerprint import fingerprint
from harness.presets import resolve

BASE = {"model": "kan_pruned", "n_train": 10, "n_val": 5, "n_test": 5}


def data_of(config: RunConfig) -> Data:
    return sample(problems.get(config.problem), config.seed, config.n_train, config.n_val, config.n_test)


def of(**fields: Any) -> str:
    config = resolve(BASE | fields)
    return fingerprint(config, data_of(config))


@pytest.mark.parametrize(
    ("field", "value"), [("device", "cpu"), ("threads", 2), ("timeout", 9.0), ("plugins", ("json",))]
)
def test_where_and_how_long_a_run_computes_is_no_part_of_it(field: str, value: object) -> None:
    assert of(**{field: value}) == of()


OTHER_VALUES: dict[str, Any] = {
    "model": "kan",
    "problem": "poisson_2d_poly",
    "preset": "seed",
    "seed": 1,
    "epochs": 7,
    "dtype": "float32",
    "n_train": 11,
    "n_val": 6,
    "n_test": 6,
    "standardise": False,
    "optimizer": "adam",
    "lr": 0.5,
    "iterations": 3,
    "history": 4,
    "width": 3,
    "depth": 2,
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
}


@pytest.mark.parametrize("field", sorted(OTHER_VALUES))
def test_any_other_field_changes_it(field: str) -> None:
    assert getattr(resolve(BASE), field) != OTHER_VALUES[field]
    assert of(**{field: OTHER_VALUES[field]}) != of()


def test_each_field_of_the_configuration_was_tried() -> None:
    config = resolve(BASE)
    assert set(config.values()) - config.not_identity == set(OTHER_VALUES)


def test_other_data_changes_it_at_the_same_configuration() -> None:
    config = resolve(BASE)
    other = sample(problems.get("poisson_2d_sin"), 1, 10, 5, 5)
    assert fingerprint(config, other) != fingerprint(config, data_of(config))


def test_two_runs_of_one_configuration_have_the_same() -> None:
    first = of()
    assert of() == first
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")
