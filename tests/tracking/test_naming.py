"""Runs that differ have names that differ, and a name says what was set by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mlflow.utils.validation import _validate_metric_name

from harness import presets
from harness.presets import resolve
from harness.tracking.naming import LENGTH, error_name, model_name, run_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "siren-poisson_2d_sin-tuned-s0"),
        ({"preset": "lm", "seed": "7"}, "siren-poisson_2d_sin-lm-s7"),
        ({"preset": "lm", "optimizer": "adam", "lr": "0.01"}, "siren-poisson_2d_sin-lm-optimizer_adam-lr0.01-s0"),
        ({"preset": "lm", "optimizer": "adam"}, "siren-poisson_2d_sin-lm-optimizer_adam-s0"),
        ({"preset": "lm", "optimizer": "lm"}, "siren-poisson_2d_sin-lm-s0"),
        ({"clip": "none", "lr": "0.001234567"}, "siren-poisson_2d_sin-tuned-lr0.001235-clip_none-s0"),
        ({"device": "cpu", "timeout": 5}, "siren-poisson_2d_sin-tuned-s0"),
        ({"threads": 2}, "siren-poisson_2d_sin-tuned-threads2-s0"),
        ({"model": "mlp", "activation": "relu"}, "mlp-poisson_2d_sin-tuned-activation_relu-s0"),
        ({"model": "kan", "grids": "3,6"}, "kan-poisson_2d_sin-tuned-grids3_6-s0"),
        ({"model": "kan_pruned", "symbolic": True}, "kan_pruned-poisson_2d_sin-tuned-symbolic_true-s0"),
    ],
)
def test_a_name_is_model_problem_preset_what_was_set_and_seed(given: dict[str, Any], name: str) -> None:
    assert run_name(resolve(given)) == name


@pytest.mark.parametrize("preset", sorted({*presets.names()} - {"paper"}))  # which is about equations only
@pytest.mark.parametrize("model", ["mlp", "mlp_fourier", "siren", "kan", "kan_pruned"])
def test_with_nothing_set_by_hand_nothing_is_told_and_a_worker_that_is_given_every_field_agrees(
    model: str, preset: str
) -> None:
    config = resolve({"model": model, "preset": preset})
    assert run_name(config) == f"{model}-poisson_2d_sin-{preset}-s0"
    by_hand = resolve({"model": model, "preset": preset, "epochs": 77, "n_train": 50})
    assert run_name(by_hand) == f"{model}-poisson_2d_sin-{preset}-epochs77-n_train50-s0"
    assert run_name(resolve(by_hand.values())) == run_name(by_hand)


def test_a_long_name_is_cut_and_what_is_cut_still_tells_runs_apart() -> None:
    many = {"epochs": 77, "n_train": 100, "n_val": 20, "n_test": 30, "node_th": 0.0123, "edge_th": 0.3, "tolerance": 3}
    names = [run_name(resolve({"model": "kan_pruned", **many, "reduction": part})) for part in (0.4, 0.41)]
    assert len(set(names)) == 2
    for name in names:
        assert len(name) <= LENGTH
        assert re.fullmatch(r"kan_pruned-poisson_2d_sin-tuned-epochs77-n_train100-.*-\+\d\.[0-9a-f]{6}-s0", name)
    long = run_name(resolve({"model": "kan", "grids": tuple(range(3, 2500))}))
    assert re.fullmatch(r"kan-poisson_2d_sin-tuned-\+1\.[0-9a-f]{6}-s0", long)


def test_mlflow_takes_the_name_of_an_error_whatever_the_names_of_plug_ins() -> None:
    assert error_name("poisson_2d_sin", "siren", "lm") == "log10_nmse/poisson_2d_sin/siren-lm"
    assert error_name("a+", "m.1-x", "p") == "log10_nmse/a_/m.1-x-p"
    long = [error_name("p" * 100, "m" * 100, "r" * 99 + end) for end in "ab"]
    assert len(set(long)) == 2
    for name in (*long, error_name("a+", "m.1-x", "p")):
        _validate_metric_name(name)


def test_mlflow_takes_no_dot_in_the_name_of_a_model() -> None:
    assert model_name(resolve({"preset": "tuned", "lr": 0.01})) == "siren-poisson_2d_sin-tuned-lr0_01-s0"
