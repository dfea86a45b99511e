"""How a run can end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from harness.addresses import clean


class Outcome(Enum):
    """The closed set of outcomes; the value is what the user reads (contract: tag ``outcome``)."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    ERROR = "error"

    @property
    def status(self) -> str:
        """The MLflow status of a run with this outcome."""
        return {Outcome.COMPLETED: "FINISHED", Outcome.INTERRUPTED: "KILLED"}.get(self, "FAILED")


TERMINAL = (Outcome.COMPLETED.value, Outcome.DIVERGED.value)
"""Outcomes that are results; a run that ended otherwise says nothing of its model, and its cell is computed again."""


@dataclass(frozen=True)
class Ending:
    """An outcome with its reason in one sentence, and the exception behind it where there was one.

    The reason may quote an exception, so what is secret in it is masked.
    """

    outcome: Outcome
    reason: str
    error: BaseException | None = None

    def __post_init__(self) -> None:
        """Mask what is secret."""
        object.__setattr__(self, "reason", clean(self.reason))


@dataclass
class Additions:
    """What a run gets besides its training: final metrics, tags in words, and texts by the path of their artifact."""

    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
