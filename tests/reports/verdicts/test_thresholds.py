"""Each threshold of the criteria is where its row says: on one side a run passes, on the other it fails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mlflow import MlflowClient

from harness.families import FAMILIES
from reports.comparing.recommendations import recommend
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.histories import History
from reports.reading.kinds import FIRST
from reports.reading.run import Run
from reports.reading.targets import target
from reports.verdicts.criteria import CRITERIA
from reports.verdicts.pruning_rules import has_three_stages
from reports.verdicts.record_rules import is_finite_throughout
from reports.verdicts.verdict import Verdict
from tests.models.bases.test_network import FAMILIES as BASES

NOTHING = Artifacts(MlflowClient("http://127.0.0.1:1"))
LEARNED = {"final/dense_nmse": 1e-3, "final/log10_nmse": -3.0}


def cell(model: str, problem: str, metrics: dict[str, float], seed: int = 0, **tags: str) -> Cell:
    run = Run(
        "r", "0", "e", "n", "FINISHED", 0.0, 1.0, "", {"outcome": "completed", **tags}, {}, {**LEARNED, **metrics}
    )
    return Cell(f"{model}{seed}", model, problem, "tuned", seed, 10, run)


def decided(name: str, *cells: Cell) -> Verdict:
    """What ten seeds say that are all as these."""
    criterion = CRITERIA.get(name)
    assert all(criterion.applies(each) for each in cells)
    return criterion.decide(
        [each for each in cells for _ in range(10 // len({c.seed for c in cells}))], NOTHING
    ).verdict


@pytest.mark.parametrize(
    ("name", "metric", "passes", "fails"),
    [
        ("S1", "final/roughness_ratio", 1.5, 1.5001),
        ("S2", "final/dense_mse", 9.9999, 10.0),
        ("S2+", "final/dense_mse", 0.9999, 1.0),
        ("K4", "prune/reduction", 0.2, 0.1999),
    ],
)
def test_a_final_metric_passes_up_to_its_threshold(name: str, metric: str, passes: float, fails: float) -> None:
    model = "kan_pruned" if name == "K4" else "siren"
    assert decided(name, cell(model, "poisson_2d_sin", {metric: passes})) is Verdict.PASS
    assert decided(name, cell(model, "poisson_2d_sin", {metric: fails})) is Verdict.FAIL


@pytest.mark.parametrize(
    ("base", "passes", "fails"),
    [(0.0, 0.999, 1.001), (1.0, 2.999, 3.001), (1e3, 2000.9, 2001.1)],
    ids=["a twin without error", "at the floor", "far above the floor"],
)
def test_k2_bears_twice_the_error_of_the_twin_with_the_floor_added_to_both(
    base: float, passes: float, fails: float
) -> None:
    """In floors, which are 1e-8 of the target's variance: (pruned + 1) / (base + 1) is at most 2."""
    known = target(cell("kan_pruned", "poisson_2d_sin", {}))
    assert known is not None
    floor = 1e-8 * known.scale2

    def verdict(pruned: float) -> Verdict:
        metrics = {"prune/mse_final": pruned * floor, "prune/base_dense_mse": base * floor}
        return decided("K2", cell("kan_pruned", "poisson_2d_sin", metrics))

    assert verdict(passes) is Verdict.PASS
    assert verdict(fails) is Verdict.FAIL


@pytest.mark.parametrize("name", ["K1", "K2", "K3", "K4"])
def test_criteria_of_pruning_are_about_every_family_with_a_twin_and_no_other(name: str) -> None:
    about = [model for model in FAMILIES.names() if CRITERIA.get(name).applies(cell(model, "poisson_2d_sin", {}))]
    assert set(about) == {"kan_pruned", *(f"{model}_pruned" for model in BASES)}
    assert not CRITERIA.get(name).applies(cell("nobody_knows", "poisson_2d_sin", {}))


def of_families(problem: str, worst: float, others: float) -> list[Cell]:
    """Five seeds of each of the first families, of which one family has the error ``worst``."""
    first, *rest = FIRST
    errors = {first: worst, **dict.fromkeys(rest, others)}
    return [cell(name, problem, {"final/dense_nmse": e}, seed) for name, e in errors.items() for seed in range(5)]


def test_b1_wants_a_ten_thousandth_of_the_worst_family() -> None:
    assert decided("B1", *of_families("poisson_2d_sin", 1e-4, 1e-6)) is Verdict.PASS
    assert decided("B1", *of_families("poisson_2d_sin", 1.001e-4, 1e-6)) is Verdict.FAIL


def test_b2_wants_a_hundred_millionth_of_the_best_family() -> None:
    assert decided("B2", *of_families("poisson_2d_highfreq", 1e-8, 1e-2)) is Verdict.PASS
    assert decided("B2", *of_families("poisson_2d_highfreq", 1.001e-8, 1e-2)) is Verdict.FAIL


@pytest.mark.parametrize(("lost", "word"), [(5, "sure"), (6, "likely"), (25, "likely"), (26, "toss-up")])
def test_a_recommendation_is_sure_from_95_of_100_pairs_on_and_likely_from_75_on(lost: int, word: str) -> None:
    # The runner-up's best seeds beat so many of the ten seeds each; ``many`` of them beat all ten.
    many, rest = divmod(lost, 10)
    mine = [1e-4 * (1 + 0.01 * seed) for seed in range(10)]
    beating = [1e-5] * many + ([mine[-rest] * 0.9999] if rest else [])
    other = beating + [1e-2] * (10 - len(beating))
    found = recommend("p", {"a": mine, "b": other}, {})
    assert found is not None
    assert (found.model, found.runner_up) == ("a", "b")
    assert found.chance == pytest.approx(1 - lost / 100)
    assert found.certainty.split(",")[0] == word


class Recorded(Artifacts):
    """The history of one run, made by hand."""

    def __init__(self, stages: list[str], mse: list[float], seconds: list[float]) -> None:
        super().__init__(MlflowClient("http://127.0.0.1:1"))
        curves = {"train/mse": np.array(mse), "time/train_s": np.array(seconds)}
        self._made = History(np.arange(1, len(mse) + 1), stages, curves, len(mse))

    def history(self, run: Run) -> History:
        return self._made


STAGES = ["sparsify", "prune", "retrain"]


@pytest.mark.parametrize(
    ("order", "mse", "seconds", "verdict"),
    [
        (STAGES, [1.0] * 3, [1.0] * 3, Verdict.PASS),
        (["grid_3", *STAGES], [1.0] * 4, [1.0] * 4, Verdict.PASS),
        (["prune", "sparsify", "retrain"], [1.0] * 3, [1.0] * 3, Verdict.FAIL),
        (["sparsify", "retrain", "prune"], [1.0] * 3, [1.0] * 3, Verdict.FAIL),
        (["sparsify", "retrain"], [1.0] * 2, [1.0] * 2, Verdict.FAIL),
        (STAGES, [1.0, 1.0, math.nan], [1.0] * 3, Verdict.FAIL),
        (STAGES, [1.0] * 3, [1.0, math.nan, 1.0], Verdict.FAIL),
    ],
    ids=[
        "in order",
        "after a grid",
        "prune first",
        "prune last",
        "no prune",
        "no error in a stage",
        "no time in a stage",
    ],
)
def test_k3_wants_three_stages_in_order_each_with_epochs_of_its_own(
    order: list[str], mse: list[float], seconds: list[float], verdict: Verdict
) -> None:
    one = cell("kan_pruned", "poisson_2d_sin", {}, stages=",".join(order))
    assert has_three_stages(one, Recorded(order, mse, seconds)).verdict is verdict


def test_k3_sees_a_stage_that_was_begun_and_has_no_epoch() -> None:
    one = cell("kan_pruned", "poisson_2d_sin", {}, stages=",".join(STAGES))
    assert has_three_stages(one, Recorded(STAGES[:2], [1.0] * 2, [1.0] * 2)).verdict is Verdict.FAIL


FINALS = ("dense_mse", "dense_nmse", "log10_nmse", "linf", "rel_l2", "h1_rel", "roughness_ratio")


@pytest.mark.parametrize("lost", FINALS)
@pytest.mark.parametrize("how", ["not recorded", "not finite"])
def test_o3_wants_every_final_metric_though_no_event_was_counted(lost: str, how: str) -> None:
    metrics = {f"final/{name}": 1.0 for name in FINALS} | {"nan/count": 0.0, "inf/count": 0.0, "nan/first_step": -1.0}
    assert is_finite_throughout(cell("siren", "poisson_2d_sin", metrics), NOTHING).verdict is Verdict.PASS
    whole = cell("siren", "poisson_2d_sin", metrics | {f"final/{lost}": math.nan})
    if how == "not recorded":
        assert whole.run is not None
        del whole.run.metrics[f"final/{lost}"]
    finding = is_finite_throughout(whole, NOTHING)
    assert (finding.verdict, finding.note) == (Verdict.FAIL, f"not finite: final/{lost}")
