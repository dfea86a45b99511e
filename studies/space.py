"""What a study searches: a range or a choice for each hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import BadInput

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Real:
    """A real number from ``low`` to ``high``, both included; ``log``: equally likely in each decade."""

    low: float
    high: float
    log: bool = False

    def fault(self) -> str | None:
        """Why this can't be searched, or None."""
        return _range_fault(self.low, self.high, self.log)

    def distribution(self) -> BaseDistribution:
        """The same in Optuna's terms."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def fields(self, name: str, value: Any) -> dict[str, Any]:
        """The fields of a run that a value stands for."""
        return {name: float(value)}

    def some(self) -> list[Any]:
        """Values to try a configuration with before a study begins."""
        return [self.low, self.high]

    def near(self, current: Any) -> list[Any]:
        """Where the value of a preset can be found here, if it is searched at all."""
        return [float(current)] if current is not None and self.low <= current <= self.high else []


@dataclass(frozen=True)
class Whole:
    """A whole number from ``low`` to ``high`` in steps of ``step``."""

    low: int
    high: int
    step: int = 1

    def fault(self) -> str | None:
        """Why this can't be searched, or None."""
        if self.step < 1:
            return f"has step = {self.step}; it must be at least 1"
        return _range_fault(self.low, self.high, log=False)

    def distribution(self) -> BaseDistribution:
        """The same in Optuna's terms."""
        from optuna.distributions import IntDistribution

        # Optuna would shorten the range by itself, and warn.
        return IntDistribution(self.low, self.high - (self.high - self.low) % self.step, step=self.step)

    def fields(self, name: str, value: Any) -> dict[str, Any]:
        """The fields of a run that a value stands for."""
        return {name: int(value)}

    def some(self) -> list[Any]:
        """Values to try a configuration with before a study begins."""
        return [self.low, self.high]

    def near(self, current: Any) -> list[Any]:
        """Where the value of a preset can be found here, if it is searched at all."""
        if current is None or not self.low <= current <= self.high:
            return []
        return [current] if (current - self.low) % self.step == 0 else []


@dataclass(frozen=True)
class Choice:
    """One of several settings: each has a label and the fields of a run that it stands for."""

    options: Mapping[str, Mapping[str, Any]]

    def fault(self) -> str | None:
        """Why this can't be searched, or None."""
        return None if self.options else "has no options"

    def distribution(self) -> BaseDistribution:
        """The same in Optuna's terms."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(tuple(self.options))

    def fields(self, name: str, value: Any) -> dict[str, Any]:
        """The fields of a run that a label stands for."""
        return dict(self.options[value])

    def some(self) -> list[Any]:
        """Values to try a configuration with before a study begins."""
        return list(self.options)

    def near(self, current: Any) -> list[Any]:
        """Where the value of a preset can be found here: any label, since what it has may be of several fields."""
        return list(self.options)


Dimension = Real | Whole | Choice
Space = Mapping[str, Dimension]


def _range_fault(low: float, high: float, log: bool) -> str | None:
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"goes from low = {low:g} to high = {high:g}; both must be finite"
    if low > high:
        return f"goes from low = {low:g} to high = {high:g}; low must be at most high"
    if log and low <= 0:
        return f"has low = {low:g} on a logarithmic scale; it must be above 0"
    return None


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The whole space in Optuna's terms."""
    return {name: dimension.distribution() for name, dimension in space.items()}


def fields(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run that a point of the space stands for. Raises BadInput for what is not in the space."""
    for name in values:
        if name not in space:
            raise BadInput(f"{name} = {values[name]!r} is not searched by this study; it searches {', '.join(space)}.")
    return {key: value for name in values for key, value in space[name].fields(name, values[name]).items()}


def described(space: Space) -> dict[str, Any]:
    """The space as plain data, to be compared with that of another definition."""
    return {name: {"kind": type(dimension).__name__.lower(), **asdict(dimension)} for name, dimension in space.items()}
