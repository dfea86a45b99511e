"""Which model to use for a problem, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.protocol import FLOOR
from reports.comparing.statistics import FEWEST, Estimate, better, estimate, probability_of_improvement

USABLE = 0.1
"""The largest NMSE of a model that is recommended: one that predicts the mean everywhere has 1."""


@dataclass(frozen=True)
class Recommendation:
    """Which model to use for a problem, and how sure that is."""

    problem: str
    model: str
    estimate: Estimate
    equals: tuple[str, ...]
    """The other models whose median is the least one but for the floor, the simplest first."""
    chosen_for: str
    """What set it apart: ``least error``, or from its equals that it is ``no network``, the ``fewest parameters``, the ``shortest
    training`` or, where all that is the same or not known, the ``first name``.
    """
    runner_up: str
    fewest: int
    """Seeds of the model or of the runner-up, whichever has fewer."""
    chance: float
    """Probability that a new seed of the model is better than one of the runner-up; NaN without one."""

    @property
    def usable(self) -> bool:
        """Whether its median is small enough to be useful."""
        return self.estimate.median <= USABLE

    @property
    def certainty(self) -> str:
        """The chance in words; few seeds are never called sure."""
        if not self.usable:
            return f"none has reached NMSE {USABLE:g}"
        if not self.runner_up:
            return "no other to choose" if not self.equals else "all the same"
        seeds = f"{self.fewest} seed{'s' if self.fewest > 1 else ''}"
        if self.fewest < FEWEST:
            return f"unsure, {seeds}"
        word = "sure" if self.chance >= 0.95 else "likely" if self.chance >= 0.75 else "toss-up"
        return f"{word}, {self.chance:.0%} of pairs, {seeds}"


@dataclass(frozen=True)
class Cost:
    """What a model takes, median of the seeds; infinite where it is not known."""

    parameters: float = math.inf
    seconds: float = math.inf
    """Of training."""
    network: bool = True
    """Whether it is a network, which is less simple than any classical method."""


def recommend(
    problem: str, errors: Mapping[str, Sequence[float]], costs: Mapping[str, Cost], floor: float = FLOOR
) -> Recommendation | None:
    """The model with the least median; None when no model has a run.

    Of those that differ from the least by no more than the floor, which is noise, the simplest: a classical method before a
    network, then that with the fewest parameters, then the shortest training, then by name.
    """
    found = {model: each for model, values in errors.items() if (each := estimate(values)) is not None}
    if not found:
        return None
    ordered = sorted(found, key=lambda model: found[model].median)
    least = found[ordered[0]].median
    keys = {
        model: (cost.network, cost.parameters, cost.seconds, model)
        for model in ordered
        if better(found[model].median, least, floor) == 0.5
        for cost in (costs.get(model, Cost()),)
    }
    first, *equals = sorted(keys, key=lambda model: keys[model])
    others = [model for model in ordered if model not in keys]
    chance = probability_of_improvement(errors[first], errors[others[0]], floor) if others else math.nan
    reason = "least error"
    if equals:
        reasons = ("no network", "fewest parameters", "shortest training", "first name")
        reason = next(r for r, a, b in zip(reasons, keys[first], keys[equals[0]], strict=True) if a != b)
    fewest = min(found[model].seeds for model in (first, *others[:1]))
    runner_up = others[0] if others else ""
    return Recommendation(problem, first, found[first], tuple(equals), reason, runner_up, fewest, chance)
