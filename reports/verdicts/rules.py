"""What rules are made from. A rule of a criterion goes from one run to a finding."""

from __future__ import annotations

import math
from collections.abc import Callable

from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.gone import Gone
from reports.reading.run import Run
from reports.reading.targets import Target, target
from reports.verdicts.numbers import number
from reports.verdicts.verdict import Finding, Verdict, at_most, below, no_data

Rule = Callable[[Cell, Artifacts], Finding]
LEARNED = 0.5
"""S1, S3: the NMSE up to which something was learned; a constant at the target's mean has 1."""


def of_a_result(rule: Callable[[Cell, Run, Artifacts], Finding]) -> Rule:
    """A rule on completed runs. One that diverged has not reached any figure, and fails; without a result there is no data."""

    def checked(cell: Cell, artifacts: Artifacts) -> Finding:
        if cell.run is None:
            return no_data("no run")
        if cell.outcome == "diverged":
            return Finding(Verdict.FAIL, math.inf, f"diverged: {cell.run.reason}")
        if cell.outcome != "completed":
            return no_data(f"{cell.outcome}: {cell.run.reason}".rstrip(": "))
        return _unless_gone(rule, cell, cell.run, artifacts)

    return checked


def of_an_ended_run(rule: Callable[[Cell, Run, Artifacts], Finding]) -> Rule:
    """A rule on runs that are over, however they ended."""

    def checked(cell: Cell, artifacts: Artifacts) -> Finding:
        if cell.run is None or cell.outcome == "running":
            return no_data("no run" if cell.run is None else "the run is at work, or was left open")
        return _unless_gone(rule, cell, cell.run, artifacts)

    return checked


def _unless_gone(
    rule: Callable[[Cell, Run, Artifacts], Finding], cell: Cell, run: Run, artifacts: Artifacts
) -> Finding:
    try:
        return rule(cell, run, artifacts)
    except Gone as gone:
        return no_data(str(gone))


def metric_at_most(name: str, threshold: float) -> Rule:
    """A final metric is no larger than the threshold."""
    return of_a_result(lambda cell, run, artifacts: at_most(cell.metric(name), threshold, _if_absent(cell, name)))


def metric_below(name: str, threshold: float) -> Rule:
    """A final metric is smaller than the threshold."""
    return of_a_result(lambda cell, run, artifacts: below(cell.metric(name), threshold, _if_absent(cell, name)))


def _if_absent(cell: Cell, name: str) -> str:
    return "" if cell.metric(name) is not None else f"{name} was not recorded"


def of_something_learned(rule: Rule) -> Rule:
    """A rule about the quality of a fit. Where nothing was learned it fails, whatever its figure: flat is smooth, too."""

    @of_a_result
    def checked(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
        found, nmse = rule(cell, artifacts), cell.metric("final/dense_nmse")
        if nmse is None:
            return no_data("final/dense_nmse was not recorded")
        if nmse <= LEARNED:
            return found
        figure = "" if found.figure is None else f"; its figure would be {number(found.figure, 'infinite')}"
        return Finding(Verdict.FAIL, math.inf, f"nothing was learned: NMSE {number(nmse, 'infinite')}{figure}")

    return checked


def known_target(cell: Cell) -> Target:
    """The problem of a cell. Raises Gone where nothing says what it is."""
    known = target(cell)
    if known is None:
        raise Gone(f"no run says what problem {cell.problem!r} is; name its plug-in with --plugins")
    return known
