"""The one loop that has runs computed, for benchmarks, studies and exports, and the parent run above them.

All three try again what a lost worker leaves, ask later for what another process is at work on, keep only so many
submitted, and when they are asked to stop give the runs at work a moment to end.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

from harness.addresses import clean
from harness.errors import Stopped
from harness.escaping import in_filter
from harness.execution.isolation import DeadlinePassed, WorkerLost, stop_at_work
from harness.outcome import Outcome
from harness.run import Stop
from harness.tracking.claims import close, unfinished
from harness.tracking.liveness import Heartbeat
from harness.tracking.pages import ANY_RUNS
from harness.tracking.parent import child_tags, leave_parent, open_parent
from harness.tracking.store import STORE_ERRORS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RETRIES = 2
"""How often a run whose worker was lost is tried again."""
POLL_S = 0.5
BUSY_S = 2.0
"""Seconds between two looks at a run that another process is at work on."""
LOSSES = ("KilledWorker", "FutureCancelledError", "CancelledError")
"""What Dask raises for a worker that was lost; its classes can't be named without importing it."""


@runtime_checkable
class HasFingerprint(Protocol):
    """What is computed."""

    @property
    def fingerprint(self) -> str:
        """That of its run."""


@runtime_checkable
class HasEnded(Protocol):
    """What a worker gives back."""

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None when another process is at work on it."""

    @property
    def run_id(self) -> str:
        """The run, or that of the other process."""

    @property
    def reason(self) -> str:
        """Why it ended so."""

    @property
    def interrupted(self) -> bool:
        """Whether it was ended from outside, so that it has no result."""


Item = TypeVar("Item", bound=HasFingerprint)
Ended = TypeVar("Ended", bound=HasEnded)
CloseLost = Callable[[Outcome, str, str], str]
"""Closes what the worker of a run left RUNNING, by outcome, reason and fingerprint, and gives its id."""
LookAt = Callable[[str], object]
"""Is given the id of a run that another process is at work on, to close it once that is gone."""


@dataclass(frozen=True)
class Work(Generic[Item, Ended]):
    """The items to be computed, and how."""

    take: Callable[[], Item | None]
    """Gives the next item that can begin; None when there is none at the moment."""
    again: Callable[[Item], object]
    """Takes back an item that has to begin once more."""
    submit: Callable[[Item], Future[Ended]]
    failed: Callable[[Item, Outcome, str, str], Ended]
    """Makes the ending of an item without a result, from outcome, reason and run id."""
    close_lost: CloseLost
    look_at: LookAt
    more: Callable[[], bool] = lambda: False
    """Whether something may come although there is none at the moment, and nothing at work."""


@dataclass(frozen=True)
class Round(Generic[Item, Ended]):
    """What has happened since the last round."""

    ended: list[tuple[Item, Ended]] = field(default_factory=list)
    interrupted: list[tuple[Item, Ended]] = field(default_factory=list)
    """By our own stop: to be computed another time."""
    running: list[Item] = field(default_factory=list)
    busy: int = 0
    """Items that other processes are at work on."""


def drive(work: Work[Item, Ended], window: int, stop: Stop) -> Iterator[Round[Item, Ended]]:
    """Have everything computed, and say after each wait what has ended; ``window`` items are submitted at a time.

    An item whose worker is lost is tried again, ``RETRIES`` times, and so is one that was interrupted although
    we were not stopped. One that another process is at work on is asked for again later, and its run closed once that process is
    gone. When ``stop`` has a reason nothing new begins, and the last round says what has ended all the same.
    """
    futures: dict[Future[Ended], Item] = {}
    later: deque[tuple[float, Item]] = deque()
    losses: Counter[str] = Counter()
    while stop.reason is None:
        while later and later[0][0] <= time.monotonic():
            work.again(later.popleft()[1])
        while len(futures) < window and (item := work.take()) is not None:
            futures[work.submit(item)] = item
        if not futures and not later and not work.more():
            return
        ended = []
        for future in _done(futures):
            item = futures.pop(future)
            how = _ending(future, item, work, losses)
            if how is None:
                work.again(item)
            elif how.outcome is None:
                work.look_at(how.run_id)
                later.append((time.monotonic() + BUSY_S, item))
            else:
                ended.append((item, how))
        yield Round(ended, running=[item for future, item in futures.items() if future.running()], busy=len(later))
    yield _stopped(futures)


def _done(futures: Mapping[Future[Ended], Item]) -> set[Future[Ended]]:
    """Those that are over, after a wait for the first."""
    if not futures:
        time.sleep(POLL_S)
    return wait(futures, timeout=POLL_S, return_when=FIRST_COMPLETED).done


def _ending(future: Future[Ended], item: Item, work: Work[Item, Ended], losses: Counter[str]) -> Ended | None:
    """How an item ended, with its run closed where its process could not do that; None if it is to be tried again."""
    error = WorkerLost("The executor gave it up.") if future.cancelled() else future.exception()
    outcome, reason = Outcome.ERROR, clean(f"{type(error).__name__}: {error}")
    if error is None:
        ended = future.result()
        if not ended.interrupted:
            return ended
        outcome, error = Outcome.INTERRUPTED, WorkerLost(ended.reason)
    lost = isinstance(error, WorkerLost) or type(error).__name__ in LOSSES
    if isinstance(error, DeadlinePassed):
        outcome, reason = Outcome.TIMEOUT, str(error)
    elif lost:
        losses[item.fingerprint] += 1
        reason = f"{error} (attempt {losses[item.fingerprint]} of {RETRIES + 1})"
    run_id = work.close_lost(outcome, reason, item.fingerprint)
    if lost and losses[item.fingerprint] <= RETRIES:
        return None
    return work.failed(item, outcome, reason, run_id)


def _stopped(futures: Mapping[Future[Ended], Item]) -> Round[Item, Ended]:
    """Let the runs at work record what they have, for a moment, and say what came of them."""
    last: Round[Item, Ended] = Round()
    for future in stop_at_work(futures):
        if future.cancelled() or future.exception() is not None or (how := future.result()).outcome is None:
            continue
        (last.interrupted if how.interrupted else last.ended).append((futures[future], how))
    return last


@contextmanager
def parent_at_work(
    client: MlflowClient, section: str, name: str, identity: Mapping[str, str], about: str = ANY_RUNS, *, what: str
) -> Iterator[Run]:
    """The parent run (:func:`open_parent`), which gives signs of life until the end.

    Whoever is done with ``what`` without an exception ends the run too. After an exception it is left here
    (:func:`leave_parent`), and what our workers left is closed, if the store can be written.
    """
    opened = open_parent(client, section, name, identity, about)
    run_id = str(opened.info.run_id)
    try:
        with Heartbeat(client, run_id):
            yield opened
    except BaseException as error:
        outcome, reason = Outcome.ERROR, f"The {what} ended by {type(error).__name__}: {error}"
        if isinstance(error, Stopped | KeyboardInterrupt):
            outcome, reason = Outcome.INTERRUPTED, str(error) or "Stopped by SIGINT"
        with suppress(*STORE_ERRORS):
            close_ours(client, outcome, f"{reason}; the run did not end by itself in time.")
            leave_parent(client, run_id, outcome, reason)
        raise


def close_ours(client: MlflowClient, outcome: Outcome, reason: str, fingerprint: str | None = None) -> str:
    """Close what this driver's workers left RUNNING, of one run or at all, and give the last one's id."""
    of = f"tags.driver = {in_filter(child_tags('')['driver'])}"
    if fingerprint is not None:
        of += f" AND tags.fingerprint = {in_filter(fingerprint)}"
    run_id = ""
    for found in unfinished(client, of):
        run_id = str(found.run.info.run_id)
        close(client, run_id, reason, outcome)
    return run_id
