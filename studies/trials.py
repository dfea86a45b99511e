"""A trial at work: its runs in order, their results, and what Optuna is told of the trial then."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import TrialState

from harness.outcome import Outcome
from studies.definition import median
from studies.early_stopping import noted
from studies.measures import Measured
from studies.plan import Plan, Run
from studies.storage import counted

RECORD = "record"
"""The attribute in which a trial keeps the results of its runs."""
LEAST_WEIGHED = 10
"""Complete trials from which on the importance of a hyperparameter is told. Of fewer any order comes out."""


@dataclass
class OpenTrial:
    """A trial whose runs are not all done."""

    trial: optuna.Trial
    waiting: deque[Run]
    at_work: int = 0
    ended: dict[int, Measured] = field(default_factory=dict)
    """Results of its runs by step."""
    twins: dict[str, Measured] = field(default_factory=dict)
    """Results of the unpruned twins by fingerprint; shared by all trials."""
    closed: bool = False
    """Whether it was told, although runs may be at work."""

    @property
    def number(self) -> int:
        """Its number in the study, from 0."""
        return int(self.trial.number)

    def next_run(self) -> Run | None:
        """Take the next run that can begin: one whose twin is known. None if there is none."""
        for run in list(self.waiting):
            if run.step is None and run.fingerprint in self.twins:
                self.waiting.remove(run)
            elif run.twin is None or run.twin in self.twins:
                self.waiting.remove(run)
                self.at_work += 1
                return run
        return None

    def again(self, run: Run) -> None:
        """Put back a run whose worker was lost, or that somebody else is at work on."""
        self.at_work -= 1
        self.waiting.appendleft(run)

    def take(self, run: Run, measured: Measured) -> None:
        """Take in the result of a run."""
        self.at_work -= 1
        if run.step is None:
            self.twins[run.fingerprint] = measured
        else:
            self.ended[run.step] = replace(measured, twin=self.twins.get(run.twin or ""))

    def is_done(self) -> bool:
        """Whether every run has ended."""
        return not self.waiting and not self.at_work


@dataclass(frozen=True)
class Told:
    """How a trial ended."""

    number: int
    state: TrialState
    values: tuple[float, ...]
    reason: str
    seconds: float
    violated: str
    """Which constraints it does not meet, and by how much; empty if it meets all, or none was held."""
    ended: int
    """How many trials of the study have ended, this one among them; by whichever driver."""


def report_run(plan: Plan, opened: OpenTrial, run: Run) -> str | None:
    """Report the run that has just ended, and say why the trial should end, if it should."""
    if run.step is None or not plan.prunable:
        return None
    opened.trial.report(median(plan.study.objectives[0], [opened.ended[run.step]]), run.step)
    if opened.waiting and opened.trial.should_prune():
        return f"Worse than the best trial on the first {len(opened.ended)} runs (Wilcoxon's test)."
    return None


def tell(plan: Plan, study: optuna.Study, opened: OpenTrial, pruned: str | None = None) -> Told:
    """Tell the study how a trial ended, with all that its runs came to.

    Complete with finite values, whatever its runs did: one without a result counts with the penalty, and its reason is
    kept. Failed only when something other than the values was at fault with a run (outcome ``error``).
    """
    trial, runs = opened.trial, [opened.ended[step] for step in sorted(opened.ended)]
    opened.closed = True
    by_problem: dict[str, list[Measured]] = defaultdict(list)
    for run in runs:
        by_problem[run.problem].append(run)
    table = {p: [median(o, group) for o in plan.study.objectives] for p, group in by_problem.items()}
    faults = [f"{r.problem}, seed {r.seed}: {r.reason}" for r in runs if r.outcome is Outcome.ERROR]
    record = _record(runs) | {"problems": table, "without_result": _without_result(by_problem)}
    excess: dict[str, float] = {}
    if pruned is not None:
        state, values, reason = TrialState.PRUNED, None, pruned
    elif faults:
        state, values, reason = TrialState.FAIL, None, faults[0]
    else:
        state, reason = TrialState.COMPLETE, record["reasons"][0] if record["reasons"] else ""
        values = [sum(column) / len(table) for column in zip(*table.values(), strict=True)]
        for constraint in plan.study.constraints:
            for problem, group in by_problem.items():
                excess[f"{constraint.name} {problem}"] = median(constraint, group)
        for name, value in excess.items():
            trial.set_constraint(name, value)
    trial.set_user_attr(RECORD, record | {"reason": reason})
    study.tell(trial, values, state)
    violated = violations(excess)
    return Told(opened.number, state, tuple(values or ()), reason, record["seconds"], violated, _ended(study))


def refuse(study: optuna.Study, trial: optuna.Trial, reason: str) -> Told:
    """Tell the study that no run can be made of a trial's values."""
    trial.set_user_attr(RECORD, {"reason": reason, "without_result": ["all"], "problems": {}})
    study.tell(trial, state=TrialState.FAIL)
    return Told(trial.number, TrialState.FAIL, (), reason, 0.0, "", _ended(study))


def _ended(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in counted(study))


def _record(runs: list[Measured]) -> dict[str, Any]:
    reasons = [f"{r.problem}, seed {r.seed}: {r.reason}" for r in runs if not r.has_result]
    return {
        "runs": [run.run_id for run in runs],
        "reasons": reasons[:10],
        "cut": sum(run.cut for run in runs),
        "seconds": sum(run.metrics.get("time/train_s", 0.0) for run in runs if not run.reused),
        "rungs": noted(runs),
    }


def _without_result(by_problem: dict[str, list[Measured]]) -> list[str]:
    """The problems on which the median seed is one without a result."""
    return [p for p, group in by_problem.items() if 2 * sum(run.has_result for run in group) <= len(group)]


def can_be_weighed(study: optuna.Study) -> bool:
    """Whether enough trials have a result to say which hyperparameter matters."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) >= LEAST_WEIGHED


def succeeded(trials: Iterable[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """The complete trials that have a result on every problem."""
    return [
        trial
        for trial in trials
        if trial.state is TrialState.COMPLETE and not trial.user_attrs.get(RECORD, {}).get("without_result")
    ]


def feasible(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial meets every constraint."""
    return all(value <= 0 for value in trial.constraints.values())


def violations(constraints: Mapping[str, float]) -> str:
    """The constraints that are not met, the worst first, each with the excess over what is allowed; at most three of them."""
    found = sorted(((value, name) for name, value in constraints.items() if not value <= 0), reverse=True)
    rest = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(f"{name} by {value:.3g}" for value, name in found[:3]) + rest
