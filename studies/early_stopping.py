"""Ending a run early: at a few epochs its validation error is compared with those of earlier runs on the same problem.

The rule of a percentile pruner (Optuna's ``PercentilePruner``), applied to runs, not to trials: on another problem a trial
may do better, and whether it is worse over all its runs is for a test over all of them (:mod:`studies.trials`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from harness.config import RunConfig
from harness.training.events import BaseStarted, Epoch, Event
from studies.measures import Measured

FRACTIONS = (0.25, 0.5)
"""Parts of the epochs after which a run is looked at."""
PERCENTILE = 90.0
"""A run goes on while its error is at most this percentile of those of earlier runs. High, since of a run that is cut the
error at that epoch counts, and a trial that would be the best one suffers for it (docs/studies.md, Measured)."""
EARLIER = 8
"""Runs that it takes before one is compared with them."""

Bounds = Mapping[int, float]
"""Validation error that a run must not exceed, by epoch; infinite where it is only to be measured."""


def rung_epochs(config: RunConfig) -> list[int]:
    """The epochs at which a run is looked at."""
    return sorted({max(1, round(config.epochs * part)) for part in FRACTIONS} - {config.epochs})


class Earlier:
    """The validation errors of earlier runs, by problem and epoch."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, int], list[float]] = defaultdict(list)

    def add(self, problem: str, errors: Mapping[int, float]) -> None:
        """Take in a run."""
        for epoch, error in errors.items():
            self._errors[problem, epoch].append(error)

    def bounds(self, config: RunConfig) -> dict[int, float]:
        """What a run of this configuration has to keep below."""
        found = {}
        for epoch in rung_epochs(config):
            known = self._errors[config.problem, epoch]
            found[epoch] = float(np.percentile(known, PERCENTILE)) if len(known) >= EARLIER else float("inf")
        return found


class EarlyStop:
    """A listener to a training, which notes its errors and asks it to end when one is beyond its bound."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._of_base = False
        self.errors: dict[int, float] = {}
        self.cut = False

    def __call__(self, event: Event) -> str | None:
        """The reason to end the run, if there is one."""
        match event:
            case BaseStarted():
                self._of_base = True
            case Epoch() if event.epoch in self._bounds and not self._of_base:
                self.errors[event.epoch] = error = event.val_error
                if error > (bound := self._bounds[event.epoch]):
                    self.cut = True
                    what = "residual" if "val/residual" in event.extra else "MSE"
                    return f"Pruned with a validation {what} of {error:.2e}, above the {bound:.2e} of nine in ten runs"
        return None


def noted(runs: list[Measured]) -> dict[str, list[dict[str, float]]]:
    """The errors of runs by problem, as plain data that a trial keeps."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for run in runs:
        if run.rungs:
            found[run.problem].append({str(epoch): error for epoch, error in run.rungs.items()})
    return dict(found)
