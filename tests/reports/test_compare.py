"""Two benchmarks: only what test and intervals agree on is called a change, and different rules are not compared."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from harness.cli import main
from harness.errors import BadInput
from harness.fingerprint import COMPARABILITY
from harness.run import run
from reports.compare import change_of, compare
from reports.verdicts.verdict import Verdict
from tests.reports.conftest import BENCHMARK, PLANNED, plan_and_run
from tests.support import small

ERRORS = st.lists(st.one_of(st.floats(1e-7, 1e3), st.just(math.inf)), min_size=1, max_size=8)


def direction(before: list[float], after: list[float]) -> str:
    change = change_of(("tuned", "p", "m"), before, after)
    assert change is not None
    return change.direction


def test_a_clear_change_has_a_direction_and_few_seeds_never_do() -> None:
    low, high = [1e-6, 2e-6, 3e-6, 4e-6, 5e-6], [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
    assert direction(high, low) == "better"
    assert direction(low, high) == "worse"
    assert direction(low, [math.inf] * 5) == "worse"
    assert direction(low[:3], high[:3]) == "within noise"
    assert direction([1e-12] * 5, [1e-10] * 5) == "within noise", "below the floor"


@given(ERRORS, ERRORS)
def test_before_and_after_exchanged_exchange_better_and_worse(a: list[float], b: list[float]) -> None:
    other = {"better": "worse", "worse": "better", "within noise": "within noise"}
    assert direction(b, a) == other[direction(a, b)]
    assert direction(a, a) == "within noise"


def test_a_benchmark_against_itself_has_changed_nothing(filled: MlflowClient) -> None:
    found = compare(BENCHMARK, BENCHMARK)
    assert found.flips == ()
    assert {change.direction for change in found.changes} == {"within noise"}
    assert not found.is_worse()


def test_verdicts_that_flipped_and_cells_of_one_side_are_told(filled: MlflowClient, outside: Path) -> None:
    plan_and_run(filled, "tiny-00000002", [PLANNED[0], PLANNED[5]], [])
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
