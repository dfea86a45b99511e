"""Problems whose formula is written once, as text: what is shown is what is evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import CodeType
from typing import Any

from harness.problems.problem import Problem, Values
from harness.problems.rows import Points

FUNCTIONS = ("abs", "arccos", "arcsin", "arctan", "cos", "exp", "log", "sign", "sin", "sqrt", "tanh")
"""Of torch, by torch's names; ``log`` is the natural one."""


@dataclass(frozen=True)
class Expression:
    """A function of named inputs, written as a Python expression of them, ``FUNCTIONS``, ``sinc`` and ``pi``.

    ``sinc(x)`` is sin(x) / x, and 1 at 0. The text is compiled when the function is first asked for values.
    """

    text: str
    inputs: tuple[str, ...]

    def __call__(self, x: Points) -> Values:
        """The values at points, in their dtype and on their device. Infinite or NaN where the formula is."""
        columns = dict(zip(self.inputs, x.split(1, dim=1), strict=True))
        values: Values = eval(self._code, _vocabulary(), columns)
        return values

    def finite_gradient(self, x: Points) -> Points:
        """The gradient at points by autograd, and 0 where that is infinite or NaN: a point has no weight in the H1 norm."""
        import torch

        with torch.enable_grad():
            inputs = x.detach().requires_grad_(True)
            (slopes,) = torch.autograd.grad(self(inputs).sum(), inputs)
        return slopes.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)

    @property
    def formula(self) -> str:
        """The text as formulas are shown: ``x**2 * y`` as ``x^2 y``."""
        return self.text.replace("**", "^").replace(" * ", " ")

    @cached_property
    def _code(self) -> CodeType:
        return compile(self.text, f"<formula {self.text}>", "eval")


@cache
def _vocabulary() -> dict[str, Any]:
    import torch

    def sinc(x: torch.Tensor) -> torch.Tensor:
        return torch.sinc(x / math.pi)

    pi = torch.tensor(math.pi, dtype=torch.float64)  # a tensor without dimensions takes on the dtype of what it meets
    return {"__builtins__": {}, "pi": pi, "sinc": sinc, **{name: getattr(torch, name) for name in FUNCTIONS}}


def of_formula(name: str, text: str, ranges: Mapping[str, tuple[float, float]], **fields: Any) -> Problem:
    """The problem of learning an :class:`Expression` of the inputs that ``ranges`` names, between the bounds that it gives.

    The gradient is autograd's; ``fields`` are further fields of the problem. Raises BadInput as :class:`Problem` does.
    """
    expression = Expression(text, tuple(ranges))
    return Problem(
        name=name,
        dimension=len(ranges),
        target=expression,
        formula=expression.formula,
        inputs=expression.inputs,
        outputs=("value",) if "f" in ranges else ("f",),
        low=tuple(float(low) for low, _ in ranges.values()),
        high=tuple(float(high) for _, high in ranges.values()),
        **fields,
    )
