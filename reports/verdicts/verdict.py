"""What can be said of a criterion, and how the verdicts of seeds and problems come together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache


class Verdict(Enum):
    """The closed set of verdicts; the value is what the reader sees."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNSURE = "UNSURE"
    """The median seed holds, but so few seeds do not show that more than half of all would."""
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
    interval: tuple[float, float] | None = None
    """The exact 95% interval of "a seed holds"; None for a rule that is not one on the median seed."""
    note: str = ""
    """Where there is a figure, what the run that it was read from says of it; else why there is none."""
    witnesses: tuple[Witness, ...] = field(default=(), repr=False)

    @property
    def count(self) -> str:
        """How many hold, and what that says of a seed; empty where nothing was counted."""
        return count_in_words(self.holds, self.of, self.interval) if self.of else ""


def count_in_words(holds: int, of: int, interval: tuple[float, float] | None) -> str:
    """``9 of 10, a seed holds with 55% to 100%``."""
    return f"{holds} of {of}" + (f", a seed holds with {interval[0]:.0%} to {interval[1]:.0%}" if interval else "")


@cache
def seed_holds(holds: int, of: int) -> tuple[float, float] | None:
    """The exact two-sided 95% interval of the probability that a seed holds (Clopper and Pearson 1934); None of no seed.

    ``scipy.stats.binomtest`` has the same one, but importing it takes a seventh of the time of a small report.
    """
    return (_least_chance(holds, of), 1 - _least_chance(of - holds, of)) if of else None


def _least_chance(holds: int, of: int) -> float:
    """The chance of a seed at which so many hold, or more, in 2.5% of samples of that size; 0 where none holds."""
    every = math.lgamma(of + 1)
    ways = [every - math.lgamma(count + 1) - math.lgamma(of - count + 1) for count in range(holds, of + 1)]

    def at_least(chance: float) -> float:
        """How likely so many of the seeds hold, or more; by logarithms, so that no count overflows."""
        yes, no = math.log(chance), math.log1p(-chance)
        return math.fsum(math.exp(log + n * yes + (of - n) * no) for n, log in enumerate(ways, holds))

    low, high = 0.0, float(holds > 0)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if at_least(middle) < (1 - 0.95) / 2 else (low, middle)
    return low


BEST_FIRST = (Verdict.PASS, Verdict.UNSURE, Verdict.NO_DATA, Verdict.FAIL)
"""The verdicts on a criterion that is judged."""


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

    FAIL if half or more fail. If more than half pass: PASS where that shows that a seed holds more often than not, by the
    lower bound of :func:`seed_holds` (a seed without data counts as one that does not hold), else UNSURE. Else it hangs on
    those without data.
    """
    known = [verdict for verdict in verdicts if verdict is not Verdict.NOT_APPLICABLE]
    if not known:
        return Verdict.NOT_APPLICABLE if verdicts else Verdict.NO_DATA
    holds = known.count(Verdict.PASS)
    if 2 * holds > len(known):
        interval = seed_holds(holds, len(known))
        return Verdict.PASS if interval is not None and interval[0] > 0.5 else Verdict.UNSURE
    return Verdict.FAIL if 2 * known.count(Verdict.FAIL) >= len(known) else Verdict.NO_DATA


def of_every(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL if one fails, else NO DATA if one has none, else UNSURE if one is, else PASS; what is not applicable does not count.
    What was expected was so only if it was so in each.
    """
    found = set(verdicts)
    order = (*reversed(BEST_FIRST), Verdict.NOT_OBSERVED, Verdict.EXPECTED)
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
    if math.isnan(figure) or figure == math.inf:  # not reached, which is the worst either way
        return math.inf
    return figure if larger_is_worse else -figure
