"""Several seeds: how large an error is, how sure that is, and which of two models is the better one.

An error that was not reached is infinite, and counts. Errors are NMSE; those that differ by less than the floor are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from harness.protocol import FLOOR

RESAMPLES = 1000
"""Draws of a bootstrap."""
FEWEST = 4
"""Seeds of a model that can be better than another by more than chance: with fewer the rank test of 95% never says so."""
FEWEST_OF_INTERVAL = 6
"""Seeds that have an interval of 95%: of fewer it is their range, which has the median of all seeds in it with 75% (three) to 94%
(five).
"""
FACTORS = (1.0, 2.0, 5.0, 10.0, 100.0, 1e3, 1e4, 1e6)
"""Where a performance profile is tabulated."""
NOT_REACHED = 300.0
"""The logarithm that stands for infinity while means between order statistics are taken."""


@dataclass(frozen=True)
class Estimate:
    """A figure over several seeds. Of two middle seeds the worse is the median, as for the criteria."""

    median: float
    first_quartile: float
    third_quartile: float
    low: float
    """Lower end of the 95% bootstrap interval of the median, which of fewer than six seeds is their range; equal to the median
    where there is one seed.
    """
    high: float
    seeds: int
    reached: int
    """Seeds of which the figure is finite."""
    knows_target: bool = False
    """Whether it is of runs whose shape was chosen with knowledge of the target."""
    least: float = math.nan
    largest: float = math.nan
    """Of the seeds."""


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Median, quartiles and interval of positive figures of which less is better; None is left out, NaN is infinite.

    The interval is the percentile bootstrap of the median, as of scipy, with a fixed generator; of fewer than six figures that is
    their least and largest. None when nothing is left.
    """
    known = np.array([math.inf if math.isnan(value) else value for value in values if value is not None])
    if known.size == 0:
        return None
    ordered = np.sort(known)
    last = len(ordered) - 1
    low, high = _interval(ordered) if last else (float(ordered[0]),) * 2
    return Estimate(
        float(ordered[len(ordered) // 2]),
        float(ordered[math.floor(last / 4)]),
        float(ordered[math.ceil(3 * last / 4)]),
        low,
        high,
        len(ordered),
        int(np.isfinite(ordered).sum()),
        least=float(ordered[0]),
        largest=float(ordered[-1]),
    )


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the interval of figures in rising order."""
    if values[0] == values[-1]:
        return float(values[0]), float(values[0])
    logs = np.where(np.isfinite(values), np.log10(np.maximum(values, 1e-300)), NOT_REACHED)
    bounds = ((1 - part) * logs[below] + part * logs[above] for below, above, part in _ends(len(logs)))
    low, high = (math.inf if bound > NOT_REACHED / 3 else 10.0 ** float(bound) for bound in bounds)
    return low, high


@cache
def _ends(seeds: int) -> list[tuple[int, int, float]]:
    """Between which two of so many figures in their order each end of the interval lies, and which part of the way.

    Which figures a draw takes is the generator's choice alone, so these are the same for whatever figures there are.
    """
    drawn = np.random.default_rng(0).integers(0, seeds, (RESAMPLES, seeds))
    ranks = np.sort(np.partition(drawn, seeds // 2, axis=1)[:, seeds // 2]).tolist()
    tail = (1 - 0.95) / 2
    places = (part * RESAMPLES + (1 - part) - 1 for part in (tail, 1 - tail))
    return [(ranks[int(at)], ranks[int(at) + 1], at % 1) for at in places]


def better(a: float, b: float, floor: float = FLOOR) -> float:
    """1 if a is the smaller error, 0 if b is, 1/2 if they differ by no more than the floor; NaN is infinite."""
    a, b = (math.inf if math.isnan(value) else value for value in (a, b))
    if a == b or abs(a - b) <= floor:
        return 0.5
    return float(a < b)


def probability_of_improvement(a: Sequence[float], b: Sequence[float], floor: float = FLOOR) -> float:
    """How likely a run of the first is better than one of the second, over all pairs of seeds (Agarwal et al. 2021)."""
    if not a or not b:
        return math.nan
    x, y = (np.array([math.inf if math.isnan(value) else value for value in values]) for values in (a, b))
    with np.errstate(invalid="ignore"):
        difference = y[None, :] - x[:, None]
    same = np.isnan(difference) | (np.abs(difference) <= floor)
    return float(np.where(same, 0.5, difference > 0).mean())


def on_front(points: Sequence[tuple[float, float]], floor: float = FLOOR) -> list[bool]:
    """Of each pair of size and error, whether no smaller network is as good, and none of its size is better.

    A difference below the floor is none, so that more parameters buy something at each step of the front.
    """
    return [
        not any(
            (size < own and better(error, found, floor) >= 0.5) or (size == own and better(error, found, floor) == 1)
            for size, error in points
        )
        for own, found in points
    ]


Errors = Mapping[str, Mapping[str, Sequence[float]]]
"""NMSE of the seeds, by problem and model."""
Floors = Mapping[str, float]
"""By problem, the difference of two NMSE that is none, where it is another than ``FLOOR``."""
NONE: Floors = {}


def win_matrix(errors: Errors, floors: Floors = NONE) -> dict[str, dict[str, float]]:
    """Probability that the model of the row is better than that of the column, mean over the problems that both have."""
    models = list(dict.fromkeys(model for by_model in errors.values() for model in by_model))
    matrix: dict[str, dict[str, float]] = {}
    for row in models:
        matrix[row] = {}
        for column in models:
            chances = [
                probability_of_improvement(of[row], of[column], floors.get(problem, FLOOR))
                for problem, of in errors.items()
                if row != column and of.get(row) and of.get(column)
            ]
            matrix[row][column] = float(np.mean(chances)) if chances else math.nan
    return matrix


def performance_profile(medians: Mapping[str, Mapping[str, float]], floors: Floors = NONE) -> dict[str, list[float]]:
    """For each model and factor of ``FACTORS``: on which part of the problems it is within the factor of the best model.

    Errors are compared with the floor added (Dolan and More 2002, eq. 2.1); one that differs from the best by no more than the
    floor is as good. A model without an error never is, and a problem on which no model has one counts for none.
    """
    models = list(dict.fromkeys(model for by_model in medians.values() for model in by_model))
    profile = {model: [0.0] * len(FACTORS) for model in models}
    for problem, by_model in medians.items():
        floor = floors.get(problem, FLOOR)
        best = min((v for v in by_model.values() if math.isfinite(v)), default=math.inf)
        for model, value in by_model.items():
            ratio = (value + floor) / (best + floor) if math.isfinite(value) else math.inf
            ratio = 1.0 if value - best <= floor else ratio
            for index, factor in enumerate(FACTORS):
                profile[model][index] += (ratio <= factor) / len(medians)
    return profile
