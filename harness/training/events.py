"""What happens in a training, one record a happening. All errors are MSE in the raw units of the target; of an equation the
target is its solution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class StageStarted:
    """A stage of the plan begins; its first epoch is the next one."""

    index: int
    name: str


@dataclass(frozen=True)
class Epoch:
    """An epoch is over and every number of it is finite."""

    epoch: int
    """1-based, counted over all stages."""
    stage: int
    train_mse: float
    val_mse: float
    test_mse: float
    grad_norm: float
    """Norm of the objective's gradient, in batches of that of the first, at the parameters that the epoch started from, before
    any clipping.
    """
    lr: float | None
    """Learning rate of the epoch; None for a stage without one."""
    train_s: float
    """Seconds of training so far; evaluation and whatever the listener does are outside this clock."""
    evals: int
    """Loss-and-gradient evaluations so far."""
    state: dict[str, Tensor] = field(repr=False)
    """Copy of the model's state after the epoch."""
    extra: dict[str, float] = field(default_factory=dict)
    """What is measured besides, by metric name: by a family (``kan/grid``, ``kan/active_edges``), and of an equation
    ``train/residual``, ``val/residual`` and ``train/boundary``, in units of the mean square of its forcing."""

    @property
    def val_error(self) -> float:
        """What a choice may go by: the MSE on validation points, or the objective of an equation at held-out ones."""
        return self.extra.get("val/residual", self.val_mse)


@dataclass(frozen=True)
class NonFinite:
    """A number that should be finite is not, at the evaluation where it was born."""

    epoch: int
    stage: str
    evaluation: int
    what: str
    """``parameter``, ``prediction``, ``loss`` or ``gradient``: the first in this order, in which they cause each other. After
    the training the name of the final metric, such as ``final/h1_rel``."""
    value: float
    """NaN, an infinity, or a training MSE beyond the bound that counts as infinite."""
    lr: float | None
    grad_norm: float
    last_finite_loss: float
    """The last finite training MSE, or objective of an equation; NaN when there was none."""

    @property
    def exceeds(self) -> bool:
        """Whether it is finite after all, and beyond the bound."""
        return math.isfinite(self.value)


@dataclass(frozen=True)
class Pruned:
    """A network was cut. Dense MSE before and after, and active parameters before and after."""

    params_before: int
    params_after: int
    mse_before: float
    mse_after_cut: float


@dataclass(frozen=True)
class Kept:
    """What the model is now is worth keeping: it is what is left of the training if a later stage fails."""

    stage: str
    """The stage that is over: a grid's, the one before the cut, or a retraining."""
    epoch: int
    state: dict[str, Tensor] = field(repr=False)


@dataclass(frozen=True)
class Taken:
    """The model is back at the epoch whose validation error was the least; told at the end of a training with ``patience``."""

    epoch: int
    val_mse: float
    ended: int
    """The last epoch that was computed."""
    state: dict[str, Tensor] = field(repr=False)
    val_residual: float | None = None
    """Of an equation: its objective at the held-out points, which was the least."""


@dataclass(frozen=True)
class CutShort:
    """The search among sizes ends before its plan does, since its seconds of the processor are over."""

    seconds: float
    """Those that it had."""
    sizes: int
    """Sizes that were tried until then."""

    def __str__(self) -> str:
        return f"The search ended after {self.sizes} sizes, since its {self.seconds:g} s of the processor were over."


@dataclass(frozen=True)
class Diverged:
    """The training ends here because a number is not finite; the model is back in its last finite state."""

    reason: str


@dataclass(frozen=True)
class BaseStarted:
    """The run itself is trained; the events from here on are those of its unpruned twin."""


Event = BaseStarted | StageStarted | Epoch | NonFinite | Pruned | Kept | Taken | CutShort | Diverged
