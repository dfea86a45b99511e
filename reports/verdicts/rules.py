"""The rules of the criteria: from one run to a finding. Each is the sentence of the table in docs/reports.md, exactly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from harness.models import LARGEST_STATE
from reports.reading.evidence import Cell
from reports.reading.histories import Artifacts, Floats, Gone, History, Panel, panels, read_columns
from reports.reading.store import Run
from reports.reading.targets import Target, target
from reports.verdicts.numbers import number
from reports.verdicts.verdict import Finding, Verdict, at_most, below, no_data

Rule = Callable[[Cell, Artifacts], Finding]
WINDOWS = 20
LARGEST_RISE = 1.05
"""S3: of a window's median loss over that of the window before."""
LARGEST_SPIKE = 10.0
"""K1: of a loss over the least one before it in its stage."""
LARGEST_LOSS = 2.0
"""K2: of a pruned network's error over that of its unpruned twin."""
LARGEST_HEIGHT = 2.0
"""X2: of a panel over what it has to show."""
LEARNED = 0.5
"""S1, S3: the NMSE up to which something was learned; a constant at the target's mean has 1."""
FINALS = ("dense_mse", "dense_nmse", "log10_nmse", "linf", "rel_l2", "h1_rel")


def of_a_result(rule: Callable[[Cell, Run, Artifacts], Finding]) -> Rule:
    """A rule on completed runs. One that diverged has not reached any figure, and fails; without a result there is no data."""

    def judge(cell: Cell, artifacts: Artifacts) -> Finding:
        if cell.run is None:
            return no_data("no run")
        if cell.outcome == "diverged":
            return Finding(Verdict.FAIL, math.inf, f"diverged: {cell.run.reason}")
        if cell.outcome != "completed":
            return no_data(f"{cell.outcome}: {cell.run.reason}".rstrip(": "))
        return _unless_gone(rule, cell, cell.run, artifacts)

    return judge


def of_an_ended_run(rule: Callable[[Cell, Run, Artifacts], Finding]) -> Rule:
    """A rule on runs that are over, however they ended."""

    def judge(cell: Cell, artifacts: Artifacts) -> Finding:
        if cell.run is None or cell.outcome == "running":
            return no_data("no run" if cell.run is None else "the run is at work, or was left open")
        return _unless_gone(rule, cell, cell.run, artifacts)

    return judge


def _unless_gone(
    rule: Callable[[Cell, Run, Artifacts], Finding], cell: Cell, run: Run, artifacts: Artifacts
) -> Finding:
    try:
        return rule(cell, run, artifacts)
    except Gone as gone:
        return no_data(str(gone))


def metric_at_most(name: str, threshold: float) -> Rule:
    """A final metric is no larger than the threshold."""
    return of_a_result(lambda cell, run, artifacts: at_most(cell.metric(name), threshold, _if_absent(cell, name)))


def metric_below(name: str, threshold: float) -> Rule:
    """A final metric is smaller than the threshold."""
    return of_a_result(lambda cell, run, artifacts: below(cell.metric(name), threshold, _if_absent(cell, name)))


def _if_absent(cell: Cell, name: str) -> str:
    return "" if cell.metric(name) is not None else f"{name} was not recorded"


def of_something_learned(rule: Rule) -> Rule:
    """A rule about the quality of a fit. Where nothing was learned it fails, whatever its figure: flat is smooth, too."""

    @of_a_result
    def judge(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
        found, nmse = rule(cell, artifacts), cell.metric("final/dense_nmse")
        if nmse is None:
            return no_data("final/dense_nmse was not recorded")
        if nmse <= LEARNED:
            return found
        figure = "" if found.figure is None else f"; its figure would be {number(found.figure, 'infinite')}"
        return Finding(Verdict.FAIL, math.inf, f"nothing was learned: NMSE {number(nmse, 'infinite')}{figure}")

    return judge


def _target(cell: Cell) -> Target:
    known = target(cell)
    if known is None:
        raise Gone(f"no run says what problem {cell.problem!r} is; name its plug-in with --plugins")
    return known


@of_something_learned
@of_a_result
def falls_monotonically(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """S3. The largest ratio of a window's median of ``train/mse`` to that of the window before is at most 1.05."""
    return monotonicity(artifacts.history(run)["train/mse"], _target(cell).floor)


def monotonicity(mse: Floats, floor: float) -> Finding:
    """S3 of a curve in squared units of the target; NaN anywhere is FAIL, fewer epochs than windows NO DATA."""
    if len(mse) < WINDOWS:
        return no_data(f"{len(mse)} epochs; {WINDOWS} windows need as many")
    medians = np.array([np.median(window) for window in np.array_split(mse, WINDOWS)]) + floor
    ratios = medians[1:] / medians[:-1]
    if not np.isfinite(ratios).all():
        return Finding(Verdict.FAIL, math.inf, "the curve is not finite")
    worst = int(ratios.argmax())
    return at_most(float(ratios[worst]), LARGEST_RISE, f"largest from window {worst + 1} to {worst + 2}")


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
    found = sorted({float(f"{rate:.6g}") for rate in rates if np.isfinite(rate)}, reverse=True)
    shown = ", ".join(f"{rate:g}" for rate in found[:4])
    return at_most(float(wrong), 0.0, f"rates found: {shown}; base {base:g}")


@dataclass(frozen=True)
class Stage:
    """The loss of a stage, one value an epoch, in squared units of the target; ``grid`` is NaN where none was recorded."""

    name: str
    grid: float
    mse: Floats


@of_a_result
def has_no_spike(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K1. No loss above 10 times the least before it in its stage, nor, once retrained, above 10 times that before the cut."""
    brief = run.whole("retrain_briefly") if run.field("prune_mode") == "greedy" else None
    return spike(stages_of(artifacts.history(run), brief), _target(cell).floor)


def stages_of(history: History, brief: int | None) -> list[Stage]:
    """The stages of a history, in order.

    The history names stages, it does not number them, so the last brief retraining of greedy pruning and the long one after
    it follow each other under one name; ``brief``, the epochs of the first of the two, parts them.
    """
    names, mse, grids = history.stage, history["train/mse"], history["kan/grid"]
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


@of_a_result
def is_near_its_twin(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K2. Dense MSE at most twice that of the unpruned twin; with the raw ratio, and whether it or the floor decided."""
    pruned, base = cell.metric("prune/mse_final"), cell.metric("prune/base_dense_mse")
    if pruned is None or base is None:
        return no_data("the unpruned twin has no result" if base is None else "prune/mse_final was not recorded")
    return nearness(pruned, base, _target(cell).floor)


def nearness(pruned: float, base: float, floor: float) -> Finding:
    """K2 of two errors. The floor decided where the raw ratio would fail, or where both errors are below it."""
    raw = pruned / base if base > 0 else math.inf if pruned > 0 else 1.0
    ratio = (pruned + floor) / (base + floor)
    by_floor = ratio <= LARGEST_LOSS and (raw > LARGEST_LOSS or max(pruned, base) < floor)
    decided = f"the floor of {number(floor)} decided" if by_floor else "the ratio decided"
    return at_most(
        ratio,
        LARGEST_LOSS,
        f"MSE {number(pruned)}, twin {number(base)}: raw ratio {number(raw, 'infinite')}; {decided}",
    )


@of_a_result
def has_three_stages(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K3. Sparsify, prune, retrain in this order, each with epochs that have a time and an error."""
    if "stages" not in run.tags:
        return no_data("the tag stages was not recorded")
    order = run.tags["stages"].split(",")
    where = [order.index(name) if name in order else -1 for name in ("sparsify", "prune", "retrain")]
    if -1 in where or where != sorted(where):
        return Finding(Verdict.FAIL, None, f"stages are {run.tags['stages']}")
    history = artifacts.history(run)
    recorded = np.isfinite(history["train/mse"]) & np.isfinite(history["time/train_s"])
    epochs = {name: sum(1 for s, ok in zip(history.stage, recorded, strict=True) if ok and s == name) for name in order}
    empty = [name for name in ("sparsify", "prune", "retrain") if not epochs[name]]
    shown = ", ".join(f"{name} {count}" for name, count in epochs.items())
    return Finding(Verdict.FAIL if empty else Verdict.PASS, None, f"epochs: {shown}")


@of_a_result
def is_reduced(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K4. A fifth of the active parameters gone, or more. Greedy pruning stops once what it was told to cut is gone."""
    reduction = cell.metric("prune/reduction")
    if reduction is None:
        return no_data("prune/reduction was not recorded")
    notes = ["beyond 50%"] if reduction > 0.5 else []
    if run.field("prune_mode") == "greedy":
        notes.append(f"where the greedy cut stops, told to cut {run.field('reduction')}; not how far one could cut")
    return Finding(Verdict.PASS if reduction >= 0.2 - 1e-12 else Verdict.FAIL, reduction, "; ".join(notes))


@of_an_ended_run
def says_why_it_failed(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """E1. A run that is not completed has an outcome, a reason, and the exception where there was one."""
    if cell.outcome == "completed":
        return Finding(Verdict.NOT_APPLICABLE, None, "completed: nothing to explain")
    wanted = ["outcome", "outcome.reason", *(["error.type", "error.message"] if "error.type" in run.tags else [])]
    lacking = [name for name in wanted if not run.tags.get(name)]
    if "error.type" in run.tags:
        try:
            artifacts.path(run, "error/traceback.txt")
        except Gone as gone:
            if gone.all_of_them:
                raise
            lacking.append("error/traceback.txt")
    if lacking:
        return Finding(Verdict.FAIL, None, f"{cell.outcome}, without {', '.join(lacking)}")
    return Finding(Verdict.PASS, None, f"{cell.outcome}: {run.reason}")


def is_accounted_for(cell: Cell, artifacts: Artifacts) -> Finding:
    """E2. A planned cell has a run that is over, and none that is still open."""
    if cell.run is None:
        return Finding(Verdict.FAIL, None, "planned, and there is no run")
    if cell.running:
        return Finding(Verdict.FAIL, None, "RUNNING: at work, or left open")
    return Finding(Verdict.PASS, None, cell.outcome)


@of_an_ended_run
def keeps_what_it_had(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """E3. A run that did not complete but made a step has its history, a last finite checkpoint and a loss figure."""
    if cell.outcome == "completed":
        return Finding(Verdict.NOT_APPLICABLE, None, "completed: nothing partial")
    if not run.metrics.get("evals") and "train/mse" not in run.metrics:
        return Finding(Verdict.NOT_APPLICABLE, None, f"{cell.outcome}: the store has no step of it")
    checks: dict[str, Callable[[], object]] = {
        "history": lambda: artifacts.history(run),
        "checkpoint": lambda: _check_finite(artifacts.path(run, "checkpoint")),
        "loss figure": lambda: artifacts.check_picture(run, "figures/loss.png"),
    }
    lacking = []
    for what, check in checks.items():
        try:
            check()
        except Gone as gone:
            if gone.all_of_them and "nan.occurred" in run.tags:
                raise  # it had concluded its record, so somebody has taken the artifacts away since
            lacking.append(f"{what} ({gone})")
    if lacking:
        return Finding(Verdict.FAIL, None, f"{cell.outcome}, without {', '.join(lacking)}")
    return Finding(Verdict.PASS, None, f"{cell.outcome}: history, checkpoint and loss figure are there")


def _check_finite(folder: Path) -> None:
    path = folder / "state.safetensors"
    try:
        if path.stat().st_size > LARGEST_STATE:
            raise Gone(f"checkpoint/state.safetensors has {path.stat().st_size} bytes, more than any that was saved")
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Gone(f"checkpoint/state.safetensors can't be read: {error}") from error
    if not all(np.isfinite(values).all() for values in state.values() if values.dtype.kind == "f"):
        raise Gone("checkpoint/state.safetensors is not finite")


@of_an_ended_run
def completes(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """O1. The cell's run is completed."""
    return Finding(Verdict.PASS if cell.outcome == "completed" else Verdict.FAIL, None, f"{cell.outcome}: {run.reason}")


@of_an_ended_run
def has_its_pictures(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """O2. Every figure that the contract names is there, whole, and not blank."""
    fit = "heatmap.png" if _target(cell).dimension == 2 else "fit.png"
    names = ["loss.png", fit, *(["kan.png"] if cell.model.startswith("kan") else [])]
    lacking = []
    for name in names:
        try:
            artifacts.check_picture(run, f"figures/{name}")
        except Gone as gone:
            if gone.all_of_them:
                raise
            lacking.append(str(gone))
    if lacking:
        return Finding(Verdict.FAIL, None, "; ".join(lacking))
    return Finding(Verdict.PASS, None, ", ".join(names))


@of_an_ended_run
def is_finite_throughout(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """O3. No NaN or infinity was met, and every final metric is finite (one that is not is an event, and not recorded)."""
    counts = [run.metrics.get(name) for name in ("nan/count", "inf/count")]
    if None in counts:
        return no_data("nan/count and inf/count were not recorded")
    events = sum(count for count in counts if count is not None)
    finals = [f"final/{name}" for name in FINALS]
    finals += ["final/roughness_ratio"] if _target(cell).dimension == 2 else []
    bad = [name for name in finals if not math.isfinite(run.metrics.get(name, math.nan))]
    lacking = f"not finite: {', '.join(bad)}" if cell.outcome == "completed" and bad else ""
    if not events <= 0:
        first = f"first in epoch {run.metrics.get('nan/first_step', math.nan):.0f}"
        return Finding(Verdict.FAIL, events, "; ".join(filter(None, (first, lacking))))
    if cell.outcome != "completed":
        return no_data(f"{cell.outcome}: there are no final metrics")
    if len(bad) == len(finals):
        return no_data("there are no final metrics")
    return Finding(Verdict.FAIL if bad else Verdict.PASS, 0.0, lacking)


@of_an_ended_run
def shows_small_values(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """X2. By the axes and curves of the figure, held against the values of the run."""
    artifacts.check_picture(run, "figures/fit.png")
    values = read_columns(artifacts.path(run, "dense.parquet"), ["target", "prediction"])
    return on_its_scale(
        panels(artifacts.path(run, "figures/fit.png")), values["target"], values["prediction"] - values["target"]
    )


def on_its_scale(drawn: list[Panel], target: Floats, residual: Floats) -> Finding:
    """X2 of the panels of a figure. The figure is the height of the panel over what it has to show, the larger of the two.

    The target's extent is its range (its size, if it is constant); that of the residual, which is drawn around zero, twice its
    largest size. Both curves have to be those of the run, whole inside of their panels.
    """
    where = {name: panel for panel in drawn for name in panel.data}
    if "target" not in where or "residual" not in where or where["target"] is where["residual"]:
        return Finding(Verdict.FAIL, None, "target and residual have no panel each")
    heights = []
    for name, values in (("target", target), ("residual", residual)):
        finite, panel = values[np.isfinite(values)], where[name]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)
        if not np.allclose(panel.data[name], (low, high), rtol=1e-6, atol=0):
            return Finding(Verdict.FAIL, None, f"the curve of the {name} is not that of the run")
        if not (panel.shown[0] <= low and high <= panel.shown[1]):
            return Finding(Verdict.FAIL, None, f"the {name} runs out of its panel")
        extent = (high - low) or abs(high) if name == "target" else 2 * max(abs(low), abs(high))
        heights.append((panel.shown[1] - panel.shown[0]) / extent if extent > 0 else 1.0)
    return at_most(
        max(heights), LARGEST_HEIGHT, f"panels are {number(heights[0])} and {number(heights[1])} of what they show"
    )
