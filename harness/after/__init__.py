"""What a family does with a model once it is trained: each step is a function that the family names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.config import RunConfig
from harness.data import Data
from harness.models import Regressor
from harness.outcome import Additions, Ending
from harness.problems import Problem
from harness.training import Event


@dataclass(frozen=True)
class Twin:
    """The unpruned twin of a run (:meth:`RunConfig.twin`), where it was trained already."""

    run_id: str
    dense_mse: float


@dataclass(frozen=True)
class Trained:
    """A completed training, as a step after it sees it. ``model`` is not to be changed."""

    model: Regressor
    problem: Problem
    data: Data
    config: RunConfig
    metrics: dict[str, float]
    """The final metrics so far."""
    twin: Twin | None
    follow: Callable[[Iterator[Event]], Ending]
    """Records a further training until its end, and says how it ended."""
    go_on: Callable[[str], None]
    """Raises InterruptedError or TimeoutError when the run has to end; the text is before what, as ``there was a formula``."""


After = Callable[[Trained], tuple[Ending | None, Additions]]
"""What is added to the run; an ending instead of the training's, where it changes that. An exception is the run's error."""
