"""What a person sees while a run is at work, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from harness.config import RunConfig
from harness.escaping import visible

if TYPE_CHECKING:
    from harness.execution.attempt import Attempted
    from harness.execution.benchmark import BenchmarkResult, BenchmarkState
    from harness.execution.config import BenchmarkConfig
    from harness.execution.estimate import Estimate
    from harness.run import RunResult
    from harness.training import Event

LINES = 10
"""Lines that a training prints where there is no terminal to draw a bar on."""


@contextmanager
def watching(config: RunConfig, console: Console) -> Iterator[Callable[[Event], None]]:
    """A listener for training events: a progress bar on a terminal, about ten plain lines elsewhere."""
    if not console.is_terminal:
        yield _Lines(config, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[mse]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        yield _Bar(config, progress)


class _Bar:
    def __init__(self, config: RunConfig, progress: Progress) -> None:
        self._epochs = config.epochs
        self._state = progress
        self._prefix = config.model
        self._task = progress.add_task(self._prefix, total=config.epochs, mse="")

    def __call__(self, event: Event) -> None:
        from harness.training import BaseStarted, Epoch, StageStarted

        match event:
            case BaseStarted():
                self._prefix = "unpruned twin"
                self._state.reset(self._task, total=self._epochs, description=self._prefix, mse="")
            case StageStarted():
                self._state.update(
                    self._task, description=self._prefix if event.name == "train" else f"{self._prefix} {event.name}"
                )
            case Epoch():
                self._state.update(self._task, completed=event.epoch, mse=f"test {event.test_mse:.2e}")


class _Lines:
    def __init__(self, config: RunConfig, console: Console) -> None:
        self._epochs = config.epochs
        self._console = console
        self._stage = ""
        self._prefix = ""

    def __call__(self, event: Event) -> None:
        from harness.training import BaseStarted, Epoch, NonFinite, StageStarted

        match event:
            case BaseStarted():
                self._prefix = "base "
            case StageStarted():
                self._stage = self._prefix + event.name
            case NonFinite():
                beyond = ", exceeds 10^6 times its start" if event.exceeds else ""
                self._print(
                    f"epoch {event.epoch}/{self._epochs}  {self._stage}  {event.what} = {event.value:.3g}{beyond}"
                )
            case Epoch() if event.epoch % max(1, self._epochs // LINES) == 0 or event.epoch == self._epochs:
                self._print(
                    f"epoch {event.epoch}/{self._epochs}  {self._stage}  "
                    f"train {event.train_mse:.3e}  test {event.test_mse:.3e}  {event.train_s:.1f} s"
                )

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def summarise(config: RunConfig, result: RunResult, console: Console) -> None:
    """The closing summary: the outcome and why, the errors, and where to look."""
    from harness.tracking.naming import run_name

    metrics = result.metrics
    colour = {"completed": "green", "interrupted": "yellow", "timeout": "yellow"}.get(
        result.ending.outcome.value, "red"
    )
    outcome = result.ending.outcome.value
    rows = [
        ("run", run_name(config), ""),
        ("outcome", outcome, colour),
        ("reason", result.ending.reason, ""),
    ]
    if "final/dense_mse" in metrics:
        errors = f"(NMSE {metrics['final/dense_nmse']:.2e}, largest error {metrics['final/linf']:.2e})"
        rows.append(("dense MSE", f"{metrics['final/dense_mse']:.3e}  {errors}", "bold"))
        rows.append(("parameters", f"{metrics['model/active_params']:.0f} active of {metrics['model/params']:.0f}", ""))
    if "prune/mse_final" in metrics:
        rows.append(("unpruned", f"dense MSE {metrics.get('prune/base_dense_mse', math.nan):.3e}", ""))
    if "symbolic/dense_mse" in metrics:
        errors = f"(NMSE {metrics['symbolic/dense_nmse']:.2e})"
        rows.append(("formula", f"dense MSE {metrics['symbolic/dense_mse']:.3e}  {errors}, tag symbolic.formula", ""))
    if "symbolic.error" in result.tags:
        rows.append(("formula", result.tags["symbolic.error"], "yellow"))
    rows += _where(result)
    for name, value, style in rows:
        # A line that is longer than the window is wrapped by the terminal, so that an address can still be copied.
        console.print(Text.assemble((f"{name:<12}", "dim"), (visible(value), style)), soft_wrap=True)


@contextmanager
def watching_benchmark(console: Console) -> Iterator[Callable[[BenchmarkState, Attempted | None], None]]:
    """A listener for a benchmark: a table that is kept up to date on a terminal, a line for each cell elsewhere."""
    if not console.is_terminal:
        yield lambda state, ended: _print_cell(state, ended, console)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:

        def show(state: BenchmarkState, ended: Attempted | None) -> None:
            if ended is not None and ended.outcome is not None and ended.outcome.value != "completed":
                _print_cell(state, ended, live.console)
            live.update(_Table(state))

        yield show


class _Table:
    """Drawn anew at each refresh, so that the clock runs between two cells."""

    def __init__(self, state: BenchmarkState) -> None:
        self._state = state

    def __rich__(self) -> Group:
        from harness.execution.benchmark import ERRORS

        state = self._state
        heads, *rows = state.table()
        table = Table(box=None, pad_edge=False, header_style="dim")
        for index, head in enumerate(heads):
            table.add_column(head, justify="right" if index else "left")
        for row in rows:
            table.add_row(*row)
        now = [Text(f"  {cell}", "dim", overflow="ellipsis", no_wrap=True) for cell in state.running]
        shown: list[Text | Table] = [Text(_counts(state), "bold"), *now]
        if rows:
            shown += [Text(ERRORS, "dim"), table]
        return Group(*shown)


def _counts(state: BenchmarkState) -> str:
    from harness.execution.estimate import duration

    counts = {name: count for name, count in state.counts().items() if count}
    words = [f"{len(state.settled)} of {len(state.cells)} cells", *(f"{n} {name}" for name, n in counts.items())]
    if state.busy:
        words.append(f"{state.busy} at work elsewhere")
    if (left := state.seconds_left()) and counts.get("left"):
        words.append(f"about {duration(left)} to go")
    return ", ".join(words)


def _print_cell(state: BenchmarkState, ended: Attempted | None, console: Console) -> None:
    if ended is None:
        line = _counts(state)
    else:
        outcome = ended.outcome.value if ended.outcome else ""
        error = "" if ended.log10_nmse is None else f"log10 NMSE {ended.log10_nmse:.1f}, "
        why = "" if outcome == "completed" else f": {ended.reason}"
        line = (
            f"{len(state.settled)}/{len(state.cells)}  {state.cells[ended.fingerprint]}  "
            f"{outcome}  {error}{ended.seconds:.1f} s{why}"
        )
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def show_plan(config: BenchmarkConfig, estimated: Estimate, console: Console) -> None:
    """What a benchmark would compute, and how long that would take."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("model", "preset"):
        table.add_column(name)
    for name in ("cells", "in store", "each"):
        table.add_column(name, justify="right")
    for row in estimated.rows:
        each = "not known" if row.seconds is None else f"{row.seconds:.1f} s"
        table.add_row(row.model, row.preset, str(row.cells), str(row.finished), each)
    console.print(table)
    console.print(estimated.sentence(), soft_wrap=True, highlight=False)


def summarise_benchmark(result: BenchmarkResult, console: Console) -> None:
    """The closing summary: counts, every cell without a result and why, and where to look."""
    state = result.state
    rows = [("benchmark", result.benchmark, ""), ("cells", _counts(state), "bold")]
    if result.stopped:
        rows.append(("stopped", f"{result.stopped}; the same command goes on from here.", "yellow"))
    for cell, ended in state.failed():
        outcome = ended.outcome.value if ended.outcome else ""
        rows.append((outcome, f"{cell}: {ended.reason}", "red"))
    rows += _where(result)
    for name, value, style in rows:
        console.print(Text.assemble((f"{name:<12}", "dim"), (visible(value), style)), soft_wrap=True)


def _where(result: RunResult | BenchmarkResult) -> list[tuple[str, str, str]]:
    if result.ui_command:
        return [("look", result.ui_command, ""), ("page", result.url, "")]
    return [("look", result.url, "")]
