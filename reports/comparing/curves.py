"""Errors on the way: what a run had reached after so many seconds or evaluations, read off its history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.gone import Gone
from reports.reading.histories import History
from reports.reading.targets import target
from reports.verdicts.verdict import median_figure

CLOCKS = {"time/train_s": "s", "evals": "evaluations"}
"""What runs are held equal in, with its unit. Both count training only."""


def error_at(history: History, clock: str, budget: float, diverged: bool = False) -> float:
    """Test MSE, in squared units of the target, of the last epoch that was over by then.

    Infinite if none was, or if the run had diverged by then; a run that had ended by itself keeps its last value.
    """
    over = np.flatnonzero(history[clock] <= budget)
    if over.size == 0 or (diverged and over.size == len(history.epoch)):
        return math.inf
    value = float(history["test/mse"][over[-1]])
    return math.inf if math.isnan(value) else value


def cost_to(history: History, clock: str, mse: float) -> float:
    """Seconds or evaluations until the test MSE was first as small; infinite if it never was."""
    there = np.flatnonzero(history["test/mse"] <= mse)
    return float(history[clock][there[0]]) if there.size else math.inf


def equal_budget(groups: Iterable[Sequence[Cell]], clock: str) -> float | None:
    """The most that every model has spent: the least of the groups' medians. None when nothing has completed."""
    totals = [
        total
        for group in groups
        if (total := median_figure(t for c in group if c.outcome == "completed" and (t := c.metric(clock)) is not None))
    ]
    return min(totals, default=None)


def errors_at(cells: Iterable[Cell], artifacts: Artifacts, clock: str, budget: float) -> list[float | None]:
    """The NMSE of each cell at the budget: infinite where it is not reached, None where there is no result or no history."""
    return [_nmse_at(cell, artifacts, clock, budget) for cell in cells]


def _nmse_at(cell: Cell, artifacts: Artifacts, clock: str, budget: float) -> float | None:
    known = target(cell)
    if cell.run is None or not cell.has_result or known is None:
        return None
    try:
        return error_at(artifacts.history(cell.run), clock, budget, cell.outcome != "completed") / known.scale2
    except Gone:
        return None if cell.outcome == "completed" else math.inf


def costs_to(cells: Iterable[Cell], artifacts: Artifacts, clock: str, nmse: float) -> list[float | None]:
    """What each cell spent until its NMSE on the test points was first as small; infinite if it never was."""
    costs: list[float | None] = []
    for cell in cells:
        known = target(cell)
        if cell.run is None or not cell.has_result or known is None:
            costs.append(None)
            continue
        try:
            costs.append(cost_to(artifacts.history(cell.run), clock, nmse * known.scale2))
        except Gone:
            costs.append(None if cell.outcome == "completed" else math.inf)
    return costs


def errors_by_grid(cells: Iterable[Cell], artifacts: Artifacts) -> dict[int, list[float | None]]:
    """The NMSE on the test points at the end of each grid of a KAN, of each cell that reached the grid."""
    found: dict[int, list[float | None]] = defaultdict(list)
    for cell in cells:
        known = target(cell)
        if cell.run is None or not cell.has_result or known is None:
            continue
        try:
            history = artifacts.history(cell.run)
        except Gone:
            continue
        grids = history["kan/grid"]
        for grid in np.unique(grids[np.isfinite(grids)]):
            last = np.flatnonzero(grids == grid)[-1]
            found[int(grid)].append(float(history["test/mse"][last]) / known.scale2)
    return dict(sorted(found.items()))
