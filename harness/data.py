"""The points of a run: seeded samples for training, validation and test, and the dense grid that errors are read on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import problems
from harness.errors import BadInput, in_one_line
from harness.problems import Equation, Problem
from harness.problems.equation import Condition, Side, on_sides
from harness.problems.probing import check_gradient, check_partials, check_residual, residual_at_any_jet, spelled
from harness.problems.problem import Values
from harness.problems.rows import Jet, Partials, Points, Rows
from harness.problems.table import Table, split
from harness.protocol import DENSE_POINTS
from harness.seeds import generator

if TYPE_CHECKING:
    from harness.config import RunConfig

SOBOL_POINTS = 2**14
"""Dense points from three inputs on, where a grid would need too many (contract)."""


@dataclass(frozen=True)
class Sample:
    """Inputs and target values, in raw units."""

    x: Points
    y: Values

    @property
    def digest(self) -> str:
        """Hash of the numbers themselves; equal digests mean equal data."""
        digest = hashlib.sha256()
        for tensor in (self.x, self.y):
            digest.update(tensor.double().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Data:
    """All points of one run. Models are fitted on ``train``, chosen on ``val``, and reported on ``test`` and ``dense``.

    Of an equation the ``y`` of all four samples is the solution, by which a run is judged: its training lowers the rows at
    ``at_declared``, and choices go by the same rows at ``at_held_out``.
    """

    train: Sample
    val: Sample
    test: Sample
    dense: Sample
    declared: tuple[Rows, ...] = ()
    """The rows that the problem declares; without any, a training fits ``train``."""
    at_declared: tuple[Tensor, ...] = ()
    """Their points, each ``(points, dimension)`` with a number of points of its own."""
    at_held_out: tuple[Tensor, ...] = ()
    """Of an equation: points for the same rows on which no training lowers them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of inputs, and that of outputs where there are several."""
        outputs = self.train.y.shape[1]
        return (self.train.x.shape[1], *([] if outputs == 1 else [outputs]))

    @property
    def rows(self) -> int:
        """The residuals that a training lowers."""
        return sum(map(len, self.at_declared)) or self.train.y.numel()

    @property
    def digest(self) -> str:
        """Hash over the four samples, and over declared rows where there are some; part of a run's fingerprint."""
        parts = "".join(sample.digest for sample in (self.train, self.val, self.test, self.dense))
        for rows, x in zip(self.declared, self.at_declared, strict=True):
            parts += f"{rows.name} {rows.order} {rows.weight} {Sample(x, x).digest}"
            if self.at_held_out:  # of an equation, whose solution does not say which one it is
                parts += Sample(x, residual_at_any_jet(rows, x).unsqueeze(1)).digest
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def of(config: RunConfig, device: str | torch.device = "cpu") -> Data:
    """The points of a configuration. Raises BadInput as :func:`sample` does."""
    points, dtype = (config.n_train, config.n_val, config.n_test), getattr(torch, config.dtype)
    problem = problems.of(config)
    if problem.table is None:
        sides = config.n_boundary, config.boundary_weight
        return sample(problem, config.seed, *points, dtype, device, config.target_noise, *sides)
    return of_rows(problem.table, config.seed, config.split, config.n_train, dtype, device, config.target_noise)


def of_rows(
    table: Table,
    seed: int,
    shares: Sequence[float],
    n_train: int,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
    noise: float = 0.0,
) -> Data:
    """The rows of a file, split by the seed; the test rows are what errors are read on too.

    Of the training rows at most ``n_train`` are used, drawn by the seed. ``noise`` is in units of the training targets'
    standard deviation.
    """

    def of_part(rows: NDArray[np.int64]) -> Sample:
        return Sample(*(torch.from_numpy(numbers[rows]).to(device, dtype) for numbers in (table.x, table.y)))

    train, val, test = split(table, seed, shares)
    if n_train < len(train):
        chosen = torch.randperm(len(train), generator=generator(seed, "data/rows"))[:n_train]
        train = train[chosen.sort().values.numpy()]
    parts = [of_part(rows) for rows in (train, val, test)]
    if noise:
        spread = noise * parts[0].y.std(dim=0)
        parts[:2] = [_noisy(part, spread, seed, name) for part, name in zip(parts, ("train", "val"), strict=False)]
    train_part, val_part, test_part = parts
    return Data(train_part, val_part, test_part, test_part)


def sample(
    problem: Problem,
    seed: int,
    n_train: int,
    n_val: int,
    n_test: int,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
    noise: float = 0.0,
    n_boundary: int = 200,
    boundary_weight: float = 10.0,
) -> Data:
    """Draw the points of a run uniformly on the problem's domain, each set from its own generator.

    The numbers are drawn in float64 on the CPU and then converted, so that neither the dtype nor the device changes
    which points they are. ``noise`` is added to the targets of training and validation: normal, with this standard
    deviation in units of that of the target on the dense points, each output by itself. Of an equation the training points are
    those inside, and about ``n_boundary`` lie on the sides of the box. Raises BadInput for a problem that
    can't be learned or judged: a target that is not a finite number at each point of all four sets, or a gradient that is
    not the target's; and an equation whose residual is not a finite number at its points.
    """
    low, high = (torch.tensor(bounds, dtype=torch.float64) for bounds in zip(*problem.bounds, strict=True))

    def at(name: str, x: Points) -> Sample:
        y = problem.values(x, f"set {name}")
        _refuse_what_is_not_finite(problem, name, x, y, dtype)
        return Sample(x.to(device, dtype), y.to(device, dtype))

    def uniform(name: str, points: int) -> Sample:
        unit = torch.rand(points, problem.dimension, generator=generator(seed, f"data/{name}"), dtype=torch.float64)
        return at(name, low + (high - low) * unit)

    data = Data(
        uniform("train", n_train),
        uniform("val", n_val),
        uniform("test", n_test),
        at("dense", dense_points(problem)),
        problem.rows,
        tuple(_points_of(problem, rows, seed).to(device, dtype) for rows in problem.rows),
    )
    _probe_gradient(problem)
    if problem.equation is not None:
        return _of_equation(data, problem, problem.equation, seed, n_boundary, boundary_weight)
    if not noise:
        return data
    spread = noise * data.dense.y.std(dim=0, correction=0)
    return replace(data, train=_noisy(data.train, spread, seed, "train"), val=_noisy(data.val, spread, seed, "val"))


def _noisy(clean: Sample, spread: Tensor, seed: int, name: str) -> Sample:
    """With normal noise on the target; ``spread`` is its standard deviation, for each output."""
    normal = torch.randn(clean.y.shape, generator=generator(seed, f"data/noise/{name}"), dtype=torch.float64)
    return Sample(clean.x, clean.y + spread * normal.to(clean.y))


def _refuse_what_is_not_finite(problem: Problem, name: str, x: Points, y: Values, dtype: torch.dtype) -> None:
    """A fault of the data is told as one, before a model could be blamed for it."""
    bad = ~y.to(dtype).isfinite().all(dim=1) | ~x.to(dtype).isfinite().all(dim=1)
    if bad.any():
        first = int(bad.int().argmax())
        raise BadInput(
            f"problem {problem.name!r} has bad data: its target is not a finite number in {str(dtype).removeprefix('torch.')} "
            f"at {int(bad.sum())} of the {len(x)} points of set {name}, first at x = {spelled(x[first])}, where it is "
            f"{spelled(y[first], 6)}."
        )
    square = y.to(dtype).square().mean()
    if not square.isfinite() or (square == 0 and y.any()):
        raise BadInput(
            f"problem {problem.name!r} has bad data: its target is up to {y.abs().max().item():.3g} on set {name}, and the "
            f"square of that does not fit {str(dtype).removeprefix('torch.')}; give it in other units."
        )


def _points_of(problem: Problem, rows: Rows, seed: int) -> Points:
    """The points of declared rows. Raises BadInput for anything but finite points of the problem's dimension."""
    what = f"problem {problem.name!r} has rows {rows.name!r} whose points"
    try:
        x = torch.as_tensor(rows.points(generator(seed, f"data/rows/{rows.name}"))).to(torch.float64)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{what} can't be drawn: {in_one_line(error)}.") from error
    if x.ndim != 2 or x.shape[1] != problem.dimension or not len(x) or not x.isfinite().all():
        raise BadInput(
            f"{what} have the shape {tuple(x.shape)}; expected: finite numbers of shape (points, {problem.dimension})."
        )
    return x


def _of_equation(
    data: Data, problem: Problem, equation: Equation, seed: int, n_boundary: int, boundary_weight: float
) -> Data:
    """With the rows of an equation: its residual inside, and its conditions on the sides, ``boundary_weight`` times as large.

    All are in units of the equation's scale. Conditions share the points on the sides as they share the sides.
    """
    scale, like = scale_of(problem), data.train.x
    inside, partials = _over(scale, equation.residual), _partials(equation, scale)
    at_declared, at_held_out = [data.train.x], [data.val.x]
    rows = [Rows(name="interior", points=_fixed(like), residual=inside, order=equation.order, partials=partials)]
    drawn, held_out = (generator(seed, f"data/boundary/{name}") for name in ("train", "val"))
    for index, (condition, sides, share) in enumerate(_shares(equation, problem.dimension), 1):
        count = round(share * n_boundary)
        at_declared.append(on_sides(sides, problem.bounds, count, drawn).to(like))
        at_held_out.append(on_sides(sides, problem.bounds, count, held_out, between=True).to(like))
        rows.append(
            Rows(
                name="boundary" if index == 1 else f"boundary_{index}",
                points=_fixed(at_declared[-1]),
                residual=_over(scale, condition.residual),
                order=condition.order,
                weight=share * boundary_weight**2,
            )
        )
    for each, x in zip(rows * 2, at_declared + at_held_out, strict=True):
        check_residual(problem, each, x)
    check_partials(problem, rows[0], data.train.x)
    return replace(data, declared=tuple(rows), at_declared=tuple(at_declared), at_held_out=tuple(at_held_out))


def _fixed(x: Points) -> Callable[[torch.Generator], Points]:
    return lambda generator: x


def _shares(equation: Equation, dimension: int) -> list[tuple[Condition, tuple[Side, ...], float]]:
    """Each condition with its sides, and its part of all sides."""
    found = [(condition, condition.on(dimension)) for condition in equation.conditions]
    return [(condition, sides, len(sides) / sum(len(each) for _, each in found)) for condition, sides in found]


def _over(scale: float, residual: Callable[[Points, Jet], Tensor]) -> Callable[[Points, Jet], Tensor]:
    return lambda x, jet: residual(x, jet) / scale


def _partials(equation: Equation, scale: float) -> Callable[[Points, Jet], Partials] | None:
    """Those of the residual in units of the scale."""
    given = equation.partials
    if given is None:
        return None

    def scaled(x: Points, jet: Jet) -> Partials:
        a, b, c = given(x, jet)
        return a / scale, None if b is None else b / scale, None if c is None else c / scale

    return scaled


@cache
def scale_of(problem: Problem) -> float:
    """What the residuals of its equation are divided by: the declared scale, or the root mean square of the forcing.

    Raises BadInput for a forcing that is not a finite number on the dense points, or zero on all of them.
    """
    equation = problem.equation
    assert equation is not None
    if equation.scale is not None or equation.forcing is None:
        return equation.scale or 1.0
    values = problem.answer("forcing", equation.forcing, dense_points(problem), (1,), "set dense")
    scale = values.square().mean().sqrt().item()
    if not (scale > 0 and math.isfinite(scale)):
        raise BadInput(
            f"problem {problem.name!r} has an equation whose forcing has the root mean square {scale:.3g} on the dense points; "
            "its residual has no units then, so give it a scale."
        )
    return scale


@cache
def _probe_gradient(problem: Problem) -> None:
    problem.slopes(dense_points(problem), "set dense")
    check_gradient(problem)


def dense_points(problem: Problem) -> Points:
    """The deterministic points on the training domain that errors are read on, with no extrapolation.

    In one and two dimensions a grid; in 2D the second coordinate varies fastest. Its ends are those of the domain, and each
    axis is a mirror image of itself: around 0 to the last bit, elsewhere as far as floats allow. ``torch.linspace`` has
    -4.8e-17 in the middle of [-1, 1], where a target may have a pole. From three inputs on, Sobol points of one fixed scramble.
    """
    if problem.dimension in DENSE_POINTS:
        return torch.cartesian_prod(*(_axis(problem.dimension, *bounds) for bounds in problem.bounds)).reshape(
            -1, problem.dimension
        )
    low, high = (torch.tensor(bounds, dtype=torch.float64) for bounds in zip(*problem.bounds, strict=True))
    return low + (high - low) * _sobol(problem.dimension)


def _axis(dimension: int, low: float, high: float) -> Tensor:
    points = DENSE_POINTS[dimension]
    from_end = torch.arange(points // 2, dtype=torch.float64) / (points - 1) * (high - low)
    centre = torch.tensor([low / 2 + high / 2], dtype=torch.float64)
    return torch.cat([low + from_end, centre, high - from_end.flip(0)])


@cache
def _sobol(dimension: int) -> Points:
    """Owen's scrambling keeps the points in the open cube; Sobol' 1967, directions of Joe and Kuo 2008."""
    return torch.quasirandom.SobolEngine(dimension, scramble=True, seed=0).draw(SOBOL_POINTS, dtype=torch.float64)


def scale2(y: Values) -> float:
    """The mean square that errors are put in relation to: the variance of the target, or its mean square if it is constant.

    1 for a target that is zero everywhere. The mean over the outputs, if there are several.
    """
    return sum(scales2(y)) / y.shape[1]


def scales2(y: Values) -> list[float]:
    """:func:`scale2` of each output."""
    return [_scale2(column) for column in y.unbind(dim=1)]


def _scale2(y: Tensor) -> float:
    variance, square = y.var(correction=0).item(), y.square().mean().item()
    return variance if variance > 1e-24 * square else square or 1.0
