"""What a person sees of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.addresses import as_typed
from harness.escaping import visible
from harness.terminal import busy
from studies.driver import StudyResult
from studies.findings import Findings
from studies.study_config import StudyConfig
from studies.trials import Told, feasible, succeeded, violations

MOST_TRIALS = 5
"""Trials that the closing table shows."""


@contextmanager
def watching_study(config: StudyConfig, console: Console) -> Iterator[Callable[[Told], None]]:
    """A listener for a study: a line for each trial that is told; until the first, a terminal shows that it is at work."""
    with ExitStack() as waiting:
        waiting.enter_context(busy("at work on the first trials"))

        def listen(told: Told) -> None:
            waiting.close()
            print_trial(told, config, console)

        yield listen


def print_trial(told: Told, config: StudyConfig, console: Console) -> None:
    """A line for a trial that was told, with how many of the study have ended.

    The trial's number is no count: a trial that was handed over has a number too, and another driver may want more trials.
    """
    values = "".join(f"  {value:.4g}" for value in told.values)
    why = f": {told.reason}" if told.reason else ""
    why += f"  violates {told.violated}" if told.violated else ""
    count = f"{told.ended} of {max(told.ended, config.trials)}"
    line = f"{count}  trial {told.number}  {told.state.name.lower()}{values}  {told.seconds:.1f} s{why}"
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def summarise(result: StudyResult, config: StudyConfig, console: Console) -> None:
    """The closing summary: counts, the best trials, what counts, and where to look."""
    found = result.findings
    if found.has_result:
        console.print(_best_trials(found))
    rows = [("study", result.name, ""), ("trials", found.sentence(), "bold" if found.has_result else "red")]
    if result.stopped:
        rows.append(("stopped", f"{result.stopped}; the same command goes on from here.", "yellow"))
    if found.has_result and not found.best:
        rows.append(("best", "No trial meets the constraints.", "yellow"))
    for trial in found.best:
        values = ", ".join(f"{o.name} {v:.4g}" for o, v in zip(found.plan.study.objectives, trial.values, strict=True))
        chosen = ", ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v}" for n, v in trial.params.items())
        rows.append(("best", f"trial {trial.number}: {values}; {chosen}", "green"))
    if (least := found.unconstrained) is not None:
        value = f"{found.plan.study.objectives[0].name} {least.values[0]:.4g}"
        rows.append(
            ("least", f"trial {least.number}: {value}, but it violates {violations(least.constraints)}", "yellow")
        )
    for objective, parts in found.importance.items():
        rows.append(("importance", f"{objective}: " + ", ".join(f"{n} {part:.0%}" for n, part in parts.items()), ""))
    if found.best and not result.stopped:
        rows.append(("next", config.command("export"), ""))
    rows.append(("storage", as_typed(["optuna-dashboard", config.storage]), ""))
    rows += (
        [("look", result.ui_command, ""), ("page", result.url, "")] if result.ui_command else [("look", result.url, "")]
    )
    for name, value, style in rows:
        console.print(Text.assemble((f"{name:<12}", "dim"), (visible(value), style)), soft_wrap=True)


def _best_trials(found: Findings) -> Table:
    """The first trials by their first objective, and the constraints that they violate."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("trial")
    for objective in found.plan.study.objectives:
        table.add_column(objective.name, justify="right")
    table.add_column("constraints")
    for trial in sorted(succeeded(found.trials), key=lambda trial: tuple(trial.values))[:MOST_TRIALS]:
        met = Text("met", "green") if feasible(trial) else Text(f"violates {violations(trial.constraints)}", "yellow")
        table.add_row(str(trial.number), *(f"{value:.4g}" for value in trial.values), met)
    return table
