"""The points of a run: seeded samples for training, validation and test, and the dense grid that errors are read on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import problems
from harness.errors import BadInput, in_one_line
from harness.problems import Problem
from harness.problems.probing import check_gradient, spelled
from harness.problems.problem import Values
from harness.problems.rows import Points, Rows
from harness.problems.table import Table, split
from harness.seeds import generator

if TYPE_CHECKING:
    from harness.config import RunConfig

DENSE_POINTS = {1: 10_001, 2: 101}
"""Dense grid points along each axis, by dimension (contract: 10,001 points in 1D, 101 x 101 in 2D)."""
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
    """All points of one run. Models are fitted on ``train``, chosen on ``val``, and reported on ``test`` and ``dense``."""

    train: Sample
    val: Sample
    test: Sample
    dense: Sample
    declared: tuple[Rows, ...] = ()
    """The rows that the problem declares; without any, a training fits ``train``."""
    at_declared: tuple[Tensor, ...] = ()
    """Their points, each ``(points, dimension)`` with a number of points of its own."""

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
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def of(config: RunConfig, device: str | torch.device = "cpu") -> Data:
    """The points of a configuration. Raises BadInput as :func:`sample` does."""
    points, dtype = (config.n_train, config.n_val, config.n_test), getattr(torch, config.dtype)
    problem = problems.of(config)
    if problem.table is None:
        return sample(problem, config.seed, *points, dtype, device, config.target_noise)
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
) -> Data:
    """Draw the points of a run uniformly on the problem's domain, each set from its own generator.

    The numbers are drawn in float64 on the CPU and then converted, so that neither the dtype nor the device changes
    which points they are. ``noise`` is added to the targets of training and validation: normal, with this standard
    deviation in units of that of the target on the dense points, each output by itself. Raises BadInput for a problem that
    can't be learned or judged: a target that is not a finite number at each point of all four sets, or a gradient that is
    not the target's.
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
