"""What a person sees while a run is at work, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from harness.addresses import as_typed
from harness.escaping import visible

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.execution.attempt import Attempted
    from harness.execution.benchmark import BenchmarkResult, BenchmarkState, Spread
    from harness.execution.benchmark_config import BenchmarkConfig
    from harness.execution.estimate import Estimate
    from harness.run import RunResult
    from harness.training import Epoch, Event

LINES = 10
"""Lines that a training prints where there is no terminal to draw a bar on."""


NARROW = 60
"""Columns below which there is no room for a bar beside its figures."""
MOST_ROWS = 60
"""Lines of results at the end of a benchmark; of more there are the medians over the problems."""
Figures = tuple[str, Sequence[float], int]
"""A model, its errors from the least to the largest, and how many seeds or problems they are of."""


@contextmanager
def busy(doing: str) -> Iterator[Console]:
    """A console on which a terminal shows what is being done, from the first moment on; it is gone at the end."""
    console = Console()
    with console.status(doing) if console.is_terminal else nullcontext():
        yield console


@contextmanager
def watching(config: RunConfig, console: Console) -> Iterator[Callable[[Event], None]]:
    """A listener for training events: a progress bar on a terminal, about ten plain lines elsewhere."""
    if not console.is_terminal:
        yield _Lines(config, console)
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        *([BarColumn(bar_width=None, table_column=Column(ratio=2))] if console.width >= NARROW else []),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[mse]}", table_column=Column(no_wrap=True)),
        _Remaining(compact=True, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        yield _Bar(config, progress)


class _Remaining(TimeRemainingColumn):
    def render(self, task: Task) -> Text:
        """The time that is left, named."""
        return Text("ETA ", "progress.remaining") + super().render(task)


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
                residual = event.extra.get("train/residual")
                error = f"MSE {event.test_mse:.2e}" if residual is None else f"residual {residual:.2e}"
                self._state.update(self._task, completed=event.epoch, mse=error)


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
                    f"epoch {event.epoch}/{self._epochs}  {self._stage}  {_errors_of(event)}  {event.train_s:.1f} s"
                )

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _errors_of(epoch: Epoch) -> str:
    """Of an equation the residual, and beside it the error of its solution, of which the training knows nothing."""
    if "train/residual" not in epoch.extra:
        return f"train MSE {epoch.train_mse:.3e}  test MSE {epoch.test_mse:.3e}"
    held_out = f"(held out {epoch.extra['val/residual']:.2e})"
    return f"residual {epoch.extra['train/residual']:.2e} {held_out}  MSE of u {epoch.test_mse:.2e}"


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
    if "final/residual_nmse" in metrics:
        error = f"{metrics['final/rel_l2']:.3e}  (largest error {metrics['final/linf']:.2e}; not known to the training)"
        rows.append(("error of u", f"relative L2 {error}", "bold"))
        rows.append(("residual", f"NMSE {metrics['final/residual_nmse']:.3e}", ""))
    elif "final/dense_mse" in metrics:
        errors = f"(NMSE {metrics['final/dense_nmse']:.2e}, largest error {metrics['final/linf']:.2e})"
        mse = f"{metrics['final/dense_mse']:.3e}  {errors}"
        rows.append(("held out", f"MSE {mse}", "bold") if config.data else ("dense MSE", mse, "bold"))
    if "model/params" in metrics:
        rows.append(("parameters", f"{metrics['model/active_params']:.0f} active of {metrics['model/params']:.0f}", ""))
    if "prune/mse_final" in metrics:
        what = "MSE of u" if "final/residual_nmse" in metrics else "dense MSE"
        rows.append(("unpruned", f"{what} {metrics.get('prune/base_dense_mse', math.nan):.3e}", ""))
    if "symbolic/dense_mse" in metrics:
        rows.append(("formula", result.tags["symbolic.formula"], ""))
        errors = f"dense MSE {metrics['symbolic/dense_mse']:.3e}  (NMSE {metrics['symbolic/dense_nmse']:.2e}"
        rows.append(("its error", f"{errors}, the network's {metrics.get('final/dense_nmse', math.nan):.2e})", ""))
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
    with Live(Text("looking for what is there already"), console=console, refresh_per_second=2, transient=True) as live:

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
            shown += [Text(state.legend(), "dim"), table]
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
    from harness.presets import KNOWS_TARGET

    if spreads := state.spreads():
        console.print(results(spreads))
        if any(each.knows_target for each in spreads):
            console.print(Text(f"{KNOWS_TARGET}.", "dim"))
    rows = [("benchmark", result.benchmark, ""), ("cells", _counts(state), "bold")]
    if result.stopped:
        rows.append(("stopped", f"{result.stopped}; the same command goes on from here.", "yellow"))
    for cell, ended in state.failed():
        outcome = ended.outcome.value if ended.outcome else ""
        rows.append((outcome, f"{cell}: {ended.reason}", "red"))
    if not result.stopped:
        rows.append(("next", as_typed(["harness", "report", "--benchmark", result.benchmark]), ""))
    rows += _where(result)
    for name, value, style in rows:
        console.print(Text.assemble((f"{name:<12}", "dim"), (visible(value), style)), soft_wrap=True)


def results(spreads: Sequence[Spread]) -> Table:
    """The errors of each model on each problem, in a table that fits a narrow window; for very many problems their medians."""
    from harness.presets import DAGGER

    presets = {each.preset for each in spreads}
    grouped: dict[str, list[Figures]] = {}
    for each in spreads:
        model = f"{each.model}, {each.preset}" if len(presets) > 1 else each.model
        model += DAGGER if each.knows_target else ""
        grouped.setdefault(each.problem, []).append((model, each.errors, each.seeds))
    last = "seeds"
    if len(spreads) + len(grouped) > MOST_ROWS:
        medians: dict[str, list[float]] = {}
        for rows in grouped.values():
            for model, errors, _ in rows:
                medians.setdefault(model, []).append(errors[len(errors) // 2])
        of_each: list[Figures] = [(model, sorted(found), len(found)) for model, found in medians.items()]
        grouped, last = {f"{len(grouped)} problems": of_each}, "problems"
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("log10 NMSE")
    for head in ("median", "least", "largest", last):
        table.add_column(head, justify="right", no_wrap=True)
    for problem, rows in grouped.items():
        table.add_row(Text(problem, "bold"))
        for model, errors, count in rows:
            shown = ("none" if math.isinf(e) else f"{e:.1f}" for e in (errors[len(errors) // 2], errors[0], errors[-1]))
            table.add_row(f"  {model}", *shown, str(count))
    return table


def _where(result: RunResult | BenchmarkResult) -> list[tuple[str, str, str]]:
    if result.ui_command:
        return [("look", result.ui_command, ""), ("page", result.url, "")]
    return [("look", result.url, "")]
