"""An objective that is a function alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from harness.methods import Objective


class Lowered:
    """What a method asks that knows no rows: the value with its gradient."""

    rows = 0
    draws = 0

    def __init__(self, parameters: list[nn.Parameter], evaluate: Callable[[], Tensor]) -> None:
        self.parameters = parameters
        self.evaluate = evaluate
        self.extra: dict[str, float] = {}

    def attempt(self) -> tuple[Tensor, float]:
        raise AssertionError("not asked for")

    def penalty_gradient(self) -> Tensor | None:
        raise AssertionError("not asked for")

    def batches(self, size: int) -> Iterator[Objective]:
        raise AssertionError("not asked for")

    def jacobian(self, start: int, stop: int) -> Tensor:
        raise AssertionError("not asked for")

    def pull_back(self, w: Tensor) -> Tensor:
        raise AssertionError("not asked for")
