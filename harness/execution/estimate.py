"""How long a benchmark would take, from the runs that the store has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.execution.benchmark import Cell
from harness.execution.benchmark_config import BenchmarkConfig
from harness.tracking.results import Result, results
from harness.tracking.store import look_at_store, open_store


@dataclass(frozen=True)
class Row:
    """The cells of one model and preset."""

    model: str
    preset: str
    cells: int
    finished: int
    """Cells that the store has a result of, which are not computed."""
    seconds: float | None
    """What a cell takes, from the runs of this model and preset in the store."""


@dataclass(frozen=True)
class Estimate:
    """The plan of a benchmark by model and preset."""

    rows: tuple[Row, ...]
    workers: int

    def sentence(self) -> str:
        """The estimate in words."""
        left = sum(row.cells - row.finished for row in self.rows)
        if not left:
            return "Nothing to compute: the store has a result of every cell."
        known = [(row.cells - row.finished, row.seconds) for row in self.rows if row.seconds is not None]
        longest = max((each for cells, each in known if cells), default=0.0)
        seconds = max(longest, sum(cells * each for cells, each in known) / self.workers)
        covered = sum(cells for cells, _ in known)
        text = f"{_counted(left, 'cell')} to compute with {_counted(self.workers, 'worker')}"
        if not covered:
            return f"{text}; how long that takes is not known before the first runs of their kind."
        rest = (
            f", without the {_counted(left - covered, 'cell')} of which the store has no run yet"
            if covered < left
            else ""
        )
        return f"{text}, about {duration(seconds)}{rest}."


def duration(seconds: float) -> str:
    """A time span as people say it: below 90 s in seconds, below 90 min in minutes, else in hours and minutes."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def estimate(cells: Mapping[str, Cell], config: BenchmarkConfig) -> Estimate:
    """Group the plan by model and preset. Raises BadInput when the store can't be used; makes none."""
    known = results(open_store(reading=True)) if look_at_store(reading=True) else {}
    taken: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in known.values():
        if result.epochs:
            taken[result.model, result.preset].append(result)
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells.values():
        groups[cell.config.model, cell.config.preset].append(cell)
    rows = []
    for (model, preset), group in groups.items():
        finished = 0 if config.force else sum(cell.fingerprint in known for cell in group)
        epochs = round(median(cell.config.epochs for cell in group))
        rows.append(Row(model, preset, len(group), finished, _seconds(taken[model, preset], epochs)))
    return Estimate(tuple(rows), config.where.worker_count())


def _seconds(taken: Sequence[Result], epochs: int) -> float | None:
    """Median of the runs of so many epochs; where there are none, of all, each with its training in proportion to its epochs."""
    if alike := [result.seconds for result in taken if result.epochs == epochs]:
        return median(alike)
    return median([_stretched(result, epochs) for result in taken]) if taken else None


def _stretched(result: Result, epochs: int) -> float:
    told = result.train_s or 0.0
    train_s = told if 0 <= told <= result.seconds else 0.0  # NaN is not
    return result.seconds - train_s + train_s * epochs / result.epochs


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
