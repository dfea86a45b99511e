"""The driver: it alone asks and tells; the runs of its trials are computed by the workers of a benchmark."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import optuna

from harness.errors import BadInput
from harness.escaping import markdown
from harness.execution.attempt import Task
from harness.execution.benchmark import BUSY_S, POLL_S, SUMMARY_S, close_ours
from harness.execution.executors import executor, refuse_unsuitable_store
from harness.execution.isolation import Limits, stop_at_work
from harness.outcome import Outcome
from harness.run import Stop, stop_on_signals
from harness.tracking.claims import close_if_gone
from harness.tracking.liveness import HEARTBEAT_S, Heartbeat, Watch, owner_tag
from harness.tracking.parent import child_tags, end_parent, open_parent
from harness.tracking.store import look_at_store, lost_in_one_sentence, open_store, run_page, store_address
from studies.config import StudyConfig
from studies.early_stopping import Earlier
from studies.findings import Findings, findings, write_findings, write_note
from studies.left_behind import OWNER, hand_over, take_over
from studies.measures import Measured
from studies.plan import Plan, Run, make_plan
from studies.runs import CloseLost, LookAt, Order, came_of, measure_isolated
from studies.space import distributions
from studies.storage import alone, counted, give_sign, look_at_storage, open_storage, open_study, storage_lost
from studies.trials import RECORD, OpenTrial, Told, refuse, report_run, tell

if TYPE_CHECKING:
    from mlflow import MlflowClient

ASK_S = 2.0
"""Seconds until a driver looks again for a trial, after there was none: another driver may be gone."""


@dataclass(frozen=True)
class StudyResult:
    """What a study came to."""

    name: str
    parent: str
    findings: Findings
    stopped: str | None
    """Why this driver ended before all trials were told."""
    url: str
    ui_command: str | None


Listener = Callable[[Told], None]


@dataclass
class Desk:
    """A driver's state: the study, what is open, and what is known of earlier runs."""

    plan: Plan
    config: StudyConfig
    study: optuna.Study
    open: list[OpenTrial] = field(default_factory=list)
    twins: dict[str, Measured] = field(default_factory=dict)
    earlier: Earlier = field(default_factory=Earlier)
    deadline: float | None = None
    signed: float = field(default_factory=time.monotonic)
    watch: Watch = field(default_factory=Watch)
    undecided: int = 0
    """Trials of other drivers of which it can't be told yet whether these are gone."""


def tune(config: StudyConfig, listener: Listener = lambda told: None) -> StudyResult:
    """Ask for trials until the study has as many as it should; ``listener`` hears of each that is told.

    The same call after an interruption, of whatever kind, goes on where it stood, and several may be at work on one
    study. Raises BadInput, with nothing left behind, when the study, its storage, the store or the scheduler can't be
    used, and StoreLost when the store fails in the middle.
    """
    plan = make_plan(config)
    look_at_store()
    refuse_unsuitable_store(config.where, store_address())
    look_at_storage(config.storage)
    with lost_in_one_sentence(), storage_lost(), stop_on_signals() as stop:
        return _tune(plan, config, listener, stop)


def _desk(plan: Plan, config: StudyConfig, study: optuna.Study) -> Desk:
    desk = Desk(plan, config, study)
    if config.timeout is not None:
        desk.deadline = time.monotonic() + config.timeout
    for trial in study.get_trials(deepcopy=False):
        for problem, runs in trial.user_attrs.get(RECORD, {}).get("rungs", {}).items():
            for errors in runs:
                desk.earlier.add(problem, {int(epoch): error for epoch, error in errors.items()})
    return desk


def _tune(plan: Plan, config: StudyConfig, listener: Listener, stop: Stop) -> StudyResult:
    with executor(config.where) as pool, ExitStack() as beating:
        # Not before the scheduler is there, and the store after the study: what is refused leaves nothing.
        study = open_study(open_storage(config.storage), plan, config)
        client = open_store()
        desk = _desk(plan, config, study)
        opened = open_parent(
            client, plan.name, plan.name, {"study": plan.name}, f"Study {markdown(plan.name)}: trials, and their runs."
        )
        parent, experiment_id = opened.info.run_id, opened.info.experiment_id
        beating.enter_context(Heartbeat(client, parent))
        make = partial(_order, client, experiment_id, {"study": plan.name} | child_tags(parent), desk)
        written = 0.0
        limits = Limits(config.where.threads, config.run_timeout, config.where.max_memory)

        def submit(opened: OpenTrial, run: Run) -> Future[Measured]:
            return pool.submit(measure_isolated, make(opened, run), limits)

        def look_at(run_id: str) -> None:
            close_if_gone(client, client.get_run(run_id), desk.watch)

        close_lost = partial(close_ours, client)
        for told in work(desk, submit, config.where.worker_count(), stop, close_lost, look_at):
            listener(told)
            if time.monotonic() - written > SUMMARY_S:
                write_note(client, parent, plan, config, findings(plan, study))
                written = time.monotonic()
    close_ours(client, Outcome.INTERRUPTED, f"{stop.reason or 'Stopped'}; it did not stop by itself in time.")
    found = findings(plan, study, weigh=True)
    write_findings(client, parent, plan, config, study, found)
    outcome, status, reason = Outcome.COMPLETED, "FINISHED", found.sentence()
    if stop.reason is not None:
        outcome, status, reason = Outcome.INTERRUPTED, "KILLED", stop.reason
    elif not found.has_result:
        outcome, status = Outcome.ERROR, "FAILED"
    end_parent(client, parent, outcome.value, reason, status)
    return StudyResult(plan.name, parent, found, stop.reason, *run_page(client, experiment_id, parent))


def ask(desk: Desk) -> OpenTrial | Told | None:
    """The next trial, or None when there are enough, or it is too late. Takes over those of drivers that are gone.

    A trial whose values don't fit together is told at once.
    """
    desk.undecided = 0
    if desk.deadline is not None and time.monotonic() > desk.deadline:
        return None
    with alone(desk.config.storage):
        desk.undecided = take_over(desk.study, desk.watch)
        if len(counted(desk.study)) >= desk.config.trials:
            return None
        trial = desk.study.ask(distributions(desk.plan.study.space))
        trial.set_user_attr(OWNER, owner_tag()["owner"])
    try:
        return OpenTrial(trial, deque(desk.plan.runs(trial.params)), twins=desk.twins)
    except BadInput as error:
        return refuse(desk.study, trial, str(error))


Submit = Callable[[OpenTrial, Run], Future[Measured]]


def work(desk: Desk, submit: Submit, slots: int, stop: Stop, close_lost: CloseLost, look_at: LookAt) -> Iterator[Told]:
    """Ask for trials, have their runs computed, ``slots`` at a time, and tell; yields each trial that was told.

    A trial has one run at work at a time, so that it can end early, unless there are fewer trials than slots. A run whose
    worker is lost is tried again, ``RETRIES`` times; of one that somebody else is at work on, ``look_at`` gets the id, and
    it is asked for again. When ``stop`` has a reason, open trials are handed over.
    """
    futures: dict[Future[Measured], tuple[OpenTrial, Run]] = {}
    later: deque[tuple[float, OpenTrial, Run]] = deque()
    losses: Counter[str] = Counter()
    none_until = 0.0
    while stop.reason is None:
        while later and later[0][0] <= time.monotonic():
            _, opened, run = later.popleft()
            opened.again(run)
        while len(futures) + len(later) < slots:
            chosen = _idle(desk)
            if chosen is None and time.monotonic() >= none_until:
                asked = ask(desk)
                if isinstance(asked, OpenTrial):
                    desk.open.append(asked)
                elif asked is not None:
                    yield asked
                if asked is not None:
                    continue
                none_until = time.monotonic() + ASK_S
            chosen = chosen or _any(desk)
            if chosen is None:
                break
            futures[submit(*chosen)] = chosen
        if not futures and not later and not desk.open and not desk.undecided:
            break
        if not futures:
            time.sleep(POLL_S)
        done, _ = wait(futures, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            opened, run = futures.pop(future)
            measured = came_of(future, run, losses, close_lost)
            if measured is None:
                opened.again(run)
            elif measured.outcome is None:
                look_at(measured.run_id)
                later.append((time.monotonic() + BUSY_S, opened, run))
            elif not opened.closed:
                yield from _settle(desk, opened, run, measured)
        if time.monotonic() - desk.signed > HEARTBEAT_S:
            give_sign(desk.study)
            desk.signed = time.monotonic()
    _stop(desk, futures)


def _settle(desk: Desk, opened: OpenTrial, run: Run, measured: Measured) -> Iterator[Told]:
    opened.take(run, measured)
    if run.step is not None:
        desk.earlier.add(measured.problem, measured.rungs)
    reason = report_run(desk.plan, opened, run)
    if reason is not None or opened.is_done():
        desk.open.remove(opened)
        yield tell(desk.plan, desk.study, opened, reason)


def _idle(desk: Desk) -> tuple[OpenTrial, Run] | None:
    """The next run of a trial that has none at work."""
    return next(((o, run) for o in desk.open if not o.at_work and (run := o.next_run()) is not None), None)


def _any(desk: Desk) -> tuple[OpenTrial, Run] | None:
    """The next run of any trial."""
    return next(((opened, run) for opened in desk.open if (run := opened.next_run()) is not None), None)


def _stop(desk: Desk, futures: dict[Future[Measured], tuple[OpenTrial, Run]]) -> None:
    """Let the runs at work record what they have, for a moment, and hand the open trials over to whoever comes next."""
    stop_at_work(futures)
    with alone(desk.config.storage):
        for opened in desk.open:
            hand_over(desk.study, desk.study.trials[opened.number])


def _order(
    client: MlflowClient, experiment_id: str, tags: dict[str, str], desk: Desk, opened: OpenTrial, run: Run
) -> Order:
    of_trial = tags | {"trial": str(opened.number)}
    twin = desk.twins.get(run.twin or "")
    known = None
    if twin is not None and "final/dense_mse" in twin.metrics:
        known = (twin.run_id, twin.metrics["final/dense_mse"])
    task = Task(
        run.config.model_dump(mode="json"), run.fingerprint, client.tracking_uri, experiment_id, of_trial, twin=known
    )
    looked_at = run.step is not None and desk.plan.prunable and desk.config.pruning
    return Order(task, desk.earlier.bounds(run.config) if looked_at else {})
