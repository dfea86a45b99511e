"""What a person sees while a run is at work, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from harness.config import RunConfig

if TYPE_CHECKING:
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
        self._progress = progress
        self._prefix = config.model
        self._task = progress.add_task(self._prefix, total=config.epochs, mse="")

    def __call__(self, event: Event) -> None:
        from harness.training import BaseStarted, Epoch, StageStarted

        match event:
            case BaseStarted():
                self._prefix = "unpruned twin"
                self._progress.reset(self._task, total=self._epochs, description=self._prefix, mse="")
            case StageStarted():
                self._progress.update(
                    self._task, description=self._prefix if event.name == "train" else f"{self._prefix} {event.name}"
                )
            case Epoch():
                self._progress.update(self._task, completed=event.epoch, mse=f"test {event.test_mse:.2e}")


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
                self._print(f"epoch {event.epoch}/{self._epochs}  {self._stage}  {event.what} = {event.value:.3g}")
            case Epoch() if event.epoch % max(1, self._epochs // LINES) == 0 or event.epoch == self._epochs:
                self._print(
                    f"epoch {event.epoch}/{self._epochs}  {self._stage}  "
                    f"train {event.train_mse:.3e}  test {event.test_mse:.3e}  {event.train_s:.1f} s"
                )

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def summarise(config: RunConfig, result: RunResult, console: Console) -> None:
    """The closing summary: the outcome and why, the errors, and where to look."""
    metrics = result.metrics
    colour = {"completed": "green", "interrupted": "yellow", "timeout": "yellow"}.get(
        result.ending.outcome.value, "red"
    )
    outcome = result.ending.outcome.value
    rows = [
        ("run", f"{config.model}-{config.problem}-s{config.seed}", ""),
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
    if result.ui_command:
        rows.append(("look", result.ui_command, ""))
    rows.append(("page" if result.ui_command else "look", result.url, ""))
    for name, value, style in rows:
        # A line that is longer than the window is wrapped by the terminal, so that an address can still be copied.
        console.print(Text.assemble((f"{name:<12}", "dim"), (value, style)), soft_wrap=True)
