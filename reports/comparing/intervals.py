"""Several problems and seeds in one figure with its interval: a stratified bootstrap over seeds (Agarwal et al. 2021).

Seeds are drawn anew within each model and problem, problems never: they are the benchmark, no sample of one. Of fewer
than six seeds such an interval would feign knowledge: the ends are then the least and largest figure that any draw gives, which
is called a range.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harness.protocol import FLOOR
from reports.comparing.statistics import FEWEST_OF_INTERVAL, NONE, RESAMPLES, Errors, Floors
from reports.reading.histories import Floats

MOST_KEPT = 1_000
"""Seeds whose weights are kept from one pair of models to the next: 8 MB."""
RATIOS: tuple[float, ...] = tuple(float(f"{10 ** (k / 8):.4g}") for k in range(65))
"""Where a profile is drawn: from the best error to 1e8 times it, which is the variance over the floor."""


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its interval; all three NaN where there is nothing to tell."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Band:
    """Figures at each of ``RATIOS``, with the ends of their intervals."""

    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def most_seeds(errors: Errors) -> int:
    """The largest number of seeds of a model on a problem."""
    return max((len(seeds) for by_model in errors.values() for seeds in by_model.values()), default=0)


def interval_name(seeds: int) -> str:
    """What intervals of so many seeds are."""
    if seeds >= FEWEST_OF_INTERVAL:
        return "95% bootstrap interval"
    return "range over the seeds" if seeds > 1 else "one seed, no interval"


def interval_names(seeds: Collection[int]) -> str:
    """What the ends of estimates are, each of one of these numbers of seeds."""
    if max(seeds, default=0) < FEWEST_OF_INTERVAL:
        return "range"
    few = any(1 < each < FEWEST_OF_INTERVAL for each in seeds)
    return "95% bootstrap interval" + ("; of fewer than six seeds their range" if few else "")


def profile_bands(errors: Errors, floors: Floors = NONE) -> dict[str, Band]:
    """For each model and ratio: on which part of the problems its median error is within the ratio of the best median.

    Dolan and More (2002), eq. 2.1, as :func:`reports.comparing.statistics.performance_profile`. A figure that was not reached,
    and a model that was not tried on a problem, never is. A draw takes new seeds for all models at once.
    """
    models = _models(errors)
    inside = np.zeros((1 + RESAMPLES, len(models), len(RATIOS)))
    generator = np.random.default_rng(0)
    for problem, by_model in errors.items():
        floor = floors.get(problem, FLOOR)
        medians = np.full((1 + RESAMPLES, len(models)), np.inf)
        for row, model in enumerate(models):
            seeds = _known(by_model.get(model, ()))
            if seeds.size:
                drawn = np.concatenate([seeds[None], _draws(seeds, generator)])
                drawn.partition(seeds.size // 2, axis=1)
                medians[:, row] = drawn[:, seeds.size // 2]
        best = medians.min(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            ratio = np.where(np.isfinite(medians), (medians + floor) / (best + floor), np.inf)
            ratio[medians - best <= floor] = 1.0
        inside += ratio[:, :, None] <= np.array(RATIOS) * (1 + 1e-12)
    inside /= max(len(errors), 1)
    low, high = _ends(inside[1:], most_seeds(errors))
    return {
        model: Band(tuple(inside[0, row].tolist()), tuple(low[row].tolist()), tuple(high[row].tolist()))
        for row, model in enumerate(models)
    }


def improvement(errors: Errors, first: str, second: str, floors: Floors = NONE) -> Interval:
    """How likely a run of the first model is better than one of the second: over all pairs of seeds, mean over the problems that
    both were tried on. NaN where there is none.
    """
    chances = [
        _chances(x, y, floors.get(problem, FLOOR))
        for problem, by_model in errors.items()
        if (x := _known(by_model.get(first, ()))).size and (y := _known(by_model.get(second, ()))).size
    ]
    if not chances:
        return Interval(math.nan, math.nan, math.nan)
    counts = tuple(each.shape for each in chances)
    weights = _kept_weights(counts) if sum(map(sum, counts)) <= MOST_KEPT else _weights(counts)
    drawn = [((a @ each) * b).sum(axis=1) for each, (a, b) in zip(chances, weights, strict=True)]
    low, high = _ends(np.clip(np.mean(drawn, axis=0), 0, 1), most_seeds(errors))  # but for rounding they are within
    return Interval(float(np.mean([each.mean() for each in chances])), float(low), float(high))


def _weights(counts: Iterable[tuple[int, ...]]) -> Iterator[list[Floats]]:
    """How often each seed of two models is drawn, of all draws, for each problem. That is enough to know of a draw: the mean over
    its pairs is a sum over these weights.
    """
    generator = np.random.default_rng(0)
    for both in counts:
        yield [generator.multinomial(n, [1 / n] * n, size=RESAMPLES) / n for n in both]


@lru_cache(maxsize=1)  # of most pairs of models the counts are the same
def _kept_weights(counts: tuple[tuple[int, ...], ...]) -> list[list[Floats]]:
    return list(_weights(counts))


def aggregate(errors: Errors, model: str, floors: Floors = NONE) -> Interval:
    """Interquartile mean of log10 NMSE over all seeds and problems (Agarwal et al. 2021, section 4.3).

    Errors below the floor count as the floor, 1e-8 unless ``floors`` has another. Those above 1 count as 1, which is what
    predicting the mean has, and so do those that were not reached: the mean stays finite, and nothing is left out. NaN for a
    model without a run.
    """
    logs = [
        np.log10(np.clip(known, floors.get(problem, FLOOR), 1.0))
        for problem, by_model in errors.items()
        if (known := _known(by_model.get(model, ()))).size
    ]
    if not logs:
        return Interval(math.nan, math.nan, math.nan)
    generator = np.random.default_rng(0)
    value = _interquartile_mean(np.concatenate(logs)[None])[0]
    drawn = _interquartile_mean(np.concatenate([_draws(each, generator) for each in logs], axis=1))
    low, high = _ends(drawn, most_seeds(errors))
    return Interval(float(value), float(low), float(high))


def _interquartile_mean(values: Floats) -> Floats:
    """Of each row, the mean without a quarter at either end (scipy's ``trim_mean``, on all rows at once). Sorts them in place."""
    cut = values.shape[1] // 4
    values.sort(axis=1)
    middle: Floats = values[:, cut : values.shape[1] - cut].mean(axis=1)
    return middle


def _chances(x: Floats, y: Floats, floor: float) -> Floats:
    """Of each pair of seeds, as :func:`reports.comparing.statistics.probability_of_improvement`."""
    with np.errstate(invalid="ignore"):
        difference = y[None, :] - x[:, None]
    same = np.isnan(difference) | (np.abs(difference) <= floor)
    return np.where(same, 0.5, difference > 0)


def _models(errors: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    return list(dict.fromkeys(model for by_model in errors.values() for model in by_model))


def _known(values: Sequence[float]) -> Floats:
    return np.array([math.inf if math.isnan(value) else value for value in values], dtype=float)


def _draws(values: Floats, generator: np.random.Generator) -> Floats:
    return values[generator.integers(len(values), size=(RESAMPLES, len(values)))]


def _ends(drawn: Floats, seeds: int) -> Floats:
    """Both ends over the first axis."""
    ends: Floats = np.quantile(drawn, (0.025, 0.975) if seeds >= FEWEST_OF_INTERVAL else (0.0, 1.0), axis=0)
    return ends
