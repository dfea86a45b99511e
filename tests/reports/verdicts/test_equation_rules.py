"""P1 to P5: each threshold is where its row says, no classical solver is judged, and elsewhere they are N/A with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.families import FAMILIES
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from reports.reading.kinds import is_network
from reports.verdicts.criteria import CRITERIA
from reports.verdicts.equation_rules import correlation
from reports.verdicts.judgements import Judgement, judgement_of
from reports.verdicts.verdict import ProblemVerdict, Verdict
from tests.reports.support import NOTHING, facts, made, write_history

EQUATION = facts("xy", "u", "equation")
ROUGH = facts("xy", "u", "equation", smooth=False)
SEEDS = range(6)
NETWORKS = list(filter(is_network, FAMILIES.names()))


def judged(name: str, cells: Sequence[Cell]) -> Judgement:
    criterion = CRITERIA.get(name)
    evidence = Evidence(Selection(), tuple(cells), True, "1", {})
    return judgement_of(criterion, None if criterion.all_presets else "tuned", evidence, NOTHING)


def on(name: str, cells: Sequence[Cell]) -> ProblemVerdict:
    (found,) = judged(name, cells).problems
    return found


def solved(
    rel_l2: float, model: str = "kan", of: str = EQUATION, size: float = 200, problem: str = "mine"
) -> list[Cell]:
    """A run of each seed with that error."""
    metrics = {"final/rel_l2": rel_l2, "model/active_params": size}
    return [made(of, metrics, model=model, problem=problem, seed=seed) for seed in SEEDS]


def of_all(rel_l2: float, others: float = 1e-9) -> list[Cell]:
    first, *rest = NETWORKS
    return [*solved(rel_l2, first), *(cell for name in rest for cell in solved(others, name))]


@pytest.mark.parametrize(
    ("rel_l2", "verdict"), [(1e-5, Verdict.PASS), (1.01e-5, Verdict.FAIL), (math.nan, Verdict.FAIL)]
)
def test_p1_wants_the_median_seed_of_every_family_of_networks(rel_l2: float, verdict: Verdict) -> None:
    found = on("P1", of_all(rel_l2))
    assert found.verdict is verdict
    assert found.of == len(NETWORKS)
    assert len(found.witnesses) == len(NETWORKS) * len(SEEDS), "the runs that it was read from"
    if verdict is Verdict.PASS:
        assert found.figure == rel_l2, "that of the worst family"
        assert f"{NETWORKS[0]} 1e-5 (6 of 6, a seed holds with 54% to 100%)" in found.note


def test_p1_is_open_while_a_family_has_no_run_and_asks_nothing_of_a_classical_solver() -> None:
    found = on("P1", solved(1e-9, "siren"))
    assert found.verdict is Verdict.NO_DATA
    assert "mlp: no run" in found.note
    with_solvers = [*of_all(1e-9), *solved(1.0, "spectral"), *solved(1.0, "finite_difference")]
    assert on("P1", with_solvers).verdict is Verdict.PASS
    assert judged("P1", solved(1e-9, "spectral")).verdict is Verdict.NO_DATA


def test_p1_is_about_smooth_equations() -> None:
    assert judged("P1", solved(1.0, of=ROUGH)).verdict is Verdict.NOT_APPLICABLE
    assert judged("P3", solved(1.0, of=ROUGH)).verdict is not Verdict.NOT_APPLICABLE


SPEC = "solve_2d_spec"


@pytest.mark.parametrize(
    ("rel_l2", "size", "verdict"),
    [
        (1e-6, 300, Verdict.PASS),
        (1.01e-6, 300, Verdict.FAIL),
        (1e-9, 301, Verdict.NO_DATA),
    ],
)
def test_p2_wants_one_in_a_million_of_the_best_network_of_300_parameters(
    rel_l2: float, size: float, verdict: Verdict
) -> None:
    large = solved(1e-12, "siren", size=5000, problem=SPEC)
    small = solved(rel_l2, size=size, problem=SPEC)
    found = on("P2", [*large, *small, *solved(1e-15, "spectral", size=100, problem=SPEC)])
    assert found.verdict is verdict
    if verdict is not Verdict.NO_DATA:
        assert found.figure == rel_l2
        assert found.note.startswith("kan, tuned ")
        assert "spectral" not in found.note


def test_p2_takes_the_best_of_several_networks_and_names_the_others() -> None:
    found = on("P2", [*solved(1e-3, "mlp", problem=SPEC), *solved(1e-7, "siren", problem=SPEC)])
    assert (found.verdict, found.figure, found.holds, found.of) == (Verdict.PASS, 1e-7, 6, 6)
    assert "siren, tuned 1e-7 (6 of 6" in found.note
    assert "mlp, tuned 1e-3 (0 of 6" in found.note
    assert judged("P2", solved(1e-9)).note == "no problem here is solve_2d_spec"


def test_p2_leaves_out_a_shape_that_knows_the_solution_where_another_network_has_a_result() -> None:
    known = [
        replace(each, run=replace(each.run, tags={**each.run.tags, "preset.knows_target": "true"}))
        for each in solved(1e-9, "siren", problem=SPEC)
        if each.run is not None
    ]
    found = on("P2", [*known, *solved(1e-3, "mlp", problem=SPEC)])
    assert (found.verdict, found.figure) == (Verdict.FAIL, 1e-3)
    assert "siren" not in found.note
    assert on("P2", known).verdict is Verdict.PASS


def test_p3_is_spearman_s_correlation_and_bears_four_fifths() -> None:
    error = np.arange(40.0)
    assert correlation(np.exp(-error), np.exp(-2 * error)).figure == pytest.approx(1)
    assert correlation(np.exp(-error), np.exp(error)).verdict is Verdict.FAIL
    ranks = np.array([*range(16), 19, 18, 17, 16], dtype=float)
    assert correlation(np.arange(20.0), ranks).figure == pytest.approx(1 - 6 * 20 / (20 * 399))
    assert correlation(error[:19], error[:19]).verdict is Verdict.NO_DATA
    assert correlation(np.ones(40), error).verdict is Verdict.NO_DATA


def test_p3_reads_the_histories_and_a_diverged_run_is_the_worst(tmp_path: Path) -> None:
    falling = np.geomspace(1, 1e-9, 30)
    true = write_history(tmp_path / "true", {"val/residual": falling, "test/mse": falling**1.5})
    false = write_history(tmp_path / "false", {"val/residual": falling, "test/mse": falling[::-1]})
    honest = [made(EQUATION, seed=seed, folder=true) for seed in SEEDS]
    assert on("P3", honest).verdict is Verdict.PASS
    found = on("P3", [*honest, *(made(EQUATION, model="mlp", seed=seed, folder=false) for seed in SEEDS)])
    assert found.verdict is Verdict.FAIL
    assert found.figure == pytest.approx(-1), "that of the worst family"
    diverged = [made(EQUATION, seed=seed, folder=true, outcome="diverged") for seed in SEEDS]
    assert on("P3", diverged).verdict is Verdict.FAIL
    solver = [made(EQUATION, model="spectral", seed=seed, folder=false) for seed in SEEDS]
    assert on("P3", [*honest, *solver]).verdict is Verdict.PASS, "it is about networks"


@pytest.mark.parametrize(
    ("ratio", "gone", "verdict"),
    [
        (2.0, 0.2, Verdict.PASS),
        (2.01, 0.2, Verdict.FAIL),
        (0.5, 0.199, Verdict.FAIL),
    ],
)
def test_p4_bears_twice_the_relative_error_of_the_twin_at_a_fifth_less(
    ratio: float, gone: float, verdict: Verdict
) -> None:
    base = 1e-16  # far below the floor of fits, which would hide any ratio
    metrics = {"prune/base_dense_mse": base, "prune/mse_final": ratio**2 * base, "prune/reduction": gone}
    found = on("P4", [made(EQUATION, metrics, model="kan_pruned", seed=seed) for seed in SEEDS])
    assert found.verdict is verdict
    assert found.figure == pytest.approx(ratio)
    assert ("too little" in found.note) == (gone < 0.2)
    without = {name: value for name, value in metrics.items() if name != "prune/base_dense_mse"}
    assert on("P4", [made(EQUATION, without, model="kan_pruned")]).verdict is Verdict.NO_DATA


def differences(folder: Path, errors: Sequence[float], grids: str = "25,50,100") -> Cell:
    history = write_history(folder, {"test/mse": np.square(errors)})
    return made(EQUATION, model="finite_difference", folder=history, grids=grids)


def ended(rms: float, model: str = "siren") -> list[Cell]:
    return [made(EQUATION, {"test/mse": rms**2}, model=model, seed=seed) for seed in SEEDS]


@pytest.mark.parametrize(("rms", "verdict"), [(0.9e-4, Verdict.PASS), (1e-4, Verdict.FAIL)])
def test_p5_holds_the_best_network_against_the_run_of_differences_on_its_grid_of_101(
    tmp_path: Path, rms: float, verdict: Verdict
) -> None:
    coarse_to_fine = differences(tmp_path / "d", [1e-2, 1e-3, 1e-4, 1e-8], "25,50,100,200")
    found = on("P5", [coarse_to_fine, *ended(rms), *ended(1.0, "mlp"), *ended(1e-12, "spectral")])
    assert found.verdict is verdict
    assert found.figure == pytest.approx(rms / 1e-4)
    assert found.note.startswith("differences on 101 x 101 points: RMS error of u 1e-4; siren, tuned ")


def test_p5_has_no_figure_of_its_own_where_no_such_run_is_in_the_store(tmp_path: Path) -> None:
    assert on("P5", ended(1e-9)).verdict is Verdict.NO_DATA
    assert on("P5", [*ended(1e-9), differences(tmp_path, [1e-2, 1e-3], "25,50")]).verdict is Verdict.NO_DATA
    assert on("P5", [differences(tmp_path, [1e-2, 1e-3, 1e-4])]).note == "no network was run"
    assert judged("P5", [made(facts("x", "u", "equation"))]).verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("name", ["P1", "P2", "P3", "P4", "P5"])
@pytest.mark.parametrize("of", [facts("xy"), facts("ab", "y", "table"), facts("xy", sections=["section1_3"])])
def test_they_are_not_applicable_where_nothing_is_solved_and_say_why(name: str, of: str) -> None:
    found = judged(name, [made(of, model="kan_pruned", seed=seed) for seed in SEEDS])
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert found.note.startswith("no problem here is ")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("B1", "no problem here is a formula without noise"),
        ("D1", "every problem here is one of the original's, without noise, or an equation"),
        ("D2", "no problem here is the rows of a file"),
        *((name, "no problem here is one of the original's") for name in ("S2", "S2+", "X1", "X2", "B2")),
    ],
)
def test_criteria_on_fits_are_not_applicable_to_equations_and_say_why(name: str, why: str) -> None:
    found = judged(name, solved(1.0, "siren"))
    assert (found.verdict, found.note) == (Verdict.NOT_APPLICABLE, why)


def test_no_family_of_b1_is_a_classical_solver() -> None:
    cells = [
        made(facts("xy"), {"final/dense_nmse": 1e-9}, model=name, seed=seed) for name in NETWORKS for seed in SEEDS
    ]
    found = on("B1", cells)
    assert (found.verdict, found.of) == (Verdict.PASS, len(NETWORKS))


def test_o3_wants_the_residual_and_the_gradient_of_an_equation_finite() -> None:
    finals = ("dense_mse", "dense_nmse", "log10_nmse", "linf", "rel_l2", "h1_rel", "roughness_ratio", "residual_nmse")
    metrics = {"nan/count": 0.0, "inf/count": 0.0, **{f"final/{name}": 1e-3 for name in finals}}
    assert on("O3", [made(EQUATION, metrics)]).verdict is Verdict.PASS
    for name in ("h1_rel", "residual_nmse"):
        lacking = {metric: value for metric, value in metrics.items() if metric != f"final/{name}"}
        found = on("O3", [made(EQUATION, lacking)])
        assert (found.verdict, found.witnesses[0].finding.note) == (Verdict.FAIL, f"not finite: final/{name}")


def test_s3_of_an_equation_reads_the_residual_above_its_own_floor(tmp_path: Path) -> None:
    def of_curve(residual: Sequence[float], name: str) -> Verdict:
        folder = write_history(tmp_path / name, {"train/residual": residual})
        metrics = {"final/dense_nmse": 1e-9}
        return on("S3", [made(EQUATION, metrics, model="siren", seed=seed, folder=folder) for seed in SEEDS]).verdict

    assert of_curve(list(np.geomspace(1, 1e-9, 40)), "falls") is Verdict.PASS
    assert of_curve([1e-9] * 20 + [1e-8] * 20, "rises below the floor of fits") is Verdict.FAIL
    assert of_curve([1e-15] * 20 + [1e-14] * 20, "rises below its own") is Verdict.PASS
