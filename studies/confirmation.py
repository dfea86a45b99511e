"""Whether a study's winners hold on seeds that it never saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial

from harness.errors import BadInput, Stopped
from harness.execution.driving import CloseLost, LookAt, Work, drive
from harness.run import Stop
from studies.definition import median
from studies.findings import Findings
from studies.measures import Measured
from studies.plan import Plan, Run
from studies.runs import failed
from studies.trials import RECORD, succeeded


@dataclass(frozen=True)
class Confirmed:
    """Medians over fresh seeds of the first objective, on one problem."""

    problem: str
    before: float
    """Of the preset as it is."""
    chosen: float
    """Of the study's best trial."""
    chosen_range: tuple[float, float]
    """Best and worst seed."""
    own: float | None = None
    """Of the trial that was best on this problem, where that is another."""
    own_trial: int | None = None
    keeps_own: bool = False
    """Whether the problem gets values of its own."""
    violated: tuple[str, ...] = ()
    """Constraints that the best trial does not meet here."""


@dataclass(frozen=True)
class Confirmation:
    """The errors of a study's winners on fresh seeds."""

    trial: FrozenTrial
    seeds: range
    margin: float
    problems: tuple[Confirmed, ...]
    own: Mapping[str, FrozenTrial] = field(default_factory=dict)
    """Trials of problems that get values of their own."""

    @property
    def before(self) -> float:
        """Mean over problems, of the preset as it is."""
        return sum(each.before for each in self.problems) / len(self.problems)

    @property
    def of_trial(self) -> float:
        """Mean over problems, of the best trial."""
        return sum(each.chosen for each in self.problems) / len(self.problems)

    @property
    def after(self) -> float:
        """Mean over problems, of the best trial and of the problems' own ones where they are kept."""
        kept = (each.own if each.own is not None and each.keeps_own else each.chosen for each in self.problems)
        return sum(kept) / len(self.problems)

    @property
    def is_better(self) -> bool:
        """Whether the study's values beat the preset by the margin."""
        return self.after <= self.before - self.margin


Submit = Callable[[Run, Mapping[str, Measured]], Future[Measured]]
"""Has a run computed; it is given the results so far, for its twin."""


def best_trial(found: Findings, number: int | None) -> FrozenTrial:
    """The trial of that number, or the best one. Raises BadInput when the study has none that can be exported."""
    name = found.plan.name
    if not found.trials:
        raise BadInput(f"study {name!r} has no trial yet, so no preset is written.")
    if not found.has_result:
        raise BadInput(f"no trial of study {name!r} has a result, so no preset is written. {found.sentence()}")
    if number is not None:
        known = {trial.number: trial for trial in succeeded(found.trials)}
        if number not in known:
            raise BadInput(f"trial = {number} of study {name!r} has no result; those that have: {_few(known)}.")
        return known[number]
    if not found.best:
        raise BadInput(
            f"no trial of study {name!r} meets its constraints, so no preset is written; name one with trial."
        )
    return found.best[0]


def best_on(found: Findings, problem: str) -> FrozenTrial | None:
    """The trial with the smallest first objective on a problem, among those that meet its constraints there."""
    names = [f"{constraint.name} {problem}" for constraint in found.plan.study.constraints]
    candidates = [
        trial for trial in succeeded(found.trials) if all(trial.constraints.get(name, 1.0) <= 0 for name in names)
    ]
    return min(candidates, key=lambda trial: float(trial.user_attrs[RECORD]["problems"][problem][0]), default=None)


def confirm(
    found: Findings,
    trial: FrozenTrial,
    seeds: range,
    margin: float,
    submit: Submit,
    stop: Stop,
    close_lost: CloseLost,
    look_at: LookAt,
    window: int | None = None,
) -> Confirmation:
    """Train the preset, the best trial, and on each problem the trial that was best there, on seeds that are fresh.

    A problem keeps its own values when, by the medians, they meet the constraints and the best trial's values don't, or are
    worse by ``margin`` in the first objective. Raises BadInput when the study has seen one of the seeds, and Stopped
    when ``stop`` has a reason before all runs are done.
    """
    plan = found.plan
    candidates = {problem: best_on(found, problem) for problem in plan.problems}
    others = {problem: each for problem, each in candidates.items() if each is not None and each.number != trial.number}
    wanted: dict[tuple[str, str], list[Run]] = {}
    for problem in plan.problems:
        wanted["before", problem] = list(_runs(plan, None, problem, seeds))
        wanted["chosen", problem] = list(_runs(plan, trial.params, problem, seeds))
        if problem in others:
            wanted["own", problem] = list(_runs(plan, others[problem].params, problem, seeds))
    results = computed((run for runs in wanted.values() for run in runs), submit, stop, close_lost, look_at, window)
    measured = {
        key: [
            replace(results[run.fingerprint], twin=results.get(run.twin or "")) for run in runs if run.step is not None
        ]
        for key, runs in wanted.items()
    }
    rows = [_row(plan, problem, measured, others.get(problem), margin) for problem in plan.problems]
    kept = {row.problem: others[row.problem] for row in rows if row.keeps_own}
    return Confirmation(trial, seeds, margin, tuple(rows), kept)


def _row(
    plan: Plan,
    problem: str,
    measured: Mapping[tuple[str, str], list[Measured]],
    other: FrozenTrial | None,
    margin: float,
) -> Confirmed:
    objective = plan.study.objectives[0]
    chosen = measured["chosen", problem]
    singles = [median(objective, [run]) for run in chosen]
    row = Confirmed(
        problem,
        median(objective, measured["before", problem]),
        median(objective, chosen),
        (min(singles), max(singles)),
        violated=tuple(c.name for c in plan.study.constraints if median(c, chosen) > 0),
    )
    if other is None:
        return row
    own = measured["own", problem]
    value, allowed = median(objective, own), all(median(c, own) <= 0 for c in plan.study.constraints)
    keeps = allowed and (bool(row.violated) or value <= row.chosen - margin)
    return replace(row, own=value, own_trial=other.number, keeps_own=keeps)


def _runs(plan: Plan, values: Mapping[str, Any] | None, problem: str, seeds: range) -> Iterator[Run]:
    return plan.runs(values or {}, (problem,), seeds)


def computed(
    runs: Iterable[Run],
    submit: Submit,
    stop: Stop,
    close_lost: CloseLost,
    look_at: LookAt,
    window: int | None = None,
) -> dict[str, Measured]:
    """The result of each run by fingerprint (:func:`drive`); each begins after its twin. Without ``window`` all at once.

    Raises Stopped, once the runs at work had a moment to record what they have, when ``stop`` has a reason.
    """
    wanted = {run.fingerprint: run for run in runs}
    waiting = deque(wanted.values())
    results: dict[str, Measured] = {}

    def take() -> Run | None:
        ready = (run for run in waiting if run.twin not in wanted or run.twin in results)
        if (run := next(ready, None)) is not None:
            waiting.remove(run)
        return run

    work = Work(take, waiting.append, lambda run: submit(run, results), failed, close_lost, look_at)
    for now in drive(work, window or len(wanted), stop):
        results |= {run.fingerprint: measured for run, measured in now.ended}
    if len(results) < len(wanted):
        raise Stopped(stop.reason or "Stopped")
    return results


def _few(numbers: Iterable[int]) -> str:
    shown = sorted(numbers)
    return ", ".join(map(str, shown[:10])) + (", ..." if len(shown) > 10 else "")
