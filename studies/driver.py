"""The driver: it alone asks and tells; the runs of its trials are computed by the workers of a benchmark."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import optuna

from harness.errors import BadInput
from harness.escaping import markdown
from harness.execution.benchmark import SUMMARY_S
from harness.execution.driving import CloseLost, LookAt, Work, close_ours, drive, parent_at_work
from harness.execution.executors import executor
from harness.execution.isolation import Limits
from harness.outcome import Outcome
from harness.run import Stop, stop_on_signals
from harness.tracking.claims import close_if_gone
from harness.tracking.liveness import HEARTBEAT_S, Watch, owner_tag
from harness.tracking.parent import child_tags, end_parent, leave_parent
from harness.tracking.store import look_at_store, lost_in_one_sentence, open_store, run_page, store_address
from studies.early_stopping import Earlier
from studies.findings import Findings, findings, write_findings, write_note
from studies.left_behind import OWNER, hand_over, take_over
from studies.measures import Measured
from studies.plan import Plan, Run, make_plan
from studies.runs import failed, measure_isolated, order_of
from studies.space import distributions
from studies.storage import alone, counted, give_sign, look_at_storage, open_storage, open_study, storage_lost
from studies.study_config import StudyConfig
from studies.trials import RECORD, OpenTrial, Told, refuse, report_run, tell

if TYPE_CHECKING:
    from mlflow import MlflowClient

ASK_S = 2.0
"""Seconds until a driver looks again for a trial, after there was none: another driver may be gone."""


@dataclass(frozen=True)
class StudyResult:
    """The result of a study."""

    name: str
    parent: str
    findings: Findings
    stopped: str | None
    """Why this driver ended before all trials were told."""
    url: str
    ui_command: str | None


TrialListener = Callable[[Told], None]
"""Is told of each trial that has ended."""


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
    none_until: float = 0.0
    """When it is worth while to ask for a trial again, after there was none."""
    refused: list[Told] = field(default_factory=list)
    """Trials that were told when they were asked for, and that the listener has not been told of yet."""


def tune(config: StudyConfig, listener: TrialListener = lambda told: None) -> StudyResult:
    """Ask for trials until the study has as many as it should; ``listener`` hears of each that is told.

    The same call after an interruption, of whatever kind, goes on where it stood, and several may be at work on one
    study. Raises BadInput, with nothing left behind, when the study, its storage, the store or the scheduler can't be
    used, and StoreLost when the store fails in the middle.
    """
    plan = make_plan(config)
    look_at_store()
    config.where.refuse_unsuitable_store(store_address())
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


def _tune(plan: Plan, config: StudyConfig, listener: TrialListener, stop: Stop) -> StudyResult:
    about = f"Study {markdown(plan.name)}: trials, and their runs."
    with ExitStack() as at_the_end:
        with executor(config.where) as pool:
            # Not before the scheduler is there, and the store after the study: what is refused leaves nothing.
            study = open_study(open_storage(config.storage), plan, config)
            client = open_store()
            desk = _desk(plan, config, study)
            opened = at_the_end.enter_context(
                parent_at_work(client, plan.name, plan.name, {"study": plan.name}, about, what="study")
            ).info
            submit = _submitter(
                client, opened.experiment_id, {"study": plan.name} | child_tags(opened.run_id), desk, pool
            )

            def look_at(run_id: str) -> None:
                close_if_gone(client, client.get_run(run_id), desk.watch)

            written = 0.0
            for told in work(desk, submit, config.where.worker_count(), stop, partial(close_ours, client), look_at):
                listener(told)
                if time.monotonic() - written > SUMMARY_S:
                    write_note(client, opened.run_id, plan, config, findings(plan, study))
                    written = time.monotonic()
        close_ours(client, Outcome.INTERRUPTED, f"{stop.reason or 'Stopped'}; it did not stop by itself in time.")
        found = findings(plan, study, weigh=True)
        write_findings(client, opened.run_id, plan, config, study, found)
        _conclude(client, opened.run_id, found, stop)
    return StudyResult(
        plan.name, opened.run_id, found, stop.reason, *run_page(client, opened.experiment_id, opened.run_id)
    )


def _conclude(client: MlflowClient, parent: str, found: Findings, stop: Stop) -> None:
    """The end of the parent run."""
    if stop.reason is not None:
        leave_parent(client, parent, Outcome.INTERRUPTED, stop.reason)
        return
    outcome = Outcome.COMPLETED if found.has_result else Outcome.ERROR
    end_parent(client, parent, outcome.value, found.sentence(), outcome.status)


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


def _submitter(client: MlflowClient, experiment_id: str, tags: Mapping[str, str], desk: Desk, pool: Executor) -> Submit:
    """The function that has a run of a trial computed by the pool."""
    config = desk.config
    limits = Limits(config.where.threads, config.run_timeout, config.where.max_memory)

    def submit(opened: OpenTrial, run: Run) -> Future[Measured]:
        looked_at = run.step is not None and desk.plan.prunable and config.pruning
        bounds = desk.earlier.bounds(run.config) if looked_at else {}
        of_trial = {**tags, "trial": str(opened.number)}
        order = order_of(run, desk.twins.get(run.twin or ""), client, experiment_id, of_trial, bounds)
        return pool.submit(measure_isolated, order, limits)

    return submit


@dataclass(frozen=True)
class Step:
    """A run of an open trial."""

    opened: OpenTrial
    run: Run

    @property
    def fingerprint(self) -> str:
        """That of the run."""
        return self.run.fingerprint


def work(desk: Desk, submit: Submit, slots: int, stop: Stop, close_lost: CloseLost, look_at: LookAt) -> Iterator[Told]:
    """Ask for trials, have their runs computed (:func:`drive`), ``slots`` at a time, and tell; yields each trial that was told.

    A trial has one run at work at a time, so that it can end early, unless there are fewer trials than slots. When ``stop``
    has a reason, open trials are handed over.
    """
    to_do = Work(
        take=partial(_next, desk, slots),
        again=lambda step: step.opened.again(step.run),
        submit=lambda step: submit(step.opened, step.run),
        failed=lambda step, *how: failed(step.run, *how),
        close_lost=close_lost,
        look_at=look_at,
        more=lambda: bool(desk.open or desk.undecided),
    )
    for now in drive(to_do, slots, stop):
        yield from _not_yet_heard_of(desk)
        for step, measured in now.ended:
            if not step.opened.closed:
                yield from _settle(desk, step.opened, step.run, measured)
        if time.monotonic() - desk.signed > HEARTBEAT_S:
            give_sign(desk.study)
            desk.signed = time.monotonic()
    yield from _not_yet_heard_of(desk)
    if stop.reason is not None:
        with alone(desk.config.storage):
            for opened in desk.open:
                hand_over(desk.study, desk.study.trials[opened.number])


def _next(desk: Desk, slots: int) -> Step | None:
    """The next run, of a trial that has none at work or of a new one; of any where there are no more trials.

    Runs that another process is at work on take up a slot too, so that no trial is asked for before it has to be.
    """
    if sum(opened.at_work for opened in desk.open) >= slots:
        return None
    while (step := _idle(desk)) is None and time.monotonic() >= desk.none_until:
        asked = ask(desk)
        if isinstance(asked, OpenTrial):
            desk.open.append(asked)
        elif asked is not None:
            desk.refused.append(asked)
        else:
            desk.none_until = time.monotonic() + ASK_S
    return step or _any(desk)


def _not_yet_heard_of(desk: Desk) -> Iterator[Told]:
    while desk.refused:
        yield desk.refused.pop(0)


def _settle(desk: Desk, opened: OpenTrial, run: Run, measured: Measured) -> Iterator[Told]:
    opened.take(run, measured)
    if run.step is not None:
        desk.earlier.add(measured.problem, measured.rungs)
    reason = report_run(desk.plan, opened, run)
    if reason is not None or opened.is_done():
        desk.open.remove(opened)
        yield tell(desk.plan, desk.study, opened, reason)


def _idle(desk: Desk) -> Step | None:
    """The next run of a trial that has none at work."""
    return next((Step(o, run) for o in desk.open if not o.at_work and (run := o.next_run()) is not None), None)


def _any(desk: Desk) -> Step | None:
    """The next run of any trial."""
    return next((Step(o, run) for o in desk.open if (run := o.next_run()) is not None), None)
