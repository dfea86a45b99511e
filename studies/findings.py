"""The results of a study so far, and what is written of them to its parent run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import optuna
from mlflow.entities import Metric
from optuna.trial import FrozenTrial, TrialState

from harness.addresses import as_typed
from harness.escaping import markdown
from harness.tracking.parent import progress_tags, write_table
from studies.plan import Plan
from studies.plots import figures, page
from studies.storage import counted
from studies.study_config import StudyConfig
from studies.trials import RECORD, can_be_weighed, feasible, succeeded, violations

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Findings:
    """A study's trials, and what can be said of them."""

    plan: Plan
    trials: tuple[FrozenTrial, ...]
    """Those that count: not the ones that were handed over to another."""
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Part of each hyperparameter in the objective of that name (PED-ANOVA); empty while too few trials are complete."""

    @cached_property
    def best(self) -> tuple[FrozenTrial, ...]:
        """The best trial, or those of the Pareto front, that meet all constraints; by their first objective."""
        found = sorted((t for t in succeeded(self.trials) if feasible(t)), key=lambda trial: tuple(trial.values))
        if len(self.plan.study.objectives) == 1:
            return tuple(found[:1])
        return tuple(t for t in found if not any(_dominates(other, t) for other in found))

    @cached_property
    def unconstrained(self) -> FrozenTrial | None:
        """The trial with the least first objective of all, if it violates a constraint; None if it meets them all."""
        found = min(succeeded(self.trials), key=lambda trial: tuple(trial.values), default=None)
        return None if found is None or feasible(found) else found

    @property
    def has_result(self) -> bool:
        """Whether any trial has a result on every problem."""
        return bool(succeeded(self.trials))

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended how."""
        states = Counter(trial.state for trial in self.trials)
        return {
            "complete": states[TrialState.COMPLETE],
            "pruned": states[TrialState.PRUNED],
            "failed": states[TrialState.FAIL],
            "without_result": states[TrialState.COMPLETE] - len(succeeded(self.trials)),
            "running": states[TrialState.RUNNING],
        }

    @property
    def seconds(self) -> float:
        """Training time of all runs that were computed for the study."""
        return float(sum(trial.user_attrs.get(RECORD, {}).get("seconds", 0.0) for trial in self.trials))

    def sentence(self) -> str:
        """How many trials ended how; and what kept all of them from a result, if that was so."""
        counts = self.counts
        text = f"{len(self.trials)} trials: " + ", ".join(
            f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n
        )
        if self.has_result or not self.trials:
            return f"{text}.{self._violating()}"
        reasons = [trial.user_attrs.get(RECORD, {}).get("reason") for trial in self.trials]
        common = Counter(reason for reason in reasons if reason).most_common(1)
        why = f" The first of the commonest reasons: {common[0][0]}" if common else ""
        return f"{text}. No trial has a result.{why}"

    def _violating(self) -> str:
        found = [trial for trial in succeeded(self.trials) if not feasible(trial)]
        if not found:
            return ""
        by_name: dict[str, list[int]] = {}
        for constraint in self.plan.study.constraints:
            for trial in found:
                if any(k.startswith(f"{constraint.name} ") and not v <= 0 for k, v in trial.constraints.items()):
                    by_name.setdefault(constraint.name, []).append(trial.number)
        which = "; ".join(f"{name}: trials {_numbers(numbers)}" for name, numbers in by_name.items())
        return f" {len(found)} of {len(succeeded(self.trials))} with a result violate a constraint ({which})."


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")


def findings(plan: Plan, study: optuna.Study, *, weigh: bool = False) -> Findings:
    """The results of a study so far; ``weigh``: with the importance of its hyperparameters."""
    return Findings(plan, tuple(counted(study)), _importance(plan, study) if weigh else {})


def _importance(plan: Plan, study: optuna.Study) -> dict[str, dict[str, float]]:
    if not can_be_weighed(study):
        return {}
    found = {}
    for index, objective in enumerate(plan.study.objectives):
        try:
            found[objective.name] = optuna.importance.get_param_importances(study, target=partial(_value, index))
        except (RuntimeError, ValueError):
            continue  # all alike: there is nothing to weigh
    return found


def _value(index: int, trial: FrozenTrial) -> float:
    return float(trial.values[index])


def _dominates(one: FrozenTrial, other: FrozenTrial) -> bool:
    return one.values != other.values and all(a <= b for a, b in zip(one.values, other.values, strict=True))


def rows(found: Findings) -> list[dict[str, Any]]:
    """The trials as a table: state, values, hyperparameters, constraints, and why a trial has no result."""
    plan = found.plan
    table = []
    for trial in found.trials:
        record = trial.user_attrs.get(RECORD, {})
        values = trial.values if trial.state is TrialState.COMPLETE else None
        row = {"trial": trial.number, "state": trial.state.name.lower()}
        row |= {o.name: values[i] if values else None for i, o in enumerate(plan.study.objectives)}
        row |= {name: trial.params.get(name) for name in plan.study.space}
        row |= {"feasible": feasible(trial)} if plan.study.constraints else {}
        row |= {"seconds": round(record.get("seconds", 0.0), 2), "runs": len(record.get("runs", ()))}
        row |= {"cut": record.get("cut", 0), "reason": record.get("reason", "")}
        table.append(row)
    return table


def write_note(client: MlflowClient, run_id: str, plan: Plan, config: StudyConfig, found: Findings) -> None:
    """Counts and best values, as metrics and on the run's page."""
    now = int(time.time() * 1000)
    metrics = [Metric(f"trials/{name}", float(count), now, 0) for name, count in found.counts.items()]
    metrics += [Metric("trials/seconds", found.seconds, now, 0)]
    if found.best:
        for objective, value in zip(plan.study.objectives, found.best[0].values, strict=True):
            metrics.append(Metric(f"best/{objective.name.replace(' ', '_')}", value, now, 0))
    client.log_batch(run_id, metrics=metrics, tags=progress_tags(note(plan, config, found)))


def note(plan: Plan, config: StudyConfig, found: Findings) -> str:
    """The study in Markdown: what it was, the command, the best trials, what counts."""
    lines = [f"**{plan.name}**: {markdown(plan.study.summary)}", "", markdown(found.sentence()), ""]
    lines += [f"Problems: {', '.join(plan.problems)}; seeds {plan.seeds.start} to {plan.seeds.stop - 1}.", ""]
    lines += [f"    {config.command()}", f"    {as_typed(['optuna-dashboard', config.storage])}", ""]
    if found.best:
        names = [o.name for o in plan.study.objectives] + list(plan.study.space)
        lines += [f"| best trial | {' | '.join(map(markdown, names))} |", "|---" * (len(names) + 1) + "|"]
        for trial in found.best:
            cells = [*trial.values, *(trial.params[name] for name in plan.study.space)]
            lines.append(f"| {trial.number} | {' | '.join(markdown(_short(cell)) for cell in cells)} |")
        lines.append("")
    if (least := found.unconstrained) is not None:
        value = f"{plan.study.objectives[0].name} {least.values[0]:.4g}"
        violated = violations(least.constraints)
        lines += [
            markdown(f"Least of all, but not allowed: trial {least.number}, {value}; it violates {violated}."),
            "",
        ]
    for objective, parts in found.importance.items():
        weights = ", ".join(f"{n} {part:.0%}" for n, part in parts.items())
        lines.append(markdown(f"Importance for {objective}: {weights}."))
    return "\n".join(lines)


def write_findings(
    client: MlflowClient, run_id: str, plan: Plan, config: StudyConfig, study: optuna.Study, found: Findings
) -> None:
    """Everything that a study leaves: note, tables, the command, pictures and the interactive page."""
    write_note(client, run_id, plan, config, found)
    client.log_text(run_id, config.command() + "\n", "command.txt")
    client.log_dict(run_id, plan.described, "definition.json")
    write_table(client, run_id, "trials.json", rows(found))
    weights = [
        {"objective": objective, "hyperparameter": name, "importance": part}
        for objective, parts in found.importance.items()
        for name, part in parts.items()
    ]
    write_table(client, run_id, "importance.json", weights)
    for name, figure in figures(plan.study, found.trials, found.best, found.importance).items():
        client.log_figure(run_id, figure, f"figures/{name}.png")
    if found.has_result:
        client.log_text(run_id, page(plan.study, study, plan.name), "figures/study.html")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
