"""Problems of several inputs and outputs with their points, and what can be read off a figure."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from torch import Tensor

from harness.data import Data, Sample
from harness.models import Regressor
from harness.problems import Condition, Equation, Problem, dirichlet
from harness.problems.solving import laplacian
from harness.problems.table import of_numbers

Floats = NDArray[np.float64]


def formula(target: Callable[[Tensor], Tensor], dimension: int, **fields: Any) -> Problem:
    """A problem on the unit cube that is registered nowhere."""
    given = {"formula": "f", "sections": ("mine",), "citation": "none", "low": 0.0, "high": 1.0, **fields}
    return Problem(name="mine", dimension=dimension, target=target, **given)


def points_of(problem: Problem, dense: int = 500, seed: int = 0) -> Data:
    """Random points of a formula; as many dense ones as are asked for."""
    generator = torch.Generator().manual_seed(seed)

    def at(points: int) -> Sample:
        low, high = torch.tensor(problem.bounds, dtype=torch.float64).T
        x = low + (high - low) * torch.rand(points, problem.dimension, generator=generator, dtype=torch.float64)
        return Sample(x, problem.values(x))

    return Data(at(40), at(20), at(30), at(dense))


def rendered(figure: Figure) -> list[str]:
    """The texts of a figure that has been drawn; asserts that all of it has room on the figure."""
    figure.savefig(io.BytesIO(), format="png")
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches() + 0.01
    assert box.x0 > -0.01, "runs out to the left"
    assert box.y0 > -0.01, "runs out below"
    assert box.x1 < width, "runs out to the right"
    assert box.y1 < height, "runs out above"
    found = [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in found if text]


def named(figure: Figure, gid: str) -> list[Any]:
    """The lines of a figure that have that name."""
    return [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]


def rows(x: Floats, y: Floats, inputs: tuple[str, ...], outputs: tuple[str, ...], **of_table: Any) -> Problem:
    """A problem that is the rows of a file."""
    table = of_numbers("mine", inputs, outputs, x, y, **of_table)
    return Problem(
        name="mine",
        dimension=len(inputs),
        inputs=inputs,
        outputs=outputs,
        table=table,
        formula="rows of mine.csv",
        sections=("mine",),
        citation="none",
        low=tuple(map(float, x.min(axis=0))),
        high=tuple(map(float, x.max(axis=0))),
    )


def split_of(problem: Problem) -> Data:
    """Its rows, one after the other into training, validation and test."""
    table = problem.table
    assert table is not None
    x, y = torch.from_numpy(table.x), torch.from_numpy(table.y)
    train, val, test = (Sample(x[i::3], y[i::3]) for i in range(3))
    return Data(train, val, test, test)


class Formula(torch.nn.Module):
    """A network that is a formula, so that its derivatives are known."""

    def __init__(self, value: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return self.value(x)


def model_of(value: Callable[[Tensor], Tensor], problem: Problem) -> Regressor:
    """A model that has these values on [-1, 1], where inputs are not scaled."""
    assert {*problem.bounds} == {(-1.0, 1.0)}
    return Regressor(Formula(value), -1.0, 1.0)


def sine(x: Tensor) -> Tensor:
    """The solution of :func:`poisson`."""
    return (math.pi * x).sin().prod(dim=1, keepdim=True)


def poisson(dimension: int, *conditions: Condition, scale: float | None = None, **fields: Any) -> Problem:
    """-laplacian(u) = f on [-1, 1] in any dimension, with u = 0 on all sides unless conditions are given."""
    operator, partials = laplacian(-1.0)
    equation = Equation(
        formula="-laplacian(u) = f",
        operator=operator,
        partials=partials,
        forcing=lambda x: dimension * math.pi**2 * sine(x),
        conditions=conditions or (dirichlet(sine),),
        scale=scale,
    )
    given = {"formula": "sin(pi x)", "outputs": ("u",), "low": -1.0, "equation": equation, **fields}
    return formula(sine, dimension, **given)
