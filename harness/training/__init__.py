"""Training is a stream of events; the caller that iterates over it decides what to do with them, and when to stop."""

from harness.training.events import (
    BaseStarted,
    CutShort,
    Diverged,
    Epoch,
    Event,
    Kept,
    NonFinite,
    Pruned,
    StageStarted,
    Taken,
)
from harness.training.loop import Training, train

__all__ = [
    "BaseStarted",
    "CutShort",
    "Diverged",
    "Epoch",
    "Event",
    "Kept",
    "NonFinite",
    "Pruned",
    "StageStarted",
    "Taken",
    "Training",
    "train",
]
