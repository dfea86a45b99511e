"""D1 and D2, and that the criteria on the original's problems are N/A where there are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from reports.verdicts.criteria import CRITERIA
from reports.verdicts.judgements import Judgement, judgement_of
from reports.verdicts.record_rules import has_its_pictures, is_finite_throughout
from reports.verdicts.verdict import ProblemVerdict, Verdict
from tests.reports.support import NOTHING, facts, made

FORMULA, ROWS = facts("abc"), facts("abc", "y", "table")


def judged(name: str, cells: Sequence[Cell]) -> Judgement:
    criterion = CRITERIA.get(name)
    evidence = Evidence(Selection(), tuple(cells), True, "1", {})
    return judgement_of(criterion, None if criterion.all_presets else "tuned", evidence, NOTHING)


def of_one_problem(name: str, cells: Sequence[Cell]) -> ProblemVerdict:
    (found,) = judged(name, cells).problems
    return found


def seeds(of: str, nmse: float, count: int = 6, model: str = "kan", **fields: Any) -> list[Cell]:
    return [made(of, {"final/dense_nmse": nmse}, seed=seed, model=model, **fields) for seed in range(count)]


@pytest.mark.parametrize(
    ("of", "noise", "nmse", "verdict", "figure"),
    [
        (FORMULA, 0, 1e-4, Verdict.PASS, 1.0),
        (FORMULA, 0, 1.01e-4, Verdict.FAIL, 1.01),
        (FORMULA, 0.1, 0.0109, Verdict.PASS, 0.0109 / 0.011),
        (FORMULA, 0.1, 0.0111, Verdict.FAIL, 0.0111 / 0.011),
        (FORMULA, 0.001, 1e-4, Verdict.PASS, 1.0),
        (facts("abc", "y", "table", floor=0.2), 0, 0.21, Verdict.PASS, 0.21 / 0.22),
        (facts("abc", "y", "table", floor=0.2), 0, 0.23, Verdict.FAIL, 0.23 / 0.22),
        (facts("abc", "y", "table", floor=0.0), 0, 0.01, Verdict.FAIL, 100.0),
        (ROWS, 0, 0.01, Verdict.NOT_APPLICABLE, 100.0),
        (ROWS, 0, 1e-5, Verdict.PASS, 0.1),
        (FORMULA, 0, math.inf, Verdict.FAIL, math.inf),
    ],
)
def test_d1_allows_the_floor_of_the_noise_or_a_ten_thousandth(
    of: str, noise: float, nmse: float, verdict: Verdict, figure: float
) -> None:
    cells = [*seeds(of, nmse, target_noise=noise), *seeds(of, 10 * nmse, model="mlp", target_noise=noise)]
    found = of_one_problem("D1", cells)
    assert found.verdict is verdict
    assert found.figure == pytest.approx(figure)
    assert "kan" in found.note, "the best family is named"


def test_d1_is_decided_at_each_noise_by_the_worst_of_them() -> None:
    quiet, loud = seeds(FORMULA, 1e-6, target_noise=0), seeds(FORMULA, 0.05, target_noise=0.1)
    assert of_one_problem("D1", quiet).verdict is Verdict.PASS
    found = of_one_problem("D1", [*quiet, *loud])
    assert found.verdict is Verdict.FAIL
    assert found.figure == pytest.approx(0.05 / 0.011)
    assert (found.holds, found.of) == (1, 2)
    assert "noise 0.1: kan" in found.note


def test_d1_of_few_seeds_is_unsure_and_without_a_run_there_is_no_data() -> None:
    assert of_one_problem("D1", seeds(FORMULA, 1e-6, count=1)).verdict is Verdict.UNSURE
    assert of_one_problem("D1", [made(FORMULA, outcome="timeout")]).verdict is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("train", "held_out", "verdict"),
    [
        (1.0, 2.0, Verdict.PASS),
        (1.0, 2.01, Verdict.FAIL),
        (1e-30, 1e-9, Verdict.PASS),  # below the floor
        (1.0, math.nan, Verdict.FAIL),
    ],
)
def test_d2_bears_twice_the_training_error_and_flags_what_is_above_it(
    train: float, held_out: float, verdict: Verdict
) -> None:
    metrics = {"train/mse": train, "test/mse": held_out}
    found = of_one_problem("D2", [made(ROWS, metrics, seed=seed) for seed in range(6)])
    assert found.verdict is verdict
    assert ("over-fitted" in found.note) == (verdict is Verdict.FAIL)


@pytest.mark.parametrize("of", [FORMULA, ROWS, facts("x"), facts("xy", "y", "picture")], ids=str)
def test_criteria_on_the_original_s_problems_are_not_applicable_to_others_and_say_why(of: str) -> None:
    for name in ("S1", "S2", "S2+", "X1", "X2", "B2"):
        found = judged(name, seeds(of, 1e-9, model="siren"))
        assert found.verdict is Verdict.NOT_APPLICABLE, name
        assert found.note == "no problem here is one of the original's"
    original = seeds(facts("xy", sections=["section1_3"]), 1e-9)
    assert judged("S1", original).verdict is Verdict.NO_DATA, "a SIREN could have been tried"
    assert judged("S1", seeds(facts("xy"), 1e-9)).verdict is Verdict.NO_DATA, "any problem in 2D has a roughness"
    assert judged("D1", original).verdict is Verdict.NOT_APPLICABLE
    noisy = facts("xy", sections=["section1_3"])
    assert judged("D1", seeds(noisy, 1e-9, target_noise=0.1)).verdict is Verdict.PASS
    assert judged("D2", seeds(FORMULA, 1e-9)).verdict is Verdict.NOT_APPLICABLE
    assert judged("S1", []).verdict is Verdict.NO_DATA, "nothing is known of an empty report"


def test_b1_is_about_formulas_without_noise() -> None:
    assert judged("B1", seeds(ROWS, 1.0)).verdict is Verdict.NOT_APPLICABLE
    assert judged("B1", seeds(FORMULA, 1.0, target_noise=0.1)).verdict is Verdict.NOT_APPLICABLE
    assert judged("B1", seeds(FORMULA, 1.0)).verdict is Verdict.FAIL


def test_o2_wants_the_pictures_that_the_problem_has(tmp_path: Path) -> None:
    for of, names in ((FORMULA, ("slices", "sensitivity")), (facts("xy", "rgb", "picture"), ("picture",))):
        note = has_its_pictures(made(of, folder=tmp_path, model="mlp"), NOTHING).note
        assert all(f"figures/{name}.png" in note for name in ("loss", "prediction", *names))
        assert "heatmap" not in note


def test_o3_wants_no_gradient_of_rows_and_no_roughness_off_the_grid() -> None:
    finals = dict.fromkeys(("dense_mse", "dense_nmse", "log10_nmse", "linf", "rel_l2"), 1e-3)
    metrics = {"nan/count": 0.0, "inf/count": 0.0, **{f"final/{name}": value for name, value in finals.items()}}
    assert is_finite_throughout(made(ROWS, metrics), NOTHING).verdict is Verdict.PASS
    assert "h1_rel" in is_finite_throughout(made(FORMULA, metrics), NOTHING).note
    assert is_finite_throughout(made(FORMULA, metrics | {"final/h1_rel": 1e-3}), NOTHING).verdict is Verdict.PASS
