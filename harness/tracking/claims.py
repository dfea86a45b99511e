"""Who is at work on what. A RUNNING run is its process's claim to a fingerprint, and is given up when that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

from harness.errors import BadInput
from harness.escaping import in_filter
from harness.outcome import TERMINAL, Outcome
from harness.tracking import queries
from harness.tracking.liveness import Owner, Presence, Watch, owner_tag, presence
from harness.tracking.store import database, patiently

if TYPE_CHECKING:
    from sqlalchemy import Engine

T = TypeVar("T")
PAGE = 1000
"""Experiments, or runs, that MLflow is asked for at once."""
WITHDRAWAL_S = 5.0
"""Seconds in which a rival that started at the same moment withdraws, unless it is at work already."""
MARKS = ("fingerprint", "benchmark", "study", "study_export")
"""Tags one of which every run of this project has, from its first moment on."""


@dataclass(frozen=True)
class Unfinished:
    """A run of ours that the store shows as RUNNING, and what is known of its process."""

    run: Run
    process: Presence


def owner_of(run: Run) -> Owner | None:
    """The process that a run of this project belongs to; None for a run of anybody else."""
    tags = run.data.tags
    return Owner.parse(tags.get("owner", "")) if any(mark in tags for mark in MARKS) else None


def unfinished(client: MlflowClient, of: str = "", watch: Watch | None = None) -> Iterator[Unfinished]:
    """Every RUNNING run of ours, whatever experiment it belongs to; ``of`` is a further condition on them."""
    conditions = ("attributes.status = 'RUNNING'", "tags.owner LIKE 'harness/%'", of)
    for run in search(client, " AND ".join(filter(None, conditions))):
        if (process := process_of(run, watch)) is not None:
            yield Unfinished(run, process)


def process_of(run: Run, watch: Watch | None = None) -> Presence | None:
    """What is known of the process of a run; None for a run that is not ours."""
    owner = owner_of(run)
    if owner is None:
        return None
    sign = run.data.tags.get("heartbeat", "")
    return presence(owner, None if watch is None else watch.look(run.info.run_id, sign))


def search(client: MlflowClient, condition: str) -> Iterator[Run]:
    """Every run of the store that meets a condition of MLflow's, whatever experiment it belongs to."""
    for experiments in _pages(partial(client.search_experiments, ViewType.ACTIVE_ONLY, PAGE)):
        ids = [each.experiment_id for each in experiments]
        for runs in _pages(partial(client.search_runs, ids, condition, max_results=PAGE)):
            yield from runs


def _pages(search_for: Callable[..., PagedList[T]]) -> Iterator[PagedList[T]]:
    """Every page of a search of MLflow's."""
    token: str | None = None
    while page := search_for(page_token=token):
        yield page
        if not (token := page.token):
            break


def close(client: MlflowClient, run_id: str, reason: str, outcome: Outcome = Outcome.INTERRUPTED) -> bool:
    """End a run whose process can't do it any more, and say whether that was to be done.

    To be called once the process is known to be gone: the run is looked at again then, since its last act may have been
    to end it. One that had told its outcome, and lacks no more than the status, gets the status of that outcome.
    """
    run = client.get_run(run_id)
    if RunStatus.is_terminated(RunStatus.from_string(run.info.status)) or run.info.lifecycle_stage != "active":
        return False
    told = run.data.tags.get("outcome")
    if told in {each.value for each in Outcome}:
        outcome = Outcome(told)
    else:
        client.log_batch(run_id, tags=[RunTag("outcome", outcome.value), RunTag("outcome.reason", reason)])
    client.set_terminated(run_id, outcome.status)
    return True


def close_if_gone(client: MlflowClient, run: Run, watch: Watch | None = None) -> bool:
    """Close a run of ours, as ``interrupted``, if its process is known to be gone, and say whether it was closed."""
    process = process_of(run, watch)
    return process is not None and process.gone is True and close(client, run.info.run_id, left_behind(process))


def left_behind(process: Presence) -> str:
    """The reason of a run whose process is gone."""
    return f"Left behind: {process.sentence}."


def close_left_behind(client: MlflowClient) -> int:
    """Close every run of ours whose process is known to be gone, and say how many there were."""
    return sum(close_if_gone(client, each.run) for each in list(unfinished(client)))


def adopt(client: MlflowClient, run_id: str) -> Run:
    """The run that this process was given to record into, which must not hold anything yet.

    Raises BadInput, before anything is written, for one that is not there, is over, or holds a result.
    """
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise BadInput(f"MLFLOW_RUN_ID = {run_id!r} can't be used: {error.message.rstrip('.')}.") from error
    why = (
        f"it is {run.info.lifecycle_stage}"
        if run.info.lifecycle_stage != "active"
        else f"it is {run.info.status}"
        if run.info.status not in ("RUNNING", "SCHEDULED")
        else "it has an outcome"
        if "outcome" in run.data.tags
        else "it holds another run's configuration"
        if any(name.startswith("cfg/") for name in run.data.params)
        else None
    )
    if why is not None:
        raise BadInput(
            f"MLFLOW_RUN_ID = {run_id!r} can't be used: {why}; unset MLFLOW_RUN_ID, or name a run that is RUNNING or "
            "SCHEDULED and empty."
        )
    return run


def context_tags() -> dict[str, str]:
    """What MLflow knows of this process, but for a commit: it gives that of where the script lies that was started."""
    return {name: value for name, value in resolve_tags().items() if name != MLFLOW_GIT_COMMIT}


@dataclass(frozen=True)
class Busy:
    """Another process is at work on the fingerprint."""

    run_id: str


@dataclass(frozen=True)
class Done:
    """The fingerprint has a result already."""

    run: Run


@dataclass(frozen=True)
class Claimed:
    """The fingerprint is ours: the run to record into."""

    run_id: str


def claim(
    client: MlflowClient, fingerprint: str, experiment_id: str, name: str, tags: Mapping[str, str], since: float = 0.0
) -> Claimed | Busy | Done:
    """Start the run of a fingerprint, unless it has a result (``completed`` or ``diverged``) or is being computed.

    Results from before ``since`` (seconds of Unix time) don't count. Two processes never both get a claim, on any store
    that shows a run to everyone once it is written: each writes its run first and looks for rivals then, so at least one
    of the two sees the other. The one that sees a rival with a smaller id withdraws; the one with the smallest waits
    for the others to do so, and withdraws too if one does not, because it never saw this one and is at work. (The idea of
    Lamport's bakery, Comm. ACM 17, 1974.)
    """
    owner = owner_tag()
    if found := _standing(client, fingerprint, since, owner["owner"]):
        return found
    opening = {**context_tags(), **owner, **tags, "fingerprint": fingerprint}
    mine = str(client.create_run(experiment_id, run_name=name, tags=opening).info.run_id)
    patience = time.monotonic() + WITHDRAWAL_S
    while rival := _standing(client, fingerprint, since, owner["owner"], mine):
        if isinstance(rival, Done) or rival.run_id < mine or time.monotonic() > patience:
            client.delete_run(mine)
            return rival
        time.sleep(0.1)
    return Claimed(mine)


def _standing(
    client: MlflowClient, fingerprint: str, since: float, owner: str, mine: str | None = None
) -> Busy | Done | None:
    """What stands in the way of a claim: a result, or the rival with the smallest id. Closes what was left behind."""
    rivals: list[str] = []
    for run in runs_of(client, fingerprint, but=mine):
        if run.info.status != "RUNNING":
            if run.data.tags.get("outcome") in TERMINAL and run.info.start_time >= 1000 * since:
                return Done(run)
            continue
        process = process_of(run)
        if process is None:
            continue  # it looks like one of ours, but has no owner of ours
        # A process has one run at a time: a second one was made by a call that it thought had failed.
        if process.gone or run.data.tags["owner"] == owner:
            close(client, run.info.run_id, left_behind(process))
        else:
            rivals.append(str(run.info.run_id))
    return Busy(min(rivals)) if rivals else None


def runs_of(client: MlflowClient, fingerprint: str, but: str | None = None) -> list[Run]:
    """Every run of a fingerprint, except ``but``."""
    engine = database(client.tracking_uri)
    if engine is None:
        return [run for run in search(client, f"tags.fingerprint = {in_filter(fingerprint)}") if run.info.run_id != but]
    return [client.get_run(run_id) for run_id in _run_ids(engine, fingerprint) if run_id != but]


@patiently
def _run_ids(engine: Engine, fingerprint: str) -> list[str]:
    with engine.connect() as connection:
        return queries.run_ids(connection, fingerprint)
