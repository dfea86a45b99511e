"""Whether a problem needs a network is decided seed by seed, from models that a user could have chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from reports.reading.cells import Cell
from reports.verdicts.need import Need, need_of, network_wins_by_a_decade
from reports.verdicts.verdict import Verdict
from tests.reports.support import NOTHING, facts, made

FIT = facts("x")


def runs(model: str, errors: Sequence[float], val: float = 1e-3, preset: str = "lm", **tags: str) -> list[Cell]:
    metrics = {"val/mse": val, "time/train_s": 2.0, "model/active_params": 50.0}
    return [
        replace(made(FIT, {**metrics, "final/dense_nmse": e}, model=model, seed=seed, tags=tags), preset=preset)
        for seed, e in enumerate(errors)
    ]


def found(*groups: list[Cell]) -> Need:
    need = need_of([cell for group in groups for cell in group])
    assert need is not None
    return need


@pytest.mark.parametrize(
    ("network", "classical", "answer", "better"),
    [
        ([1e-6, 2e-6, 3e-6], [1e-4, 1e-4, 1e-4], "yes", 3),
        ([1e-4, 1e-4, 1e-4], [1e-6, 2e-6, 3e-6], "no", 0),
        ([1e-6, 1e-4, 1e-6], [1e-5, 1e-5, 1e-5], "toss-up", 2),
        ([1e-12, 1e-13, 1e-14], [1e-9, 1e-9, 1e-9], "no", 0),  # below the floor nothing is better
        ([1e-5, float("nan"), 1e-5], [1e-2, 1e-2, 1e-2], "toss-up", 2),
    ],
)
def test_it_is_needed_where_the_seeds_agree_that_it_is_better_by_more_than_the_floor(
    network: list[float], classical: list[float], answer: str, better: int
) -> None:
    need = found(runs("mlp", network), runs("spectral", classical))
    assert (need.answer, need.better, need.seeds) == (answer, better, 3)


@pytest.mark.parametrize(("seeds", "unsure"), [(1, True), (5, True), (6, False)])
@pytest.mark.parametrize("classical", [1e-2, 1e-9])
def test_an_answer_of_few_seeds_that_agree_is_unsure_as_a_criterion_would_be(
    classical: float, seeds: int, unsure: bool
) -> None:
    need = found(runs("mlp", [1e-5] * seeds), runs("spectral", [classical] * seeds))
    assert (need.answer, need.unsure) == ("yes" if classical > 1e-5 else "no", unsure)


def test_a_toss_up_is_no_answer_that_could_be_unsure() -> None:
    need = found(runs("mlp", [1e-5, 1e-1]), runs("spectral", [1e-3] * 2))
    assert (need.answer, need.unsure) == ("toss-up", False)


def test_both_are_chosen_by_their_error_at_held_out_points_and_not_by_the_one_that_is_told() -> None:
    need = found(
        runs("mlp", [1e-4] * 3, val=1e-5),
        runs("kan", [1e-9] * 3, val=1e-3),
        runs("spectral", [1e-2] * 3, val=1e-5),
        runs("finite_difference", [1e-9] * 3, val=1e-3),
    )
    assert (need.network.model, need.classical.model) == ("mlp", "spectral")
    assert need.ratio == pytest.approx(100, rel=1e-3)


def test_a_network_that_knows_its_target_is_left_out_where_another_was_run() -> None:
    knowing = runs("siren", [1e-9] * 3, val=1e-9, **{"preset.knows_target": "true"})
    assert str(found(knowing, runs("mlp", [1e-3] * 3), runs("spectral", [1e-4] * 3)).network) == "mlp, lm"
    assert str(found(knowing, runs("spectral", [1e-4] * 3)).network) == "siren, lm†"


def test_a_classical_method_stands_once_and_without_a_preset() -> None:
    need = found(
        runs("mlp", [1e-3]), runs("spectral", [1e-4]), runs("spectral", [1e-5], preset="tuned"),
    )  # fmt: skip
    assert (str(need.classical), need.classical.nmse, need.classical.seconds, need.classical.parameters) == (
        "spectral", 1e-4, 2.0, 50.0,
    )  # fmt: skip


def test_only_seeds_that_both_have_are_compared() -> None:
    need = found(runs("mlp", [1e-3, 1e-3, 1e-3]), runs("spectral", [1e-4]))
    assert need.seeds == 1
    assert need_of(runs("mlp", [1e-3])) is None
    assert need_of(runs("spectral", [1e-3])) is None


@pytest.mark.parametrize(
    ("network", "verdict", "figure"),
    [([1e-5] * 3, Verdict.EXPECTED, 99.9), ([5e-4] * 3, Verdict.NOT_OBSERVED, 2.0)],
)
def test_c1_is_shown_with_both_sides_and_not_judged(network: list[float], verdict: Verdict, figure: float) -> None:
    cells = [*runs("mlp", network), *runs("spectral", [1e-3] * 3)]
    said = network_wins_by_a_decade(cells, NOTHING)
    assert said.verdict is verdict
    assert said.figure == pytest.approx(figure, rel=1e-2)
    assert said.note.startswith("network needed: yes (3 of 3 seeds, unsure); mlp, lm ")
    assert "spectral 1e-3 in 2 s, 50 parameters" in said.note


def test_c1_does_not_apply_where_one_side_is_missing() -> None:
    said = network_wins_by_a_decade(runs("mlp", [1e-3]), NOTHING)
    assert (said.verdict, said.note) == (Verdict.NOT_APPLICABLE, "no classical method has a result here")


def test_the_validation_error_is_that_of_the_epoch_that_was_taken() -> None:
    """A classical method tries sizes, and the last one may over-fit."""
    taken = [
        replace(cell, run=replace(cell.run, metrics=cell.run.metrics | {"val/best_mse": 1e-6}))
        for cell in runs("spline", [1e-9] * 3, val=1e9)
        if cell.run is not None
    ]
    need = found(runs("mlp", [1e-4] * 3), runs("rbf", [1e-3] * 3), taken)
    assert (need.classical.model, need.answer) == ("spline", "no")


@pytest.mark.parametrize(
    ("classical", "ratio"),
    [([2e-3, 2e-4, float("nan")], 20), ([float("nan"), 5e-5], 0.5), ([float("nan")] * 2, math.inf)],
)
def test_a_classical_method_that_reached_nothing_is_the_best_case_for_the_network(
    classical: list[float], ratio: float
) -> None:
    need = found(runs("mlp", [1e-4] * len(classical)), runs("spectral", classical))
    assert need.ratio == pytest.approx(ratio, rel=1e-3)


def with_fields(cells: list[Cell], **fields: str) -> list[Cell]:
    params = {f"cfg/{name}": value for name, value in fields.items()}
    return [replace(cell, run=replace(cell.run, params=params)) for cell in cells if cell.run is not None]


def test_both_have_learned_the_same_data() -> None:
    few = with_fields(runs("mlp", [1e-2]), n_train="100")
    many = with_fields(runs("spectral", [1e-6]), n_train="4000")
    assert need_of([*few, *many]) is None
    noisy = [*with_fields(runs("mlp", [1e-3], val=1e-9), n_train="4000", target_noise="0.1"), *many]
    assert need_of(noisy) is None
    of_both = [*noisy, *with_fields(runs("mlp", [1e-4]), n_train="4000")]
    assert found(of_both).network.nmse == 1e-4


def test_a_network_that_is_only_planned_takes_no_place() -> None:
    knowing = runs("siren", [1e-9] * 3, val=1e-9, **{"preset.knows_target": "true"})
    planned = [replace(cell, run=None) for cell in runs("mlp", [1e-3] * 3)]
    assert str(found(knowing, planned, runs("spectral", [1e-4] * 3)).network) == "siren, lm†"


def ended(cells: list[Cell], outcome: str) -> list[Cell]:
    return [
        replace(cell, run=replace(cell.run, tags=cell.run.tags | {"outcome": outcome}, metrics={}))
        for cell in cells
        if cell.run is not None
    ]


@pytest.mark.parametrize("outcome", ["interrupted", "error", "timeout", "unknown"])
def test_a_run_that_ended_without_a_result_is_no_data_and_no_error(outcome: str) -> None:
    network, classical = runs("siren", [1e-5] * 6), runs("rbf", [1e-2] * 6)
    need = found(network[:3], ended(network[3:], outcome), classical)
    assert (need.answer, need.better, need.seeds, need.unsure, need.network.nmse) == ("yes", 3, 3, True, 1e-5)
    other = found(network, classical[:3], ended(classical[3:], outcome))
    assert (other.answer, other.seeds, other.classical.nmse) == ("yes", 3, 1e-2)
    assert need_of([*ended(network, outcome), *classical]) is None


def test_a_network_that_diverged_has_a_result_which_is_infinite() -> None:
    network = runs("siren", [1e-5] * 6)
    need = found(network[:3], ended(network[3:], "diverged"), runs("rbf", [1e-2] * 6))
    assert (need.answer, need.better, need.seeds, need.network.nmse) == ("toss-up", 3, 6, math.inf)


def test_a_classical_method_that_its_clock_has_stopped_is_marked() -> None:
    network, classical = runs("mlp", [1e-5] * 3), runs("rbf", [1e-2] * 3)
    stopped = runs("rbf", [1e-2] * 3, **{"search.cut_short": "the seconds were over"})[2:]  # type: ignore[arg-type]
    assert found(network, classical).classical.mark == ""
    cells = [*network, *classical[:2], *stopped]
    assert str(found(cells).classical) == "rbf‡"
    assert "rbf‡ 0.01 in 2 s, 50 parameters; ‡ its seconds were over" in network_wins_by_a_decade(cells, NOTHING).note
    elsewhere = [*network[:2], *classical[:2], *stopped]
    assert found(elsewhere).classical.mark == "", "of no seed that is compared"
