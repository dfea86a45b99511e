"""What a classical solver takes to be as accurate as a network, read off the runs of the store."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reports.comparing.groups import Group, chosen
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.gone import Gone
from reports.reading.kinds import is_network
from reports.reading.solvers import SOLVERS, levels
from reports.reading.targets import target
from reports.verdicts.numbers import number


@dataclass(frozen=True)
class Classical:
    """A classical solver beside a network's error; of several seeds the median one."""

    model: str
    seconds: float
    """All that it took until its error was as small, coarser solves included; infinite where it never was."""
    level: int | None
    """The degree, or the intervals of an axis, by which that was so; the last where it never was."""

    def __str__(self) -> str:
        solver = SOLVERS[self.model]
        unit = "" if self.level is None else solver.unit.format(self.level)
        if math.isfinite(self.seconds):
            took = f"{solver.name} {solver.verb('needs', 'need')} {duration(self.seconds)} for this error"
            return f"{took} ({unit})" if unit else took
        lacks = f"{solver.name} {solver.verb('does', 'do')} not reach this error"
        return f"{lacks} up to {unit}" if unit else lacks


def duration(seconds: float) -> str:
    """A time for the reader, in ms below a second."""
    return f"{number(1000 * seconds)} ms" if seconds < 1 else f"{number(seconds)} s"


def classical_of(evidence: Evidence) -> dict[str, Group]:
    """The cells of classical methods by problem and model, of the first preset that has some: a preset changes nothing in them.

    Empty where there is no network that they could stand beside.
    """
    found: dict[str, Group] = defaultdict(dict)
    if not any(is_network(cell.model) for cell in evidence.cells):
        return {}
    for preset in evidence.presets:
        groups: dict[str, Group] = defaultdict(lambda: defaultdict(list))
        for cell in evidence.cells:
            if cell.preset == preset and not is_network(cell.model):
                groups[cell.problem][cell.model].append(cell)
        for problem, group in groups.items():
            found[problem] = chosen(group) | found[problem]
    return dict(found)


def costs_of_solvers(group: Mapping[str, list[Cell]], artifacts: Artifacts, nmse: float) -> tuple[Classical, ...]:
    """What each solver of a problem takes to an NMSE of u on the test points; without those whose history can't be read."""
    found = []
    for model in filter(group.get, SOLVERS):
        seeds = [each for cell in group[model] if (each := _cost(cell, artifacts, nmse)) is not None]
        if seeds:
            found.append(sorted(seeds, key=lambda each: each.seconds)[len(seeds) // 2])
    return tuple(found)


def _cost(cell: Cell, artifacts: Artifacts, nmse: float) -> Classical | None:
    known = target(cell)
    if cell.run is None or not cell.has_result or known is None:
        return None
    try:
        history = artifacts.history(cell.run)
    except Gone:
        return None
    if not history.stage:
        return None
    there = np.flatnonzero(history["test/mse"] <= nmse * known.scale2)
    at = int(there[0]) if there.size else len(history.stage) - 1
    seconds = float(history["time/train_s"][at]) if there.size else math.inf
    return Classical(cell.model, seconds, levels(cell.model, cell.run, history)[at])
