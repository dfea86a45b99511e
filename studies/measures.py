"""What a study reads off a run, on training and validation points only: test points and the dense grid are for reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.outcome import Outcome
from harness.protocol import FLOOR, RESIDUAL_FLOOR

CAP = 3.0
"""The largest log10 NMSE. A run without a result counts as this, so that every value that is told is finite."""


@dataclass(frozen=True)
class Measured:
    """The figures of a run that a study looks at."""

    problem: str
    seed: int
    outcome: Outcome | None
    """None when another process is at work on the same run."""
    reason: str = ""
    run_id: str = ""
    scale2: float = 1.0
    """Variance of the target on the dense grid (mean square, if it is constant), in raw units squared; 1 for an equation."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The last value of each metric of the run; of ``val/mse`` that of the last epoch."""
    rungs: Mapping[int, float] = field(default_factory=dict)
    """Validation error at the epochs where runs are compared with earlier ones."""
    cut: bool = False
    """Whether it was ended at such an epoch; its error there then counts."""
    excess: Mapping[str, float] = field(default_factory=dict)
    """Of each criterion on training errors alone (S3, K1): log10 of the report's figure over its threshold, at most CAP."""
    twin: Measured | None = None
    """The unpruned twin, where the model has one."""
    reused: bool = False

    @property
    def floor(self) -> float:
        """Part of :attr:`scale2` below which a difference of errors is noise."""
        return RESIDUAL_FLOOR if "val/residual" in self.metrics else FLOOR

    @property
    def has_result(self) -> bool:
        """Whether there is an error that may be counted."""
        return self.outcome is Outcome.COMPLETED or self.cut

    @property
    def interrupted(self) -> bool:
        """Whether it was ended from outside, so that it has no result."""
        return self.outcome is Outcome.INTERRUPTED and not self.cut


def log10_nmse(run: Measured) -> float:
    """log10 of the validation error over the target's variance, plus the floor; at most CAP, also where it is absent or not
    finite.

    With ``patience`` the error is that of the epoch that was taken.
    """
    nmse = validation_error(run) / run.scale2
    return min(CAP, math.log10(nmse + run.floor)) if math.isfinite(nmse) else CAP


def validation_error(run: Measured) -> float:
    """The validation MSE, or the residual of an equation at held-out points, whose solution no study may read.

    Of the epoch that was taken, which is the last unless the run has ``patience``; NaN where it is absent.
    """
    kind = "residual" if "val/residual" in run.metrics else "mse"
    return run.metrics.get(f"val/best_{kind}", run.metrics.get(f"val/{kind}", math.nan))


def rises(run: Measured) -> float:
    """Criterion S3: by how much the training loss rises more than it may; met at 0 and below. NaN where it is absent."""
    return run.excess.get("S3", math.nan)


def spikes(run: Measured) -> float:
    """Criterion K1: by how much a spike of the training loss exceeds the limit; met at 0 and below. NaN if absent."""
    return run.excess.get("K1", math.nan)


def active_parameters(run: Measured) -> float:
    """Live edges x (grid + k + 2); NaN where it is absent."""
    return run.metrics.get("model/active_params", math.nan)


def beyond_twice_the_twin(run: Measured) -> float:
    """Criterion K2 on validation points: log10 of the error over twice that of the unpruned twin; met at 0 and below.

    Both errors get the floor of the criteria, a part of the target's variance. NaN where there is no twin to compare with.
    """
    if run.twin is None or not run.twin.has_result:
        return math.nan
    mse, of_twin = validation_error(run), validation_error(run.twin)
    floor = run.floor * run.scale2
    return math.log10((mse + floor) / (of_twin + floor) / 2)


def short_of_a_fifth(run: Measured) -> float:
    """Criterion K4: by how much the cut stays below 20% of the active parameters; met at 0 and below. NaN if absent."""
    missing = 0.2 - run.metrics.get("prune/reduction", math.nan)
    return 0.0 if abs(missing) < 1e-9 else missing
