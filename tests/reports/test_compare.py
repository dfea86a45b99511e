"""Two benchmarks: only what test and intervals agree on is called a change, and different rules are not compared."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from harness.cli import main
from harness.errors import BadInput
from harness.fingerprint import COMPARABILITY
from harness.protocol import FLOOR
from harness.run import run
from reports.compare import change_of, compare, held_against
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from reports.verdicts.verdict import Verdict
from tests.reports.conftest import BENCHMARK, PLANNED, plan_and_run
from tests.reports.support import NOTHING, facts, made
from tests.support import small

ERRORS = st.lists(st.one_of(st.floats(1e-7, 1e3), st.just(math.inf)), min_size=1, max_size=12)
EQUATION = facts("x", kind="equation")


def direction(before: list[float], after: list[float], floor: float = FLOOR, first_seed_after: int = 0) -> str:
    change = change_of(("tuned", "p", "m"), dict(enumerate(before)), dict(enumerate(after, first_seed_after)), floor)
    assert change is not None
    return change.direction


def evidence(name: str, cells: list[Cell]) -> Evidence:
    return Evidence(Selection(name), tuple(cells), True, COMPARABILITY, {})


def runs_of(folder: str, errors: list[float], of: str = EQUATION, first_seed: int = 0) -> list[Cell]:
    """Cells of one model, whose runs are told apart by the folder."""
    return [
        made(of, {"final/dense_nmse": error}, seed=seed, folder=folder) for seed, error in enumerate(errors, first_seed)
    ]


def test_a_clear_change_has_a_direction_and_few_seeds_never_do() -> None:
    low, high = [1e-6, 2e-6, 3e-6, 4e-6, 5e-6], [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
    assert direction(high, low) == "better"
    assert direction(low, high) == "worse"
    assert direction(low, [math.inf] * 5) == "worse"
    assert direction(low[:4], high[:4]) == "within noise", "chance alone separates one in 35"
    assert direction([1e-12] * 5, [1e-10] * 5) == "within noise", "below the floor"


def test_seeds_that_both_have_are_compared_in_pairs() -> None:
    spread = [10 ** (-6 + seed / 3) for seed in range(10)]
    worse = [10 * error for error in spread]
    assert direction(spread, worse) == "worse"
    assert direction(worse, spread) == "better"
    assert direction(spread, worse, first_seed_after=100) == "within noise", "no pairs"
    assert direction(spread[:6], worse[:6]) == "worse", "six that agree"
    assert direction(spread[:6], [*worse[:5], spread[5] / 2]) == "within noise", "five of six"
    assert direction([1e-12] * 10, [1e-10] * 10) == "within noise", "below the floor"
    assert direction(spread[:6], [*worse[:5], spread[5] + 1e-9]) == "within noise", "one of six differs by less than it"
    assert direction([math.inf] * 8, [math.inf] * 8) == "within noise"
    assert direction(spread[:8], [math.inf] * 8) == "worse"


def test_the_floor_of_an_equation_is_its_own() -> None:
    low, high = [1e-11, 2e-11, 3e-11, 4e-11, 5e-11], [1e-9, 2e-9, 3e-9, 4e-9, 5e-9]
    for of, said in ((EQUATION, "worse"), (facts("x"), "within noise")):
        for first_seed in (0, 100):
            before, after = (
                evidence("a", runs_of("a", low * 2, of)),
                evidence("b", runs_of("b", high * 2, of, first_seed)),
            )
            (change,) = held_against(before, after, NOTHING).changes
            assert change.direction == said, (of, first_seed)


@pytest.mark.parametrize("seeds", [5, 8, 10])
def test_chance_alone_is_called_a_difference_in_one_of_a_hundred(seeds: int) -> None:
    generator = np.random.default_rng(0)
    draws = 10 ** generator.normal(-4, 1, (600, 2, seeds))
    called = sum(direction(a.tolist(), b.tolist()) != "within noise" for a, b in draws)
    assert called <= 600 * 0.01 + 3 * math.sqrt(600 * 0.01)


def test_of_many_comparisons_it_is_said_how_many_chance_calls() -> None:
    def side(name: str, count: int) -> Evidence:
        cells = runs_of(name, [1e-3] * 5 if name == "a" else [2e-3] * 5)
        return evidence(name, [replace(cell, problem=f"p{k}") for k in range(count) for cell in cells])

    few, many = (held_against(side("a", count), side("b", count), NOTHING).text for count in (20, 100))
    assert "chance" not in few
    assert "Of these 100 comparisons chance alone calls up to about 1 better or worse" in many


def test_a_run_that_stands_on_both_sides_is_left_out_of_both() -> None:
    same = runs_of("same", [1e-3] * 6)
    before = evidence("a", [*same, *runs_of("a", [1e-6] * 8, first_seed=6)])
    after = evidence("b", [*same, *runs_of("b", [1e-5] * 8, first_seed=6)])
    found = held_against(before, after, NOTHING)
    (change,) = found.changes
    assert (change.before.seeds, change.after.seeds, change.direction) == (8, 8, "worse")
    assert "6 runs stand on both sides, and are left out of this." in found.text
    with pytest.raises(BadInput, match="both benchmarks are read from the same runs"):
        held_against(evidence("a", same), evidence("b", same), NOTHING)


@given(ERRORS, ERRORS)
def test_before_and_after_exchanged_exchange_better_and_worse(a: list[float], b: list[float]) -> None:
    other = {"better": "worse", "worse": "better", "within noise": "within noise"}
    assert direction(b, a) == other[direction(a, b)]
    assert direction(a, a) == "within noise"


def test_a_benchmark_against_itself_is_refused(filled: MlflowClient) -> None:
    with pytest.raises(BadInput, match="both benchmarks are read from the same runs, so nothing can differ"):
        compare(BENCHMARK, BENCHMARK)


def test_each_benchmark_is_read_from_the_runs_that_it_computed(filled: MlflowClient) -> None:
    again = PLANNED[0]
    plan_and_run(filled, "tiny-00000002", [again], [again])
    (of_it, *_) = filled.search_runs(["1"], "tags.benchmark = 'tiny-00000002' AND tags.fingerprint LIKE '%'")
    filled.log_metric(of_it.info.run_id, "final/dense_nmse", 0.125)
    found = compare(BENCHMARK, "tiny-00000002")
    (change,) = found.changes
    assert change.after.median == 0.125
    assert (change.before.seeds, change.after.seeds) == (3, 1)
    assert change.before.largest != 0.125
    assert not found.only_after


def test_verdicts_that_flipped_and_cells_of_one_side_are_told(filled: MlflowClient, outside: Path) -> None:
    both = [PLANNED[0], PLANNED[5]]
    plan_and_run(filled, "tiny-00000002", both, both)
    found = compare(BENCHMARK, "tiny-00000002", out="changes.md")
    flips = {(flip.criterion, flip.preset): (flip.before, flip.after) for flip in found.flips}
    assert flips["E2", "tuned"] == (Verdict.FAIL, Verdict.PASS)
    assert flips["K3", "tuned"] == (Verdict.UNSURE, Verdict.NO_DATA)
    assert ("tuned", "poisson_2d_sin", "kan") in found.only_before
    assert found.is_worse(), "of K3 the median seed held"
    assert "no difference can be told from noise" in found.text
    assert (outside / "changes.md").read_text() == found.text + "\n"


def test_benchmarks_of_different_rules_are_refused_unless_told(filled: MlflowClient) -> None:
    other = small("mlp", epochs=4)
    plan_and_run(filled, "tiny-00000002", [other], [other])
    (made,) = (
        run_
        for run_ in filled.search_runs(["1"], "tags.benchmark = 'tiny-00000002'")
        if "fingerprint" in run_.data.tags
    )
    filled.set_tag(made.info.run_id, "comparability", "0")
    with pytest.raises(BadInput, match=f"comparability versions {COMPARABILITY} and 0"):
        compare(BENCHMARK, "tiny-00000002")
    assert "Different rules" in compare(BENCHMARK, "tiny-00000002", any_version=True).text


def test_bad_input_is_one_sentence(filled: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["report", "compare", BENCHMARK, "tiny-0000000l"])
    assert left.value.code == 2
    assert "did you mean 'tiny-00000001'?" in capsys.readouterr().err
    other = small("mlp", problem="sin_freq1", epochs=3)
    plan_and_run(filled, "tiny-00000003", [other], [])
    run(other)
    with pytest.raises(BadInput, match="no preset, problem and model in common"):
        compare(BENCHMARK, "tiny-00000003")
