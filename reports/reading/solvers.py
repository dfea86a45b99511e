"""Solvers of equations on grids: what each epoch of their runs is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reports.reading.histories import History
from reports.reading.run import Run


@dataclass(frozen=True)
class Solver:
    """A family of classical solvers. An epoch of a run is a solve on one grid, coarse to fine; a nonlinear one begins with the
    solution of the grid before.
    """

    name: str
    """As a sentence begins that says what it does."""
    plural: bool
    field: str
    """The field of a run that has the levels, where they are given by hand."""
    unit: str
    """How a level is written: a degree, or the intervals of an axis."""

    def verb(self, one: str, several: str) -> str:
        """The form of a verb that goes with the name."""
        return several if self.plural else one


SOLVERS = {
    "spectral": Solver("a spectral solver", False, "degrees", "degree {}"),
    "finite_difference": Solver("finite differences", True, "grids", "{} intervals an axis"),
}


def levels(model: str, run: Run, history: History) -> list[int | None]:
    """The level of each epoch of a classical run, as its stage says it, else as its field does; None where neither does."""
    planned = [int(found) for found in re.findall(r"\d{1,9}", run.field(SOLVERS[model].field))]
    found: list[int | None] = []
    for epoch, stage in zip(history.epoch, history.stage, strict=True):
        said = re.search(r"(\d{1,9})$", stage)
        at = int(epoch) - 1
        found.append(int(said[1]) if said else planned[at] if at < len(planned) else None)
    return found
