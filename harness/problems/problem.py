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
from harness.problems.equation import Equation
from harness.problems.rows import Points, Rows
from harness.registry import Registry, check_name

if TYPE_CHECKING:
    from torch import Tensor

    from harness.problems.table import Table
else:
    Table = Tensor = Any  # as in harness.problems.rows

Values = Float[Tensor, "points outputs"]
Slopes = Float[Tensor, "points *outputs_dimension"]
"""``(points, dimension)`` of one output, ``(points, outputs, dimension)`` of several."""
Bound = float | tuple[float, ...]


def no_target(x: Points) -> Values:
    """Stands where the rows of a table are all that is known."""
    raise BadInput(f"The rows of a file are known, and not what lies between them; {len(x)} points were asked for.")


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """What is to be learned: a function on a box, known by its ``target``, by the rows of a ``table``, or by an ``equation``.

    ``target`` is what the models fit: for a Poisson problem the *forcing* f of ``sign * laplacian(u) = f``, as in the
    original benchmark; ``solution`` is the exact u of that equation, where there is one. Of a problem with an ``equation`` the
    target is the solution u, by which a run is judged; its training reads none of it. ``gradient`` is that of the
    target, almost everywhere (its jumps carry no weight in the H1 norm), of shape ``(points, dimension)``, or
    ``(points, outputs, dimension)`` for several outputs; None leaves it to autograd. All three are in raw
    units and must accept any floating dtype. Whoever needs numbers asks :meth:`values` and :meth:`slopes`, which answer
    for whatever a plug-in may have written there.

    Raises BadInput for a field that is not of its type.
    """

    name: str
    dimension: int
    target: Callable[[Points], Values] = no_target
    gradient: Callable[[Points], Slopes] | None = None
    formula: str
    sections: tuple[str, ...]
    citation: str
    low: Bound = -1.0
    """Of every input, or one number for each."""
    high: Bound = 1.0
    inputs: tuple[str, ...] = ()
    """Names of the inputs; x, y, or x1, x2, ... unless given."""
    outputs: tuple[str, ...] = ("f",)
    units: Mapping[str, str] = field(default_factory=dict)
    """Of inputs and outputs, by their names."""
    solution: Callable[[Points], Values] | None = None
    solution_formula: str = ""
    sign: Literal[-1, 1] = -1
    """Sign of the Laplacian in ``sign * laplacian(u) = target``; of no meaning without a ``solution``."""
    smooth: bool = True
    """False for jumps and for frequencies that the original calls high: criterion B1 leaves these out."""
    rows: tuple[Rows, ...] = ()
    """What a training lowers instead of the fit to its training points; ``target`` is what it is judged by then."""
    table: Table | None = None
    """The rows that are learned, in the place of a ``target``."""
    equation: Equation | None = None
    """What is solved; the ``target`` is its solution then."""

    def __post_init__(self) -> None:
        check_name("problem", self.name)
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
        if not self.sections:
            raise self._wrong("belongs to no section; name one, which becomes its default experiment")
        if len({rows.name for rows in self.rows}) < len(self.rows):
            raise self._wrong("has two rows of one name; give each another name")
        if self.dimension < 1:
            raise self._wrong(f"has dimension = {self.dimension}; allowed: 1 and more")
        if (self.target is no_target) == (self.table is None):
            raise self._wrong("has a target and a table" if self.table else "has neither a target nor a table")
        if self.equation is not None:
            if self.table or self.rows or len(self.outputs) > 1:
                raise self._wrong(
                    "has an equation; allowed beside it: a target of one output, and neither a table nor rows"
                )
            self.equation.refuse_sides_beyond(self.dimension)
        if not self.inputs:
            object.__setattr__(self, "inputs", names_of_inputs(self.dimension))
        self._refuse_wrong_names()
        self._refuse_wrong_bounds()

    def _refuse_wrong_names(self) -> None:
        if len(self.inputs) != self.dimension:
            raise self._wrong(f"has inputs = {self.inputs!r}; expected: {self.dimension}, one for each dimension")
        names = (*self.inputs, *self.outputs)
        if not self.outputs or "" in names or len({*names}) < len(names):
            raise self._wrong(
                f"has the inputs {self.inputs!r} and outputs {self.outputs!r}; each needs a name of its own"
            )
        if taken := [name for name in self.inputs if name in ("target", "prediction")]:
            raise self._wrong(
                f"has an input {taken[0]!r}, which is what the record of a run calls its values; rename it"
            )
        if unknown := [name for name in self.units if name not in names]:
            raise self._wrong(f"has a unit of {unknown[0]!r}, which is none of its inputs and outputs")

    def _refuse_wrong_bounds(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if isinstance(bound, tuple) and len(bound) != self.dimension:
                raise self._wrong(
                    f"has {name} = {bound!r}; expected: a number, or {self.dimension}, one for each input"
                )
        for low, high in self.bounds:
            if not low < high:
                raise self._wrong(f"has the domain [{low}, {high}]; low must be less than high")
            if not math.isfinite(high - low):
                raise self._wrong(f"has the domain [{low}, {high}]; its width must be a finite number")

    def _wrong(self, what: str) -> BadInput:
        return BadInput(f"problem {self.name!r} {what}.")

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Low and high of each input."""
        lows, highs = (each if isinstance(each, tuple) else (each,) * self.dimension for each in (self.low, self.high))
        return tuple(zip(lows, highs, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of inputs, and that of outputs where there are several."""
        return (self.dimension,) if len(self.outputs) == 1 else (self.dimension, len(self.outputs))

    @property
    def has_grid(self) -> bool:
        """Whether its dense points are a grid, which they are for a target of one or two inputs."""
        return self.table is None and self.dimension <= 2

    @property
    def kind(self) -> Literal["formula", "table", "picture", "equation"]:
        """What is known of it: a formula, the rows of a file, which may be the pixels of a picture, or an equation."""
        if self.equation is not None:
            return "equation"
        if self.table is None:
            return "formula"
        return "table" if self.table.image is None else "picture"

    def values(self, x: Points, where: str = "") -> Values:
        """The target at points, in the dtype and on the device of ``x``, without a graph: a target may be a network.

        Numpy's arrays, integers and booleans are converted. Values that are not finite pass. Raises BadInput when the
        target raises, or gives anything but one number a point and output; ``where`` names the points in that sentence.
        Only for a problem that has a target.
        """
        return self.answer("target", self.target, x, (len(self.outputs),), where)

    def slopes(self, x: Points, where: str = "") -> Slopes:
        """The gradient of the target at points, in raw units, as :meth:`values` gives values.

        Infinite or NaN where the gradient is. Raises BadInput as :meth:`values` does, and when there is no ``gradient``
        and autograd does not get from the target to its points.
        """
        columns = (*self.shape[1:], self.dimension)
        return self.answer("gradient", self.gradient or self._by_autograd, x, columns, where)

    def _by_autograd(self, x: Points) -> Slopes:
        import torch

        try:
            with torch.enable_grad():
                values = self.target(x.requires_grad_(True))
                slopes = [
                    torch.autograd.grad(column.sum(), x, retain_graph=True)[0]
                    for column in ((values,) if len(self.outputs) == 1 else values.T)
                ]
        except (Exception, SystemExit) as error:
            raise BadInput(
                f"problem {self.name!r} has no gradient, and autograd can't differentiate its target: {in_one_line(error)}; "
                "give it a gradient."
            ) from error
        return slopes[0] if len(self.outputs) == 1 else torch.stack(slopes, dim=1)

    def answer(
        self, what: str, function: Callable[[Points], Any], x: Points, columns: tuple[int, ...], where: str
    ) -> Tensor:
        """What a function of the declaration, called ``what``, gives at points: numbers of shape ``(points, *columns)``."""
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
        expected = f"expected: numbers of shape {(len(x), *columns)}"
        try:
            numbers = answer if isinstance(answer, torch.Tensor) else torch.from_numpy(np.array(answer))
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"problem {self.name!r} has a {what} that gives a {type(answer).__name__} at the {points}; {expected}."
            ) from error
        if numbers.shape != (len(x), *columns) or numbers.is_complex():
            kind = "complex numbers" if numbers.is_complex() else "numbers"
            raise BadInput(
                f"problem {self.name!r} has a {what} that gives {kind} of shape {tuple(numbers.shape)} at the {points}; "
                f"{expected}."
            )
        return numbers.detach().to(x.device, x.dtype)


def names_of_inputs(dimension: int) -> tuple[str, ...]:
    """What inputs are called that nobody has named."""
    return ("x", "y")[:dimension] if dimension < 3 else tuple(f"x{axis}" for axis in range(1, dimension + 1))


@cache
def _kinds() -> dict[str, Any]:
    """A TypeAdapter for each field of a problem; beartype knows nothing of that type."""
    config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return {field: TypeAdapter(kind, config=config) for field, kind in get_type_hints(Problem).items()}


SHIPPED = ("table_diabetes", "table_linnerud")
"""Problems of the plug-in ``harness.problems.shipped``, for whoever asks for one without it."""

PROBLEMS: Registry[Problem] = Registry("problem", "harness.problems", Problem)


def register(problem: Problem) -> Problem:
    """Make a problem known under its name. Raises BadInput when the name is taken."""
    return PROBLEMS.register(problem.name, problem)


def get(name: str) -> Problem:
    """The problem of that name. Raises BadInput, with the nearest known name, or the plug-in that has it, when there is none."""
    if name in SHIPPED and name not in PROBLEMS.names():
        raise BadInput(f"problem = {name!r} is known with --plugins harness.problems.shipped.")
    return PROBLEMS.get(name)
