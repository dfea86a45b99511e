"""How far a KAN can be cut, from what its runs have really reached."""

from __future__ import annotations

import math

import pytest

from reports.comparing.cuts import cuts, farthest, pruning_table
from reports.comparing.statistics import Estimate
from reports.pages.pruning_path import pruning_path
from reports.reading.cells import Cell
from reports.reading.png import check_png
from reports.reading.run import Run

FAR = 1e3
"""The twin's error, far above the floor."""


def cell(
    asked: str, reached: float, ratio: float, seed: int = 0, outcome: str = "completed", mode: str = "greedy"
) -> Cell:
    metrics = {"prune/reduction": reached, "prune/mse_final": ratio * FAR, "prune/base_dense_mse": FAR}
    params = {"cfg/reduction": asked, "cfg/prune_mode": mode}
    known = metrics if outcome == "completed" else {}
    run = Run("r", "0", "e", "n", "FINISHED", 0.0, 1.0, "", {"outcome": outcome}, params, known)
    return Cell(
        f"{asked}{seed}", "kan_pruned", "poisson_1d_sin", "tuned", seed, 10, run, variant=f"reduction = {asked}"
    )


PATH = [
    *(cell("0.2", 0.2, ratio, seed) for seed, ratio in enumerate((0.9, 1.0, 5.0))),
    *(cell("0.5", gone, ratio, seed) for seed, (gone, ratio) in enumerate(((0.5, 1.9), (0.4, 1.0), (0.5, 1.8)))),
    *(cell("0.9", gone, ratio, seed) for seed, (gone, ratio) in enumerate(((0.6, 3.0), (0.7, 2.5)))),
    cell("0.9", 0.0, 0.0, 2, "diverged"),
    cell("0.9", 0.0, 0.0, 3, "timeout"),
    cell("0.3", 0.1, 1.0, 0, mode="threshold"),
]
GROUPS = {"poisson_1d_sin": {"kan_pruned": PATH}}


def test_a_cut_stands_where_it_really_ended_and_a_diverged_seed_is_infinitely_far_from_its_twin() -> None:
    found = cuts(PATH)
    assert [(cut.asked, cut.reduction) for cut in found] == [("0.2", 0.2), ("0.5", 0.5), ("0.9", 0.7)]
    assert [cut.ratio for cut in found] == pytest.approx([1.0, 1.8, 3.0], rel=1e-6)
    assert found[2].ratios[2] == math.inf
    assert found[2].raw[:2] == pytest.approx((3.0, 2.5))


def test_the_farthest_cut_is_the_largest_whose_median_seed_is_within_twice_the_twin() -> None:
    best = farthest(cuts(PATH))
    assert best is not None
    assert best.asked == "0.5"
    assert farthest([cut for cut in cuts(PATH) if cut.asked == "0.9"]) is None
    assert farthest(cuts([cell("0.4", 0.4, 1.999), cell("0.6", 0.6, 2.001)])) == cuts([cell("0.4", 0.4, 1.999)])[0]


def test_the_table_has_that_cut_and_the_largest_and_the_picture_says_what_diverged() -> None:
    ((problem, part, told, ratio, _, largest, told_most, worst),) = pruning_table("tuned", GROUPS).rows
    assert (problem, part, told, largest, told_most) == ("poisson_1d_sin", "50%", "0.5", "70%", "0.9")
    assert isinstance(ratio, Estimate)
    assert isinstance(worst, Estimate)
    assert (ratio.median, worst.median, worst.reached) == pytest.approx((1.8, 3.0, 2), rel=1e-6)
    picture = pruning_path("tuned", GROUPS)
    assert picture is not None
    assert picture.png is not None
    check_png(picture.png)
    assert "1 diverged on poisson_1d_sin told 0.9" in picture.description


def test_one_reduction_is_no_path() -> None:
    groups = {"poisson_1d_sin": {"kan_pruned": PATH[:3]}}
    assert pruning_path("tuned", groups) is None
    assert pruning_table("tuned", groups).rows == ()
    assert "pruning_path" in pruning_table("tuned", groups).note
