"""Rules on what a run leaves behind: E1 to E3, O1 to O3, D2, X2. Each is its sentence in docs/reports.md, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from harness.families import figures_of
from harness.protocol import LARGEST_STATE
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.gone import Gone
from reports.reading.histories import Floats, read_columns
from reports.reading.png import DrawnAxes, drawn_axes
from reports.reading.run import Run
from reports.verdicts.numbers import number
from reports.verdicts.rules import known_target, of_a_result, of_an_ended_run
from reports.verdicts.verdict import Finding, Verdict, at_most, no_data

LARGEST_HEIGHT = 2.0
"""X2: of a panel over what it has to show."""
OVERFITTED = 2.0
"""D2: of the held-out error over that of training."""
FINALS = ("dense_mse", "dense_nmse", "log10_nmse", "linf", "rel_l2", "h1_rel")


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
    from harness.problems.pictures import pictures_of  # late: whoever only lists the criteria needs no problem

    known = known_target(cell)
    names = ["loss.png", *pictures_of(known.kind, known.dimension), *figures_of(cell.model)]
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
    known = known_target(cell)
    # The rows of a file have no gradient, only what is on a grid has a Laplacian, and only an equation a residual.
    finals = [f"final/{name}" for name in FINALS if not known.of_rows or name != "h1_rel"]
    finals += ["final/residual_nmse"] if known.is_equation else []
    finals += ["final/roughness_ratio"] if known.on_grid and known.dimension == 2 else []
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


def at_taken_epoch(run: Run, name: str, artifacts: Artifacts) -> float | None:
    """An error by epoch where the model is from: the last, unless the run has stopped by validation."""
    best = run.metrics.get("val/best_epoch")
    if best is None:
        return run.metrics.get(name)
    history = artifacts.history(run)
    at = history[name][history.epoch == best]
    return float(at[0]) if len(at) else None


@of_a_result
def generalises(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """D2. The error on held-out rows is within twice that on training rows, with the floor; else it is flagged as over-fitted."""
    floor = known_target(cell).floor
    held_out, train = (at_taken_epoch(run, name, artifacts) for name in ("test/mse", "train/mse"))
    if held_out is None or train is None:
        return no_data("test/mse and train/mse were not recorded")
    found = at_most((held_out + floor) / (train + floor), OVERFITTED)
    return Finding(found.verdict, found.figure, "" if found.verdict is Verdict.PASS else "over-fitted")


@of_an_ended_run
def shows_small_values(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """X2. By the axes and curves of the figure, held against the values of the run."""
    artifacts.check_picture(run, "figures/fit.png")
    values = read_columns(artifacts.path(run, "dense.parquet"), ["target", "prediction"])
    return on_its_scale(
        drawn_axes(artifacts.path(run, "figures/fit.png")), values["target"], values["prediction"] - values["target"]
    )


def on_its_scale(drawn: list[DrawnAxes], target: Floats, residual: Floats) -> Finding:
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
