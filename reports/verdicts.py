"""What can be said of a criterion, and how the verdicts of seeds and problems come together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

FLOOR = 1e-8
"""Part of a target's ``scale2`` below which a difference of two errors is numerical noise; fixed in advance."""


class Verdict(Enum):
    """The closed set of verdicts; the value is what the reader sees."""

    PASS = "PASS"
    FAIL = "FAIL"
    NO_DATA = "NO DATA"
    NOT_APPLICABLE = "N/A"
    EXPECTED = "EXPECTED"
    NOT_OBSERVED = "NOT OBSERVED"
    """What was expected did not happen."""


@dataclass(frozen=True)
class Finding:
    """What one run says of a criterion."""

    verdict: Verdict
    figure: float | None = None
    """The number that decided; infinity where the run reached none, None where there is no number."""
    note: str = ""


@dataclass(frozen=True)
class Witness:
    """A finding with the run that it was read from."""

    model: str
    seed: int
    run_id: str
    finding: Finding
    variant: str = ""


@dataclass(frozen=True)
class ProblemVerdict:
    """A criterion decided for one problem."""

    problem: str
    verdict: Verdict
    figure: float | None = None
    """That of the median seed, which of two middle ones is the worse; for a rule on every run, that of the worst."""
    spread: tuple[float, float] | None = None
    """Least and largest figure of the seeds."""
    holds: int = 0
    of: int = 0
    note: str = ""
    """Where there is a figure, what the run that it was read from says of it; else why there is none."""
    witnesses: tuple[Witness, ...] = field(default=(), repr=False)


def no_data(note: str) -> Finding:
    """There is nothing to decide from."""
    return Finding(Verdict.NO_DATA, None, note)


def at_most(figure: float | None, threshold: float, note: str = "") -> Finding:
    """PASS for a figure that is no larger than the threshold; NaN is FAIL, an absent figure NO DATA."""
    if figure is None:
        return no_data(note or "the figure was not recorded")
    return Finding(Verdict.PASS if figure <= threshold else Verdict.FAIL, figure, note)


def below(figure: float | None, threshold: float, note: str = "") -> Finding:
    """PASS for a figure that is smaller than the threshold; NaN is FAIL, an absent figure NO DATA."""
    if figure is None:
        return no_data(note or "the figure was not recorded")
    return Finding(Verdict.PASS if figure < threshold else Verdict.FAIL, figure, note)


def of_median(verdicts: Sequence[Verdict]) -> Verdict:
    """What the median of the seeds says, the worse of two middle ones, whatever those without data would say.

    PASS if more than half pass; FAIL if half or more fail; else it hangs on those without data.
    """
    counted = [verdict for verdict in verdicts if verdict is not Verdict.NOT_APPLICABLE]
    if not counted:
        return Verdict.NOT_APPLICABLE if verdicts else Verdict.NO_DATA
    if 2 * counted.count(Verdict.PASS) > len(counted):
        return Verdict.PASS
    return Verdict.FAIL if 2 * counted.count(Verdict.FAIL) >= len(counted) else Verdict.NO_DATA


def of_every(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL if one fails, else NO DATA if one has none, else PASS; what is not applicable does not count. What was expected was
    so only if it was so in each.
    """
    found = set(verdicts)
    order = (Verdict.FAIL, Verdict.NO_DATA, Verdict.PASS, Verdict.NOT_OBSERVED, Verdict.EXPECTED)
    for verdict in (*order, Verdict.NOT_APPLICABLE):
        if verdict in found:
            return verdict
    return Verdict.NO_DATA


def median_figure(figures: Iterable[float], larger_is_worse: bool = True) -> float | None:
    """The figure of the median seed; of two middle ones the worse, so that it agrees with :func:`of_median`. NaN is worst."""
    ordered = sorted(figures, key=lambda figure: _badness(figure, larger_is_worse))
    return ordered[len(ordered) // 2] if ordered else None


def worst_figure(figures: Iterable[float], larger_is_worse: bool = True) -> float | None:
    """The worst of the figures; NaN is worse than any number."""
    return max(figures, key=lambda figure: _badness(figure, larger_is_worse), default=None)


def _badness(figure: float, larger_is_worse: bool) -> float:
    if math.isnan(figure):
        return math.inf
    return figure if larger_is_worse else -figure
