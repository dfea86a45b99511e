"""The problem: its declaration, what it answers at points, and the registry of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from jaxtyping import Float
from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.errors import BadInput, in_one_line
from harness.problems.rows import Points, Rows
from harness.registry import Registry, check_name

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # as in harness.problems.rows

Values = Float[Tensor, "points outputs"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A scalar function to learn on ``[low, high]^dimension``.

    ``target`` is what the models fit: for a Poisson problem the *forcing* f of ``sign * laplacian(u) = f``, as in the
    original benchmark; ``solution`` is the exact u of that equation, where there is one. ``gradient`` is that of the
    target, almost everywhere (its jumps carry no weight in the H1 norm); None leaves it to autograd. All three are in raw
    units and must accept any floating dtype. Whoever needs numbers asks :meth:`values` and :meth:`slopes`, which answer
    for whatever a plug-in may have written there.

    Raises BadInput for a field that is not of its type.
    """

    name: str
    dimension: int
    target: Any = None  # STUB
    gradient: Callable[[Points], Points] | None = None
    formula: str
    sections: tuple[str, ...]
    citation: str
    low: Any = -1.0  # STUB
    high: Any = 1.0  # STUB
    solution: Callable[[Points], Values] | None = None
    solution_formula: str = ""
    sign: Literal[-1, 1] = -1
    """Sign of the Laplacian in ``sign * laplacian(u) = target``; of no meaning without a ``solution``."""
    smooth: bool = True
    """False for jumps and for frequencies that the original calls high: criterion B1 leaves these out."""
    rows: tuple[Rows, ...] = ()
    """What a training lowers instead of the fit to its training points; ``target`` is what it is judged by then."""
    # STUB of issue 15's core, until that is on main: take main's file then.
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("f",)
    units: Mapping[str, str] = field(default_factory=dict)
    table: Any = None

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """STUB."""
        if isinstance(self.low, tuple):
            return tuple(zip(self.low, self.high, strict=True))
        return ((self.low, self.high),) * self.dimension

    def __post_init__(self) -> None:
        check_name("problem", self.name)
        names = (("x",), ("x", "y"))[self.dimension - 1] if self.dimension in (1, 2) else ()
        object.__setattr__(self, "inputs", self.inputs or names or tuple(f"x{i + 1}" for i in range(self.dimension)))
        for name, kind in _kinds().items():
            value = getattr(self, name)
            try:
                kind.validate_python(value)
            except ValidationError as error:
                complaint = error.errors()[0]["msg"].removeprefix("Input ")
                of_what = "Rows" if name == "rows" else "names, such as ('mine',)"
                complaint = complaint.replace("a valid tuple", f"a tuple of {of_what}")
                raise BadInput(f"problem {self.name!r} has {name} = {value!r}; it {complaint}.") from error
        for section in self.sections:
            check_name("section", section)
        if len({rows.name for rows in self.rows}) < len(self.rows):
            raise BadInput(f"problem {self.name!r} has two rows of one name; give each a name of its own.")
        if self.dimension < 1:
            raise BadInput(
                f"problem {self.name!r} has dimension = {self.dimension}; "
                "allowed: 1, 2 (the dense grid and the figures are made for these)."
            )
        if self.table is not None:
            return  # STUB
        if not self.low < self.high:
            raise BadInput(
                f"problem {self.name!r} has the domain [{self.low}, {self.high}]; low must be less than high."
            )
        if not math.isfinite(self.high - self.low):
            raise BadInput(
                f"problem {self.name!r} has the domain [{self.low}, {self.high}]; its width must be a finite number."
            )
        if not self.sections:
            raise BadInput(
                f"problem {self.name!r} belongs to no section; name one, which becomes its default experiment."
            )

    def values(self, x: Points, where: str = "") -> Values:
        """The target at points, in the dtype and on the device of ``x``, without a graph: a target may be a network.

        Numpy's arrays, integers and booleans are converted. Values that are not finite pass. Raises BadInput when the
        target raises, or gives anything but one number a point; ``where`` names the points in that sentence.
        """
        return self._answer("target", self.target, x, len(self.outputs), where)

    def slopes(self, x: Points, where: str = "") -> Points:
        """The gradient of the target at points, in raw units, as :meth:`values` gives values.

        Infinite or NaN where the gradient is. Raises BadInput as :meth:`values` does, and when there is no ``gradient``
        and autograd does not get from the target to its points.
        """
        return self._answer("gradient", self.gradient or self._by_autograd, x, self.dimension, where)

    def _by_autograd(self, x: Points) -> Points:
        import torch

        try:
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(self.target(x.requires_grad_(True)).sum(), x)
        except (Exception, SystemExit) as error:
            raise BadInput(
                f"problem {self.name!r} has no gradient, and autograd can't differentiate its target: {in_one_line(error)}; "
                "give it a gradient."
            ) from error
        return slope

    def _answer(self, what: str, function: Callable[[Points], Any], x: Points, columns: int, where: str) -> Tensor:
        import numpy as np
        import torch

        points = f"{len(x)} points{f' of {where}' if where else ''}"
        try:
            answer = function(x.clone())  # which a function may write to
        except BadInput:
            raise
        except (Exception, SystemExit) as error:
            raise BadInput(
                f"problem {self.name!r} has a {what} that fails at the {points}: {in_one_line(error)}."
            ) from error
        expected = f"expected: numbers of shape ({len(x)}, {columns})"
        try:
            numbers = answer if isinstance(answer, torch.Tensor) else torch.from_numpy(np.array(answer))
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"problem {self.name!r} has a {what} that gives a {type(answer).__name__} at the {points}; {expected}."
            ) from error
        if numbers.shape != (len(x), columns) or numbers.is_complex():
            kind = "complex numbers" if numbers.is_complex() else "numbers"
            raise BadInput(
                f"problem {self.name!r} has a {what} that gives {kind} of shape {tuple(numbers.shape)} at the {points}; "
                f"{expected}."
            )
        return numbers.detach().to(x.device, x.dtype)


@cache
def _kinds() -> dict[str, Any]:
    """A TypeAdapter for each field of a problem; beartype knows nothing of that type."""
    config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return {field: TypeAdapter(kind, config=config) for field, kind in get_type_hints(Problem).items()}


PROBLEMS: Registry[Problem] = Registry("problem", "harness.problems", Problem)


def register(problem: Problem) -> Problem:
    """Make a problem known under its name. Raises BadInput when the name is taken."""
    return PROBLEMS.register(problem.name, problem)


def get(name: str) -> Problem:
    """The problem of that name. Raises BadInput, with the nearest known name, when there is none."""
    return PROBLEMS.get(name)
