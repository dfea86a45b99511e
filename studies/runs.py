"""What a worker does with a run of a trial: compute it, and measure what the study looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from harness.execution.attempt import Task, attempt, isolated_from_errors
from harness.execution.isolation import Limits
from studies.measures import Measured


@dataclass(frozen=True)
class Order:
    """A run to be computed and measured, with all that a worker on any machine needs to know."""

    task: Task
    bounds: Mapping[int, float]


def measure_isolated(order: Order, limits: Limits) -> Measured:
    """:func:`measure` in the warm child process of the calling thread. Raises what :func:`isolated` raises."""
    return isolated_from_errors(measure, order, limits)


def measure(order: Order) -> Measured:
    """Compute the run, unless the store has its result, and read off what came of it. To be called in a worker."""
    from harness.tracking.store import open_store
    from studies.rungs import Watch

    watch = Watch(order.bounds)
    ended = attempt(order.task, watch)
    fields = order.task.fields
    problem, seed = str(fields["problem"]), int(fields["seed"])
    if ended.outcome is None:
        return Measured(problem, seed, None, ended.reason, ended.run_id)
    client = open_store()
    rungs = watch.errors
    if ended.reused and order.bounds:
        curve = client.get_metric_history(ended.run_id, "val/mse")
        rungs = {point.step: point.value for point in curve if point.step in order.bounds}
    return Measured(
        problem,
        seed,
        ended.outcome,
        ended.reason,
        ended.run_id,
        _scale2(problem),
        dict(client.get_run(ended.run_id).data.metrics),
        rungs,
        watch.cut,
        reused=ended.reused,
    )


@cache
def _scale2(problem: str) -> float:
    from harness import problems
    from harness.data import dense_points, scale2

    found = problems.get(problem)
    return scale2(found.target(dense_points(found)))
