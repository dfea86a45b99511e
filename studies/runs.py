"""What a worker does with a run of a trial: compute it, and measure what the study looks at."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.execution.attempt import Task, attempt, isolated_from_errors
from harness.execution.isolation import Limits
from harness.outcome import Outcome
from harness.protocol import FLOOR, RESIDUAL_FLOOR
from studies.measures import CAP, Measured
from studies.plan import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun


@dataclass(frozen=True)
class Order:
    """A run to be computed and measured, with all that a worker on any machine needs to know."""

    task: Task
    bounds: Mapping[int, float]


def measure_isolated(order: Order, limits: Limits) -> Measured:
    """:func:`measure` in the warm child process of the calling thread. Raises what :func:`isolated` raises."""
    return isolated_from_errors(measure, order, limits)


def order_of(
    run: Run,
    twin: Measured | None,
    client: MlflowClient,
    experiment_id: str,
    tags: Mapping[str, str],
    bounds: Mapping[int, float],
) -> Order:
    """A run as a worker is given it; ``twin`` is what came of its unpruned twin, where it has one."""
    fields, known = run.config.model_dump(mode="json"), None
    if twin is not None and "final/dense_mse" in twin.metrics:
        known = (twin.run_id, twin.metrics["final/dense_mse"])
    return Order(Task(fields, run.fingerprint, client.tracking_uri, experiment_id, tags, twin=known), bounds)


def failed(run: Run, outcome: Outcome, reason: str, run_id: str) -> Measured:
    """A run without a result. If it was interrupted again and again, the values that it tried are not the reason."""
    outcome = Outcome.ERROR if outcome is Outcome.INTERRUPTED else outcome
    return Measured(run.config.problem, run.config.seed, outcome, reason, run_id)


def measure(order: Order) -> Measured:
    """Compute the run, unless the store has its result, and read off what came of it. To be called in a worker."""
    from harness.tracking.store import open_store
    from studies.early_stopping import EarlyStop

    watch = EarlyStop(order.bounds)
    ended = attempt(order.task, watch)
    fields = order.task.fields
    problem, seed = str(fields["problem"]), int(fields["seed"])
    if ended.outcome is None or not ended.run_id:  # no run was begun, or another driver has it
        return Measured(problem, seed, ended.outcome, ended.reason, ended.run_id)
    client = open_store()
    run = client.get_run(ended.run_id)
    of_equation = "val/residual" in run.data.metrics
    scale2 = 1.0 if of_equation else _scale2(run)  # a residual is in units of the forcing
    rungs = watch.errors
    if ended.reused and order.bounds:
        curve = client.get_metric_history(ended.run_id, "val/residual" if of_equation else "val/mse")
        rungs = {point.step: point.value for point in curve if point.step in order.bounds}
    return Measured(
        problem,
        seed,
        ended.outcome,
        ended.reason,
        ended.run_id,
        scale2,
        dict(run.data.metrics),
        rungs,
        watch.cut,
        _excess(client, ended.run_id, fields, RESIDUAL_FLOOR if of_equation else FLOOR * scale2),
        reused=ended.reused,
    )


def _excess(client: MlflowClient, run_id: str, fields: Mapping[str, Any], floor: float) -> dict[str, float]:
    """Of S3 and K1, log10 of the report's own figure over its threshold; nothing where the run has too few epochs. Where points
    are drawn anew both are N/A in a report, and met here.
    """
    from harness.tracking.fetching import download
    from reports.reading.gone import Gone
    from reports.reading.histories import read_history
    from reports.verdicts.curve_rules import LARGEST_RISE, LARGEST_SPIKE, monotonicity, spike, stages_of

    if fields.get("resample"):
        return {"S3": 0.0, "K1": 0.0}
    try:
        with TemporaryDirectory() as folder:
            history = read_history(download(client, run_id, "history.parquet", Path(folder)))
    except (Gone, OSError):
        return {}  # counts as constraints that are not met
    brief = int(fields["retrain_briefly"]) if fields.get("prune_mode") == "greedy" else None
    mse = history[history.objective]
    figures = {
        "S3": (monotonicity(mse, floor).figure, LARGEST_RISE),
        "K1": (spike(stages_of(history, brief), floor).figure, LARGEST_SPIKE),
    }
    return {name: min(CAP, math.log10(figure / most)) for name, (figure, most) in figures.items() if figure is not None}


def _scale2(run: MlflowRun) -> float:
    """Of the run's problem, as it has recorded it; 1 for a run that ended before it could."""
    return float(json.loads(run.data.tags.get("problem.facts", "{}")).get("scale2", 1.0))
