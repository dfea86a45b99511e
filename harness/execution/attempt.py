"""What a worker does with a cell: claim it, compute it, and say how that went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from harness.errors import BadInput
from harness.execution.isolation import Limits, discard_child, isolated
from harness.outcome import Outcome

if TYPE_CHECKING:
    from harness.run import EventListener


@dataclass(frozen=True)
class Task:
    """A cell to be computed, with all that a worker on any machine needs to know."""

    fields: Mapping[str, Any]
    fingerprint: str
    store: str
    experiment_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    since: float = 0.0
    """Results from before this Unix time don't count (``force``)."""
    twin: tuple[str, float] | None = None
    """Run id and dense MSE of the unpruned twin, where it is known."""


@dataclass(frozen=True)
class Attempted:
    """How an attempt at a cell ended. ``outcome`` is None when another process is at work on the cell."""

    fingerprint: str
    outcome: Outcome | None
    run_id: str = ""
    reason: str = ""
    dense_mse: float | None = None
    log10_nmse: float | None = None
    seconds: float = 0.0
    reused: bool = False
    """True when the store had the result already."""

    @property
    def interrupted(self) -> bool:
        """Whether it was ended from outside, so that it has no result."""
        return self.outcome is Outcome.INTERRUPTED


@runtime_checkable
class HasOutcome(Protocol):
    """What a worker gives back."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended."""


Ended = TypeVar("Ended", bound=HasOutcome)
Argument = TypeVar("Argument")


def isolated_from_errors(function: Callable[[Argument], Ended], argument: Argument, limits: Limits) -> Ended:
    """:func:`isolated`, with a fresh child after an error. Raises what that raises.

    The exception may hold on to whatever the cell had allocated, which must not cost the next one anything.
    """
    outcome: Outcome | None = Outcome.ERROR
    try:
        ended = isolated(function, argument, limits)
        outcome = ended.outcome
        return ended
    finally:
        if outcome is Outcome.ERROR:
            discard_child()


def attempt_isolated(task: Task, limits: Limits) -> Attempted:
    """:func:`attempt` in the warm child process of the calling thread. Raises what :func:`isolated` raises."""
    return isolated_from_errors(attempt, task, limits)


def attempt(task: Task, listener: EventListener = lambda event: None) -> Attempted:
    """Compute a cell, unless it has a result or another process is at work on it. To be called in a worker.

    ``listener`` is that of :func:`harness.run.run`.
    """
    from harness.after import Twin
    from harness.presets import resolve
    from harness.run import run
    from harness.tracking.claims import Busy, Done, claim, close
    from harness.tracking.naming import run_name
    from harness.tracking.results import result_of
    from harness.tracking.store import open_store, trust

    if reason := _of_changed_file(task):
        return Attempted(task.fingerprint, Outcome.ERROR, reason=reason)
    config = resolve(task.fields)
    trust(task.store)
    client = open_store()
    claimed = claim(client, task.fingerprint, task.experiment_id, run_name(config), task.tags, task.since)
    match claimed:
        case Busy():
            return Attempted(task.fingerprint, None, claimed.run_id, "Another process is at work on it.")
        case Done():
            found = result_of(claimed.run)
            return Attempted(
                task.fingerprint,
                found.outcome,
                found.run_id,
                claimed.run.data.tags.get("outcome.reason", ""),
                found.dense_mse,
                found.log10_nmse,
                found.seconds,
                reused=True,
            )
    started = time.monotonic()
    twin = None if task.twin is None else Twin(*task.twin)
    try:
        done = run(config, listener, tags=task.tags, run_id=claimed.run_id, twin=twin)
    except BadInput as error:
        # Found before the run began, so that the run that was claimed is still open.
        close(client, claimed.run_id, str(error), Outcome.ERROR)
        return Attempted(task.fingerprint, Outcome.ERROR, claimed.run_id, str(error))
    return Attempted(
        task.fingerprint,
        done.ending.outcome,
        done.run_id,
        done.ending.reason,
        done.metrics.get("final/dense_mse"),
        done.metrics.get("final/log10_nmse"),
        time.monotonic() - started,
    )


def _of_changed_file(task: Task) -> str:
    """Why the rows of the cell's file are not those that it was planned for; nothing where they are, and without a file."""
    from harness.fingerprint import fingerprint_of
    from harness.presets import resolve

    if not task.fields.get("data"):
        return ""
    changed = f"data = {PurePath(task.fields['data']).name!r} has changed since this cell was planned"
    try:
        there = fingerprint_of(resolve(task.fields))
    except BadInput as error:
        return f"{changed}: {error}"
    return "" if there == task.fingerprint else f"{changed}; start again."
