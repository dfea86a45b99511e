"""Each rule is its sentence: by hand-made curves, and on real runs by another way of computing it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from harness import problems
from harness.data import dense_points
from harness.families import FAMILIES
from harness.presets import DAGGER
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection, gather
from reports.reading.histories import Floats, History
from reports.reading.png import DrawnAxes
from reports.reading.run import Run
from reports.verdicts import curve_rules, pruning_rules, record_rules, rules
from reports.verdicts.criteria import CRITERIA
from reports.verdicts.family_verdicts import standings
from reports.verdicts.judgements import judgement_of, judgements_of
from reports.verdicts.numbers import number
from reports.verdicts.problem_verdicts import Decide, median_seed
from reports.verdicts.verdict import Finding, ProblemVerdict, Verdict, seed_holds

NOTHING = Artifacts(MlflowClient("http://127.0.0.1:1"))
FINITE = st.floats(1e-30, 1e30)


def cell(outcome: str = "completed", model: str = "siren", problem: str = "poisson_2d_sin", **metrics: float) -> Cell:
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    ended = Run("r", "0", "e", "n", "FINISHED", 0.0, 1.0, "", {"outcome": outcome}, {}, named)
    return Cell("f", model, problem, "tuned", 0, 10, ended)


def of_six(decide: Decide, one: Cell) -> ProblemVerdict:
    """What six seeds say that are all as this one; fewer can't make a PASS."""
    return decide([replace(one, seed=seed) for seed in range(6)], NOTHING)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.9, Verdict.PASS), (1.0, Verdict.PASS), (1.04, Verdict.PASS), (1.06, Verdict.FAIL)]
)
def test_s3_bears_five_percent_from_one_window_to_the_next(factor: float, verdict: Verdict) -> None:
    curve = np.repeat(factor ** np.arange(20), 10)
    assert curve_rules.monotonicity(curve, 0.0).verdict is verdict


def test_s3_takes_no_notice_of_noise_below_the_floor_nor_of_one_bad_epoch_in_a_window() -> None:
    curve = np.full(200, 1e-12)
    curve[100:] = 5e-12
    curve[33] = 7.0
    assert curve_rules.monotonicity(curve, 1e-9).verdict is Verdict.PASS
    assert curve_rules.monotonicity(curve, 0.0).verdict is Verdict.FAIL


def test_s3_needs_twenty_epochs_and_finite_ones() -> None:
    assert curve_rules.monotonicity(np.ones(19), 0.0).verdict is Verdict.NO_DATA
    assert curve_rules.monotonicity(np.full(40, math.nan), 0.0).verdict is Verdict.FAIL


@pytest.mark.parametrize(("ratio", "verdict"), [(1.5, Verdict.PASS), (1.51, Verdict.FAIL), (0.0, Verdict.PASS)])
def test_s1_bears_half_again_of_the_targets_roughness(ratio: float, verdict: Verdict) -> None:
    found = of_six(CRITERIA.get("S1").decide, cell(final__roughness_ratio=ratio, final__dense_nmse=1e-6))
    assert (found.verdict, found.figure) == (verdict, ratio)


@pytest.mark.parametrize(("name", "bound"), [("S2", 10.0), ("S2+", 1.0)])
def test_s2_wants_an_error_below_its_bound(name: str, bound: float) -> None:
    for mse, verdict in ((0.99 * bound, Verdict.PASS), (bound, Verdict.FAIL)):
        assert of_six(CRITERIA.get(name).decide, cell(final__dense_mse=mse)).verdict is verdict


@pytest.mark.parametrize(("nmse", "verdict"), [(0.5, Verdict.PASS), (0.51, Verdict.FAIL), (math.nan, Verdict.FAIL)])
def test_s1_and_s3_fail_where_nothing_was_learned(nmse: float, verdict: Verdict) -> None:
    flat = cell(final__roughness_ratio=2e-4, final__dense_nmse=nmse)
    falling = rules.of_something_learned(
        lambda cell, artifacts: curve_rules.monotonicity(np.geomspace(1, 0.9, 40), 0.0)
    )
    for found in (of_six(CRITERIA.get("S1").decide, flat), of_six(median_seed(falling), flat)):
        assert found.verdict is verdict
        if verdict is Verdict.FAIL:
            assert found.figure == math.inf
            assert found.note.startswith(f"nothing was learned: NMSE {number(nmse)}; its figure would be ")
    unknown = CRITERIA.get("S1").decide([cell(final__roughness_ratio=2e-4)], NOTHING)
    assert unknown.verdict is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("rates", "planned", "verdict"),
    [
        ([1e-3] * 5 + [1e-4] * 5, 10, Verdict.PASS),
        ([1e-3] * 6 + [1e-4] * 5, 11, Verdict.PASS),
        ([1e-3] * 5 + [1e-4] * 6, 11, Verdict.PASS),
        ([1e-3] * 6 + [1e-4] * 4, 10, Verdict.FAIL),
        ([1e-3] * 10, 10, Verdict.FAIL),
        ([1e-3] * 5 + [5e-4] + [1e-4] * 4, 10, Verdict.FAIL),
        ([1e-3] * 5, 10, Verdict.FAIL),
        ([math.nan] * 10, 10, Verdict.NO_DATA),
    ],
)
def test_s4_wants_the_base_rate_and_then_a_tenth_and_nothing_else(
    rates: list[float], planned: int, verdict: Verdict
) -> None:
    assert curve_rules.rate_schedule(np.array(rates), 1e-3, planned).verdict is verdict


def spike(*stages: tuple[str, float, Sequence[float]]) -> Finding:
    return curve_rules.spike(
        [curve_rules.Stage(name, grid, np.array(values, dtype=float)) for name, grid, values in stages], 0.0
    )


@pytest.mark.parametrize(("factor", "verdict"), [(10, Verdict.PASS), (11, Verdict.FAIL)])
def test_k1_looks_within_each_stage_across_the_cut_and_across_refinements(factor: float, verdict: Verdict) -> None:
    start, cut = ("sparsify", 5, [64, 0.125]), ("prune", 5, [50])
    within = spike(("sparsify", 5, [64, 0.125, 0.125 * factor]), cut, ("retrain", 5, [1.25]))
    across = spike(start, cut, ("retrain", 5, [4, 0.125 * factor]))
    refined = spike(start, cut, ("retrain", 5, [0.125]), ("retrain_10", 10, [4, 0.125 * factor]))
    for found, where in (
        (within, "within stage sparsify"),
        (across, "at the cut, retrained on the same grid (5)"),
        (refined, "at the refinement 5 to 10, from end to end"),
    ):
        assert (found.verdict, found.figure) == (verdict, factor)
        assert found.note.startswith(where)


def test_k1_decides_the_cut_on_equal_grids_however_good_finer_ones_are() -> None:
    found = spike(("sparsify", 5, [1, 0.125]), ("prune", 5, [50]), ("retrain", 5, [40, 2]), ("retrain_40", 40, [1e-9]))
    assert (found.verdict, found.figure) == (Verdict.FAIL, 16.0)
    assert "same grid (5)" in found.note


@pytest.mark.parametrize(
    ("after", "refined", "said"),
    [
        (1e6, 1.0, "the largest jump of all is 1e6, at the cut"),
        (2.0, 1e4, "the largest jump of all is 1e4, at the refinement 5 to 10"),
    ],
)
def test_k1_tells_the_largest_jump_and_where(after: float, refined: float, said: str) -> None:
    stages = ("sparsify", 5, [4, 1]), ("prune", 5, [after]), ("retrain", 5, [1]), ("retrain_10", 10, [refined, 1])
    found = spike(*stages)
    assert (found.verdict, found.figure) == (Verdict.PASS, 1.0)
    assert found.note.endswith(said)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_k1_fails_on_a_number_that_is_not_finite_wherever_it_is_in_a_stage(bad: float, at: int) -> None:
    losses = [0.1, 0.1, 0.1]
    losses[at] = bad
    found = spike(("sparsify", 5, losses), ("prune", 5, [0.1]), ("retrain", 5, [0.1]))
    assert (found.verdict, found.figure, found.note) == (Verdict.FAIL, math.inf, "not finite in stage sparsify")


def test_k1_has_no_data_without_a_sparsify_stage_or_the_grids() -> None:
    assert spike(("train", 5, [1.0])).verdict is Verdict.NO_DATA
    assert spike(("sparsify", math.nan, [1]), ("retrain", math.nan, [1])).verdict is Verdict.NO_DATA


def test_k1_parts_the_last_brief_retraining_from_the_long_one() -> None:
    names = ["sparsify"] * 2 + ["prune"] + ["retrain"] * 5
    curves = {"train/mse": np.arange(8.0), "kan/grid": np.full(8, 5.0)}
    stages = curve_rules.stages_of(History(np.arange(1, 9), names, curves, 8), brief=2)
    assert [(each.name, each.grid, list(each.mse)) for each in stages] == [
        ("sparsify", 5, [0, 1]),
        ("prune", 5, [2]),
        ("retrain", 5, [3, 4]),
        ("retrain", 5, [5, 6, 7]),
    ]


@given(st.floats(0, 1))
def test_k4_holds_from_a_fifth_on_and_says_what_is_beyond(reduction: float) -> None:
    finding = pruning_rules.is_reduced(cell(prune__reduction=reduction), NOTHING)
    assert (finding.verdict is Verdict.PASS) == (reduction >= 0.2 - 1e-12)
    assert (finding.note == "beyond 50%") == (reduction > 0.5)


def test_k4_says_where_a_greedy_cut_stops() -> None:
    found = cell(model="kan_pruned", prune__reduction=0.2)
    assert found.run is not None
    greedy = replace(found, run=replace(found.run, params={"cfg/prune_mode": "greedy", "cfg/reduction": "0.2"}))
    at_once = replace(found, run=replace(found.run, params={"cfg/prune_mode": "threshold"}))
    assert pruning_rules.is_reduced(greedy, NOTHING).note.startswith("where the greedy cut stops, told to cut 0.2")
    assert pruning_rules.is_reduced(at_once, NOTHING).note == ""


@pytest.mark.parametrize(
    ("pruned", "base", "verdict", "figure", "said"),
    [
        (2.0, 1.0, Verdict.PASS, 2.0, "raw ratio 2; the ratio decided"),
        (2.01, 1.0, Verdict.FAIL, 2.01, "raw ratio 2.01; the ratio decided"),
        (5e-9, 1e-10, Verdict.PASS, 1.5 / 1.01, "raw ratio 50; the floor of 1e-8 decided"),
        (1e-9, 1e-9, Verdict.PASS, 1.0, "raw ratio 1; the floor of 1e-8 decided"),
        (3e-8, 1.2e-8, Verdict.PASS, 4 / 2.2, "raw ratio 2.50; the floor of 1e-8 decided"),
        (3.6e-8, 1.2e-8, Verdict.FAIL, 4.6 / 2.2, "raw ratio 3; the ratio decided"),
        (1e-9, 0.0, Verdict.PASS, 1.1, "raw ratio infinite; the floor of 1e-8 decided"),
        (math.nan, 1.0, Verdict.FAIL, math.nan, "the ratio decided"),
    ],
)
def test_k2_bears_twice_the_error_and_says_whether_the_floor_decided(
    pruned: float, base: float, verdict: Verdict, figure: float, said: str
) -> None:
    found = pruning_rules.nearness(pruned, base, 0.0 if base == 1.0 else 1e-8)
    assert found.verdict is verdict
    assert found.figure == pytest.approx(figure, nan_ok=True)
    assert found.note.endswith(said)


@given(FINITE, FINITE, st.sampled_from(["S1", "S2", "S2+", "K2"]))
def test_a_worse_figure_never_turns_fail_into_pass(figure: float, factor: float, name: str) -> None:
    worse = figure * max(1.0, factor)

    def verdict(value: float) -> Verdict:
        metrics = {"final__roughness_ratio": value, "final__dense_mse": value}
        metrics |= {"prune__mse_final": value, "prune__base_dense_mse": 1.0, "final__dense_nmse": 0.1}
        one = cell("completed", "kan_pruned" if name == "K2" else "siren", "poisson_2d_sin", **metrics)
        return of_six(CRITERIA.get(name).decide, one).verdict

    assert not (verdict(figure) is Verdict.FAIL and verdict(worse) is Verdict.PASS)
    assert verdict(math.nan) is Verdict.FAIL


@given(st.lists(FINITE, min_size=20, max_size=60), st.integers(0, 59), st.floats(1, 1e6))
def test_a_higher_last_loss_never_helps_s3(curve: list[float], at: int, factor: float) -> None:
    higher = [*curve]
    start = [window[0] for window in np.array_split(np.arange(len(curve)), 20)][-1]
    higher[start:] = [value * factor for value in higher[start:]]
    before, after = (curve_rules.monotonicity(np.array(each), 1e-9).verdict for each in (curve, higher))
    assert not (before is Verdict.FAIL and after is Verdict.PASS)


@pytest.mark.parametrize("name", CRITERIA.names())
@pytest.mark.parametrize("outcome", ["missing", "running", "error", "timeout", "interrupted", "completed"])
def test_no_criterion_passes_without_data(name: str, outcome: str) -> None:
    criterion = CRITERIA.get(name)
    for model in ("siren", "kan_pruned", "mlp"):
        for problem in ("poisson_2d_sin", "poisson_1d_poly", "poisson_1d_highfreq"):
            ended = Run("r", "0", "e", "n", "FINISHED", 0.0, 1.0, "/nowhere", {"outcome": outcome})
            if outcome == "running":
                ended = Run("r", "0", "e", "n", "RUNNING", 0.0, 1.0, "/nowhere")
            bare = Cell(
                "f", model, problem, "tuned", 0, 10, None if outcome == "missing" else ended, outcome == "running"
            )
            if not criterion.applies(bare):
                continue
            preset = None if criterion.all_presets else "tuned"
            found = judgement_of(criterion, preset, Evidence(Selection(), (bare,) * 5, True, "1", {}), NOTHING)
            # That a run is there and how it ended is all the data that these two ask for.
            if (name, outcome) == ("O1", "completed") or (name == "E2" and outcome not in ("missing", "running")):
                assert found.verdict is Verdict.PASS
            else:
                assert found.verdict is not Verdict.PASS
                assert found.verdict not in (Verdict.EXPECTED, Verdict.NOT_OBSERVED)


def seeds_of(errors: dict[tuple[str, str], float], problem: str, seeds: int = 6) -> Evidence:
    """A completed run for each seed, with these errors by model and preset."""
    cells = [
        replace(cell(model=model, problem=problem, final__dense_nmse=error), preset=preset, seed=seed)
        for (model, preset), error in errors.items()
        for seed in range(seeds)
    ]
    return Evidence(Selection(), tuple(cells), True, "1", {})


@pytest.mark.parametrize(("nmse", "verdict"), [(1e-4, Verdict.PASS), (1.01e-4, Verdict.FAIL)])
def test_b1_is_decided_once_by_each_familys_best_preset(nmse: float, verdict: Verdict) -> None:
    bad = dict.fromkeys(((name, "seed") for name in FAMILIES.names()), 1.0)
    good = dict.fromkeys(((name, "tuned") for name in FAMILIES.names()), 1e-9)
    evidence = seeds_of(bad | good | {("siren", "tuned"): nmse}, "poisson_1d_poly")
    (found,) = [each for each in judgements_of(evidence, NOTHING) if each.criterion.id == "B1"]
    assert (found.preset, found.verdict, found.problems[0].figure) == (None, verdict, nmse)
    holds = (
        "6 of 6, a seed holds with 54% to 100%" if verdict is Verdict.PASS else "0 of 6, a seed holds with 0% to 46%"
    )
    assert f"siren {number(nmse)} (tuned, {holds})" in found.problems[0].note


@pytest.mark.parametrize(("nmse", "verdict"), [(1e-8, Verdict.PASS), (1.01e-8, Verdict.FAIL)])
def test_b2_is_decided_once_by_the_best_family_under_its_best_preset(nmse: float, verdict: Verdict) -> None:
    # The better preset stands first: what comes after must not take its place.
    evidence = seeds_of({("siren", "lm"): nmse, ("siren", "seed"): 1.0, ("mlp", "lm"): 0.5}, "poisson_1d_highfreq")
    (found,) = [each for each in judgements_of(evidence, NOTHING) if each.criterion.id == "B2"]
    assert (found.preset, found.verdict, found.problems[0].figure) == (None, verdict, nmse)
    (on,) = found.problems
    assert on.note == f"siren (lm, {on.count})"
    assert (on.holds, on.of) == (6 if verdict is Verdict.PASS else 0, 6)


@pytest.mark.parametrize(
    ("first", "second", "verdict", "counts"),
    [
        (0.011, math.inf, Verdict.EXPECTED, "2 of 2"),
        (0.011, 0.01, Verdict.NOT_OBSERVED, "1 of 2"),
        (1e-6, 1e-11, Verdict.NOT_OBSERVED, "0 of 2"),
    ],
)
def test_x1_is_expected_only_where_the_mlp_fails(first: float, second: float, verdict: Verdict, counts: str) -> None:
    of_1d = seeds_of({("mlp", "tuned"): first, ("siren", "tuned"): 1e-9}, "poisson_1d_highfreq")
    of_2d = seeds_of({("mlp", "tuned"): second}, "poisson_2d_highfreq")
    evidence = replace(of_1d, cells=of_1d.cells + of_2d.cells)
    found = judgement_of(CRITERIA.get("X1"), "tuned", evidence, NOTHING)
    assert (found.verdict, found.counts) == (verdict, counts)
    assert (found.problems[0].figure, found.problems[0].of) == (first, 6)
    assert found.problems[0].note.endswith("of 6 seeds; siren 1e-9")


def test_x1_is_decided_by_the_median_seed_and_says_in_how_many_the_mlp_fails() -> None:
    cells = [
        replace(cell(model="mlp", problem="poisson_1d_highfreq", final__dense_nmse=nmse), seed=seed)
        for seed, nmse in enumerate([1.0, 1e-6, 1.0, 1e-6, 1.0])
    ]
    found = CRITERIA.get("X1").decide(cells, NOTHING)
    assert (found.verdict, found.holds, found.of) == (Verdict.EXPECTED, 3, 5)
    assert found.interval == seed_holds(3, 5)
    found = CRITERIA.get("X1").decide([cell(model="siren", problem="poisson_1d_highfreq")], NOTHING)
    assert found.verdict is Verdict.NO_DATA


TARGET, RESIDUAL = np.array([0.0, 1e-3]), np.array([-1e-6, 5e-7])


@pytest.mark.parametrize(
    ("top", "bottom", "verdict"),
    [
        ((-5e-4, 1.5e-3), (-2e-6, 2e-6), Verdict.PASS),
        ((-5.1e-4, 1.5e-3), (-2e-6, 2e-6), Verdict.FAIL),
        ((-5e-4, 1.5e-3), (-2.1e-6, 2e-6), Verdict.FAIL),
        ((-5e-4, 9e-4), (-2e-6, 2e-6), Verdict.FAIL),
        ((-5e-4, 1.5e-3), (-9e-7, 2e-6), Verdict.FAIL),
    ],
)
def test_x2_wants_target_and_residual_each_on_its_own_scale(
    top: tuple[float, float], bottom: tuple[float, float], verdict: Verdict
) -> None:
    drawn = [DrawnAxes(top, {"target": (0.0, 1e-3)}), DrawnAxes(bottom, {"residual": (-1e-6, 5e-7)})]
    assert record_rules.on_its_scale(drawn, TARGET, RESIDUAL).verdict is verdict


def test_x2_wants_the_curves_of_the_run_and_a_panel_for_each() -> None:
    target, residual = {"target": (0.0, 1e-3)}, {"residual": (-1e-6, 5e-7)}
    top, bottom = (-2e-4, 1.2e-3), (-1.2e-6, 1.2e-6)
    one, alone = [DrawnAxes(top, target | residual)], [DrawnAxes(top, target)]
    other = [DrawnAxes(top, target), DrawnAxes(bottom, {"residual": (-1e-7, 5e-7)})]
    for drawn in (one, alone, other):
        assert record_rules.on_its_scale(drawn, TARGET, RESIDUAL).verdict is Verdict.FAIL


def test_b1_takes_of_a_familys_presets_the_one_that_is_surest_before_the_one_of_least_error() -> None:
    sure = dict.fromkeys(((name, "tuned") for name in FAMILIES.names()), 1e-5)
    evidence = seeds_of(sure, "poisson_1d_poly")
    few = seeds_of({("siren", "lm"): 1e-12}, "poisson_1d_poly", seeds=5)
    found = judgement_of(CRITERIA.get("B1"), None, replace(evidence, cells=evidence.cells + few.cells), NOTHING)
    assert found.verdict is Verdict.PASS
    assert "siren 1e-5 (tuned, 6 of 6" in found.problems[0].note


@pytest.mark.parametrize(("nmse", "verdict"), [(1e-3, Verdict.FAIL), (1e-9, Verdict.NO_DATA)])
def test_a_preset_of_too_few_seeds_leaves_b2_open_only_where_these_hold(nmse: float, verdict: Verdict) -> None:
    problem = "poisson_2d_highfreq"
    evidence, few = seeds_of({("kan", "lm"): 1e-3}, problem), seeds_of({("kan", "seed"): nmse}, problem, seeds=3)
    found = judgement_of(CRITERIA.get("B2"), None, replace(evidence, cells=evidence.cells + few.cells), NOTHING)
    assert found.verdict is verdict


def test_b1_marks_the_family_and_preset_whose_shape_knows_the_target_and_no_other() -> None:
    errors = {(name, preset): 1e-5 for name in FAMILIES.names() for preset in ("tuned", "lm")}
    evidence = seeds_of(errors, "poisson_1d_poly")

    def knowing(each: Cell) -> Cell:
        assert each.run is not None
        return replace(each, run=replace(each.run, tags={**each.run.tags, "preset.knows_target": "true"}))

    marked = [knowing(each) if (each.model, each.preset) == ("siren", "tuned") else each for each in evidence.cells]
    found = standings(marked, 1e-4)
    assert [(each.model, each.preset) for each in found if each.mark] == [("siren", "tuned")]


@pytest.mark.parametrize(("criterion", "problem"), [("B1", "poisson_1d_poly"), ("B2", "poisson_1d_highfreq")])
def test_a_shape_that_knows_the_target_counts_only_where_no_other_has_a_result(criterion: str, problem: str) -> None:
    errors = {(name, "tuned"): 1e-12 for name in FAMILIES.names()} if criterion == "B1" else {}
    evidence = seeds_of({**errors, ("siren", "lm"): 1e-20, ("siren", "tuned"): 1e-3}, problem)

    def judged(cells: tuple[Cell, ...]) -> tuple[Verdict, str]:
        found = judgement_of(CRITERIA.get(criterion), None, replace(evidence, cells=cells), NOTHING)
        return found.verdict, found.problems[0].note

    def knowing(each: Cell) -> Cell:
        if (each.model, each.preset) != ("siren", "lm") or each.run is None:
            return each
        return replace(each, run=replace(each.run, tags={**each.run.tags, "preset.knows_target": "true"}))

    marked = tuple(map(knowing, evidence.cells))
    assert judged(evidence.cells)[0] is Verdict.PASS
    verdict, note = judged(marked)
    assert verdict is Verdict.FAIL
    assert "siren 1e-3 (tuned" in note or note.startswith("siren (tuned")
    alone = tuple(each for each in marked if (each.model, each.preset) != ("siren", "tuned"))
    verdict, note = judged(alone)
    assert verdict is Verdict.PASS
    assert f"siren{DAGGER}" in note or f"siren 1e-20{DAGGER}" in note


def test_seeds_to_which_a_rule_does_not_apply_are_not_counted() -> None:
    def rule(each: Cell, artifacts: Artifacts) -> Finding:
        return Finding(Verdict.NOT_APPLICABLE if each.seed < 2 else Verdict.PASS, None, "")

    found = median_seed(rule)([replace(cell(), seed=seed) for seed in range(9)], NOTHING)
    assert (found.holds, found.of) == (7, 7)


def test_of_problems_those_that_hold_surely_are_counted_and_those_that_are_unsure_beside_them() -> None:
    sure, few = (
        replace(cell(problem=problem, final__dense_mse=5.0), seed=0)
        for problem in ("poisson_2d_sin", "poisson_2d_poly")
    )
    cells = [replace(each, seed=seed) for each, seeds in ((sure, 6), (few, 5)) for seed in range(seeds)]
    found = judgement_of(CRITERIA.get("S2"), "tuned", Evidence(Selection(), tuple(cells), True, "1", {}), NOTHING)
    assert (found.verdict, found.counts) == (Verdict.UNSURE, "1 of 2, 1 unsure")


@pytest.mark.parametrize("name", ["B1", "B2"])
def test_rules_over_presets_ask_for_five_seeds(name: str) -> None:
    errors = dict.fromkeys(((family, "lm") for family in FAMILIES.names()), 1e-12)
    problem = "poisson_1d_poly" if name == "B1" else "poisson_1d_highfreq"
    for seeds, verdict in ((6, Verdict.PASS), (5, Verdict.UNSURE), (4, Verdict.NO_DATA)):
        found = judgement_of(CRITERIA.get(name), None, seeds_of(errors, problem, seeds), NOTHING)
        assert found.verdict is verdict


def with_metrics(metrics: dict[str, float]) -> Cell:
    found = cell()
    assert found.run is not None
    return replace(found, run=replace(found.run, metrics=metrics))


def test_o3_counts_a_final_metric_that_is_not_finite_and_names_it() -> None:
    finals: dict[str, float] = {f"final/{name}": 1.0 for name in (*record_rules.FINALS, "roughness_ratio")}
    counts = {"nan/count": 0.0, "inf/count": 0.0, "nan/first_step": -1.0}
    assert record_rules.is_finite_throughout(with_metrics(finals | counts), NOTHING).verdict is Verdict.PASS
    lost = {name: value for name, value in finals.items() if name != "final/h1_rel"}
    event = counts | {"nan/count": 1.0, "nan/first_step": 10.0}
    found = record_rules.is_finite_throughout(with_metrics(lost | event), NOTHING)
    assert (found.verdict, found.figure, found.note) == (
        Verdict.FAIL,
        1.0,
        "first in epoch 10; not finite: final/h1_rel",
    )


def verdicts(client: MlflowClient) -> dict[tuple[str, str | None], Verdict]:
    evidence = gather(client, Selection())
    return {(each.criterion.id, each.preset): each.verdict for each in judgements_of(evidence, Artifacts(client))}


def test_real_runs_are_judged_as_they_went(filled: MlflowClient) -> None:
    found = verdicts(filled)
    over = {name for name in CRITERIA.names() if CRITERIA.get(name).all_presets}
    assert over == {"B1", "B2", "C1", "D1", "P2", "P5"}
    assert set(found) == {(name, preset) for name in {*CRITERIA.names()} - over for preset in ("tuned", "lm")} | {
        (name, None) for name in over
    }
    assert found["K3", "tuned"] is Verdict.UNSURE, "it holds for two seeds"
    assert found["E1", "tuned"] is Verdict.NO_DATA, "one cell was never run"
    assert found["E2", "tuned"] is Verdict.FAIL, "one cell was never run"
    assert found["E1", "lm"] is Verdict.NOT_APPLICABLE, "no run failed"
    assert found["O1", "tuned"] is Verdict.FAIL, "one diverged"
    assert found["O2", "lm"] is Verdict.PASS
    assert found["O3", "tuned"] is Verdict.FAIL
    assert found["O3", "lm"] is Verdict.PASS
    assert found["S4", "tuned"] is Verdict.UNSURE, "it holds for four seeds"
    assert found["S4", "lm"] is Verdict.NOT_APPLICABLE
    assert found["X2", "lm"] is Verdict.PASS
    assert found["B1", None] is Verdict.NO_DATA, "not five seeds"
    assert found["D1", None] is found["D2", "tuned"] is Verdict.NOT_APPLICABLE, "no rows of a file, no noise"
    judged = {
        (each.criterion.id, each.preset): each for each in judgements_of(gather(filled, Selection()), Artifacts(filled))
    }
    for name in ("E1", "E3"):
        (of_2d,) = [each for each in judged[name, "tuned"].problems if each.problem == "poisson_2d_sin"]
        assert of_2d.verdict is Verdict.PASS, "the diverged run says why, and kept what it had"


def logged_curves(filled: MlflowClient, model: str) -> list[tuple[Cell, Artifacts, Floats]]:
    """The completed cells of a model, each with its training errors as the store has them, plus the floor."""
    evidence, artifacts = gather(filled, Selection(presets=("tuned",))), Artifacts(filled)
    floor = 1e-8 * float(
        problems.get("poisson_2d_sin").values(dense_points(problems.get("poisson_2d_sin"))).var(correction=0)
    )
    found = []
    for each in evidence.cells:
        if (each.model, each.problem, each.outcome) != (model, "poisson_2d_sin", "completed"):
            continue
        assert each.run is not None
        logged = filled.get_metric_history(each.run.run_id, "train/mse")
        curve = np.array([metric.value for metric in sorted(logged, key=lambda metric: metric.step)])
        assert np.array_equal(curve, artifacts.history(each.run)["train/mse"])
        found.append((each, artifacts, curve + floor))
    assert found
    return found


def test_s3_agrees_with_the_metrics_of_the_store(filled: MlflowClient) -> None:
    for each, artifacts, curve in logged_curves(filled, "siren"):
        finding = curve_rules.falls_monotonically(each, artifacts)
        if (each.metric("final/dense_nmse") or 0) > 0.5:
            assert (finding.verdict, finding.figure) == (Verdict.FAIL, math.inf)
            assert finding.note.startswith("nothing was learned")
            finding = curve_rules.monotonicity(curve, 0.0)
        medians = [np.median(part) for part in np.array_split(curve, 20)]
        largest = max(b / a for a, b in itertools.pairwise(medians))
        assert finding.figure == pytest.approx(largest, rel=1e-12)
        assert (finding.verdict is Verdict.PASS) == (largest <= 1.05)


def test_k1_agrees_with_the_metrics_of_the_store(filled: MlflowClient) -> None:
    """Eight epochs of one run, cut once: grid_3 in two epochs, sparsify in two, prune in one, retrain in three."""
    for each, artifacts, curve in logged_curves(filled, "kan_pruned"):
        assert each.run is not None
        assert each.run.tags["stages"] == "grid_3,sparsify,prune,retrain"
        parts = [curve[:2], curve[2:4], curve[4:5], curve[5:]]
        jumps = [part[j] / part[i] for part in parts for i in range(len(part)) for j in range(i, len(part))]
        across = curve[-1] / curve[3]
        finding = curve_rules.has_no_spike(each, artifacts)
        assert finding.figure == pytest.approx(max(*jumps, across), rel=1e-12)
        assert finding.verdict is (Verdict.PASS if max(*jumps, across) <= 10 else Verdict.FAIL)
        assert "; the largest jump of all is " in finding.note


def test_losses_at_points_that_are_redrawn_are_not_compared_with_each_other(filled: MlflowClient) -> None:
    for model, rule in (("siren", curve_rules.falls_monotonically), ("kan_pruned", curve_rules.has_no_spike)):
        for each, artifacts, _ in logged_curves(filled, model):
            assert each.run is not None
            redrawn = replace(
                each.run, params={**each.run.params, "cfg/resample": "5"}, metrics={"final/dense_nmse": 0.1}
            )
            finding = rule(replace(each, run=redrawn), artifacts)
            assert finding.verdict is Verdict.NOT_APPLICABLE
            assert "were redrawn" in finding.note


@pytest.mark.parametrize(
    ("name", "damage", "verdict"),
    [
        ("history.parquet", b"not parquet", Verdict.NO_DATA),
        ("history.parquet", None, Verdict.NO_DATA),
        ("figures/loss.png", b"not a picture", Verdict.FAIL),
        ("figures/loss.png", None, Verdict.FAIL),
        ("", None, Verdict.NO_DATA),
    ],
)
def test_artifacts_that_are_gone_or_damaged_are_named_and_never_pass(
    filled: MlflowClient, name: str, damage: bytes | None, verdict: Verdict
) -> None:
    import shutil

    evidence, artifacts = gather(filled, Selection(presets=("lm",))), Artifacts(filled)
    (siren,) = evidence.cells
    assert siren.run is not None
    path = artifacts.path(siren.run, "history.parquet").parent / name
    if damage is not None:
        path.write_bytes(damage)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    of_history, of_figures = (
        curve_rules.falls_monotonically(siren, artifacts),
        record_rules.has_its_pictures(siren, artifacts),
    )
    finding = of_figures if name.startswith("figures") else of_history
    assert finding.verdict is verdict
    assert (name or "artifacts are gone") in finding.note
    if not name:
        assert of_figures.verdict is Verdict.NO_DATA


def test_a_killed_run_that_kept_nothing_fails_e3_and_one_without_a_step_is_no_case_of_it(filled: MlflowClient) -> None:
    (cell_, *_) = gather(filled, Selection()).cells
    assert cell_.run is not None
    killed = filled.create_run(cell_.run.experiment_id).info
    artifacts = Artifacts(filled)

    def judged(**metrics: float) -> Verdict:
        tags = {"outcome": "interrupted", "outcome.reason": "Left behind."}
        run = Run(killed.run_id, "0", "", "", "KILLED", time.time(), 1.0, killed.artifact_uri, tags, {}, metrics)
        return record_rules.keeps_what_it_had(Cell("f", "mlp", "poisson_2d_sin", "tuned", 0, 9, run), artifacts).verdict

    assert judged() is Verdict.NOT_APPLICABLE
    assert judged(evals=3.0) is Verdict.FAIL
