"""Rules on the curves of a run: S3 and S4 of SIREN, K1 of pruned KANs. Each is its sentence in docs/reports.md, exactly."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.histories import Floats, History
from reports.reading.run import Run
from reports.verdicts.numbers import number
from reports.verdicts.rules import known_target, of_a_result, of_something_learned
from reports.verdicts.verdict import Finding, Verdict, at_most, no_data

WINDOWS = 20
LARGEST_RISE = 1.05
"""S3: of a window's median loss over that of the window before."""
LARGEST_SPIKE = 10.0
"""K1: of a loss over the least one before it in its stage."""
REDRAWN = Finding(
    Verdict.NOT_APPLICABLE,
    None,
    "the training points were redrawn, so that the losses of its epochs are not of one function",
)
"""S3, K1 of a run with ``resample``."""


@of_something_learned
@of_a_result
def falls_monotonically(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """S3. The largest ratio of a window's median of what the training lowers to that of the window before is at most 1.05."""
    if run.whole("resample"):
        return REDRAWN
    history = artifacts.history(run)
    return monotonicity(history[history.objective], known_target(cell).objective_floor)


def monotonicity(mse: Floats, floor: float) -> Finding:
    """S3 of a curve; NaN anywhere is FAIL, fewer epochs than windows NO DATA."""
    if len(mse) < WINDOWS:
        return no_data(f"{len(mse)} epochs; {WINDOWS} windows need as many")
    medians = _medians(mse) + floor
    ratios = medians[1:] / medians[:-1]
    if not np.isfinite(ratios).all():
        return Finding(Verdict.FAIL, math.inf, "the curve is not finite")
    worst = int(ratios.argmax())
    return at_most(float(ratios[worst]), LARGEST_RISE, f"largest from window {worst + 1} to {worst + 2}")


def _medians(mse: Floats) -> Floats:
    """Of the windows of ``np.array_split``, of which the first may be longer by one epoch."""
    size, longer = divmod(len(mse), WINDOWS)
    first, rest = np.split(mse, [longer * (size + 1)])
    return np.concatenate(
        [
            np.median(windows, axis=1)
            for windows in (first.reshape(longer, size + 1), rest.reshape(WINDOWS - longer, size))
            if len(windows)
        ]
    )


def changes_rate_once(cell: Cell, artifacts: Artifacts) -> Finding:
    """S4. Base rate in the first half of the epochs, a tenth of it in the second, and nothing else."""
    if cell.run is not None and cell.run.field("optimizer") not in ("adam", ""):
        return Finding(Verdict.NOT_APPLICABLE, None, f"{cell.run.field('optimizer')} has no such schedule of rates")
    return _changes_rate_once(cell, artifacts)


@of_a_result
def _changes_rate_once(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    history = artifacts.history(run)
    try:
        base = float(run.field("lr"))
    except ValueError:
        return no_data("cfg/lr was not recorded")
    return rate_schedule(history["lr"], base, history.planned)


def rate_schedule(rates: Floats, base: float, planned: int) -> Finding:
    """S4 of the rates of ``planned`` epochs. The figure is how many epochs have another rate; of an odd number the middle
    epoch may have either.
    """
    if not np.isfinite(rates).any():
        return no_data("the history has no rates")
    if planned < 2:
        return no_data("one epoch has no second half")
    half, epoch = planned / 2, np.arange(1, len(rates) + 1)
    first, second = np.isclose(rates, base, rtol=1e-9, atol=0), np.isclose(rates, 0.1 * base, rtol=1e-9, atol=0)
    right = np.where(epoch <= half, first, np.where(epoch >= half + 1, second, first | second))
    wrong = int((~right).sum()) + planned - len(rates)
    found = sorted({float(f"{rate:.6g}") for rate in np.unique(rates[np.isfinite(rates)])}, reverse=True)
    shown = ", ".join(f"{rate:g}" for rate in found[:4])
    return at_most(float(wrong), 0.0, f"rates found: {shown}; base {base:g}")


@dataclass(frozen=True)
class Stage:
    """The loss of a stage, one value an epoch; ``grid`` is NaN where none was recorded."""

    name: str
    grid: float
    mse: Floats


@of_a_result
def has_no_spike(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K1. No loss above 10 times the least before it in its stage, nor, once retrained, above 10 times that before the cut."""
    if run.whole("resample"):
        return REDRAWN
    brief = run.whole("retrain_briefly") if run.field("prune_mode") == "greedy" else None
    return spike(stages_of(artifacts.history(run), brief), known_target(cell).objective_floor)


def stages_of(history: History, brief: int | None) -> list[Stage]:
    """The stages of a history, in order.

    The history names stages, it does not number them, so the last brief retraining of greedy pruning and the long one after
    it follow each other under one name; ``brief``, the epochs of the first of the two, parts them.
    """
    names, mse, grids = history.stage, history[history.objective], history["kan/grid"]
    starts = [index for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    stages = []
    for start, end in zip(starts, [*starts[1:], len(names)], strict=True):
        if brief is not None and names[start] == "retrain" and end - start > brief:
            stages.append(Stage(names[start], float(grids[start]), mse[start : start + brief]))
            start += brief
        stages.append(Stage(names[start], float(grids[start]), mse[start:end]))
    return stages


def spike(stages: list[Stage], floor: float) -> Finding:
    """K1 of the stages of a run; a number that is not finite anywhere is FAIL.

    Judged are the loss within each stage, the retrained loss on the grid of the cut over that before the cut, and the loss at
    the end of each refinement over that at the end of the grid before. The note also has the largest jump of all and where it
    is: at a cut or a refinement the loss may jump, if training brings it back.
    """
    at = max((index for index, stage in enumerate(stages) if stage.name == "sparsify"), default=None)
    if at is None:
        return no_data("the history has no stage 'sparsify'")
    judged, jumps = [], []
    for stage in stages:
        if not np.isfinite(stage.mse).all():
            return Finding(Verdict.FAIL, math.inf, f"not finite in stage {stage.name}")
        lifted = stage.mse + floor
        judged.append((float(np.max(lifted / np.minimum.accumulate(lifted))), f"within stage {stage.name}"))
    before = stages[at]
    for old, new in itertools.pairwise(stages):
        if new.grid > old.grid:
            where = f"at the refinement {old.grid:g} to {new.grid:g}"
            judged.append((_ratio(new.mse[-1], old.mse[-1], floor), f"{where}, from end to end"))
            jumps.append((_ratio(new.mse[0], old.mse[-1], floor), where))
        elif new.name == "prune":
            jumps.append((_ratio(new.mse[0], old.mse[-1], floor), "at the cut"))
    after = [stage for stage in stages[at + 1 :] if stage.grid == before.grid]
    if after:
        where = f"at the cut, retrained on the same grid ({before.grid:g})"
        judged.append((_ratio(after[-1].mse[-1], before.mse[-1], floor), where))
    elif len(stages) > at + 1:
        return no_data("no epoch after the cut is known to be on its grid (kan/grid)")
    figure, where = max(judged)
    largest, there = max([*judged, *jumps])
    return at_most(figure, LARGEST_SPIKE, f"{where}; the largest jump of all is {number(largest, 'infinite')}, {there}")


def _ratio(after: float, before: float, floor: float) -> float:
    return float((after + floor) / (before + floor))
