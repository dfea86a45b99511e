"""What a classical solver takes to the error of a network is read off its run, and stands beside the recommendation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reports.comparing.advice import Advice, advice_over_presets
from reports.comparing.classical import Classical, duration
from reports.comparing.groups import groups_of
from reports.comparing.overall import overall
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from tests.reports.support import NOTHING, facts, made, write_history

EQUATION = facts("xy", "u", "equation")


def evidence_of(*cells: Cell) -> Evidence:
    return Evidence(Selection(), cells, True, "1", {})


def network(folder: Path, rms: float, model: str = "siren", size: float = 100, of: str = EQUATION) -> Cell:
    history = write_history(folder / model, {"test/mse": [1.0, rms**2], "time/train_s": [1.0, 5.0]})
    metrics = {"final/dense_nmse": rms**2, "model/active_params": size, "time/train_s": 5.0}
    return made(of, metrics, model=model, folder=history)


def solver(folder: Path, model: str, levels: Sequence[int], errors: Sequence[float], seconds: Sequence[float]) -> Cell:
    curves = {"test/mse": [error**2 for error in errors], "time/train_s": seconds}
    history = write_history(folder / model, curves, [f"degree_{level}" for level in levels])
    return made(EQUATION, {"final/dense_nmse": errors[-1] ** 2}, model=model, folder=history)


@pytest.fixture
def classical(tmp_path: Path) -> list[Cell]:
    return [
        solver(tmp_path, "finite_difference", [25, 50, 100], [1e-2, 3e-3, 1e-3], [0.003, 0.014, 0.057]),
        solver(tmp_path, "spectral", [8, 16, 24], [1e-3, 1e-6, 1e-12], [0.0004, 0.0011, 0.0022]),
    ]


def advised(*cells: Cell) -> Advice:
    (found,) = advice_over_presets(evidence_of(*cells), NOTHING)
    return found


@pytest.mark.parametrize(
    ("rms", "sentence"),
    [
        (
            2e-3,
            "a spectral solver needs 0.4 ms for this error (degree 8); finite differences need 57 ms for this error "
            "(100 intervals an axis)",
        ),
        (
            1e-6,
            "a spectral solver needs 1.10 ms for this error (degree 16); finite differences do not reach this error up to "
            "100 intervals an axis",
        ),
        (
            1e-13,
            "a spectral solver does not reach this error up to degree 24; finite differences do not reach this error up to "
            "100 intervals an axis",
        ),
    ],
)
def test_it_is_the_first_solve_whose_error_is_as_small_with_all_the_time_until_then(
    tmp_path: Path, classical: list[Cell], rms: float, sentence: str
) -> None:
    assert advised(network(tmp_path, rms), *classical).beside == sentence


def test_an_equation_without_a_classical_run_says_so_and_a_fit_says_nothing(tmp_path: Path) -> None:
    assert advised(network(tmp_path, 1e-3)).beside == "no classical solver was run on this equation"
    assert advised(network(tmp_path, 1e-3, of=facts("xy"))).beside == ""


def test_a_time_is_told_in_milliseconds_below_a_second_and_a_level_where_it_is_known() -> None:
    assert (duration(0.0123), duration(2.5)) == ("12.3 ms", "2.50 s")
    assert str(Classical("spectral", 0.002, None)) == "a spectral solver needs 2 ms for this error"
    assert str(Classical("spectral", math.inf, None)) == "a spectral solver does not reach this error"


def test_a_classical_solver_that_is_better_is_the_recommended_model_and_the_best(
    tmp_path: Path, classical: list[Cell]
) -> None:
    cells = [network(tmp_path, 1e-3), network(tmp_path, 1e-2, "kan"), *classical]
    found = advised(*cells)
    assert (found.final.model, found.final.runner_up, found.final.chosen_for) == ("spectral", "siren", "least error")
    assert found.seconds == 5.0, "the short time is that of networks"
    assert found.beside.startswith("a spectral solver needs 0.4 ms for this error"), "which is that of the best network"
    summary = overall(evidence_of(*cells))
    assert summary is not None
    assert str(summary.best) == "spectral"
    assert {pair.model for pair in summary.profile} == {"siren", "kan", "spectral", "finite_difference"}
    assert summary.groups.keys() == {"equations"}


def test_of_equals_a_classical_method_is_named_before_a_network_however_small(
    tmp_path: Path, classical: list[Cell]
) -> None:
    found = advised(network(tmp_path, 1e-12, size=1), *classical)
    assert (found.final.model, found.final.equals, found.final.chosen_for) == ("spectral", ("siren",), "no network")


def test_where_there_is_nothing_else_classical_solvers_are_held_against_each_other(classical: list[Cell]) -> None:
    evidence = evidence_of(*classical)
    assert set(groups_of(evidence, "tuned")["mine"]) == {"spectral", "finite_difference"}
    assert advised(*classical).final.model == "spectral"


def test_a_run_of_another_preset_stands_beside_the_networks_too(tmp_path: Path, classical: list[Cell]) -> None:
    cells = [network(tmp_path, 1e-6), *(replace(cell, preset="lm") for cell in classical)]
    assert advised(*cells).beside.startswith("a spectral solver needs 1.10 ms")


@pytest.mark.parametrize(("of", "model"), [(EQUATION, "siren"), (facts("xy"), "kan")])
def test_what_is_noise_for_a_fit_sets_the_models_of_an_equation_apart(tmp_path: Path, of: str, model: str) -> None:
    accurate, small = network(tmp_path, 1e-6, of=of), network(tmp_path, 9e-5, "kan", size=50, of=of)
    assert advised(accurate, small).final.model == model
