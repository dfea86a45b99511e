"""The points of a run: seeded samples for training, validation and test, and the dense grid that errors are read on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from harness.errors import BadInput, in_one_line
from harness.problems import Problem
from harness.problems.probing import check_gradient, spelled
from harness.problems.problem import Values
from harness.problems.rows import Points, Rows
from harness.seeds import generator

DENSE_POINTS = {1: 10_001, 2: 101}
"""Dense grid points along each axis, by dimension (contract: 10,001 points in 1D, 101 x 101 in 2D)."""


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
    def rows(self) -> int:
        """The residuals that a training lowers."""
        return sum(map(len, self.at_declared)) or len(self.train.y)

    @property
    def digest(self) -> str:
        """Hash over the four samples, and over declared rows where there are some; part of a run's fingerprint."""
        parts = "".join(sample.digest for sample in (self.train, self.val, self.test, self.dense))
        for rows, x in zip(self.declared, self.at_declared, strict=True):
            parts += f"{rows.name} {rows.order} {rows.weight} {Sample(x, x).digest}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def sample(
    problem: Problem,
    seed: int,
    n_train: int,
    n_val: int,
    n_test: int,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
) -> Data:
    """Draw the points of a run uniformly on the problem's domain, each set from its own generator.

    The numbers are drawn in float64 on the CPU and then converted, so that neither the dtype nor the device changes
    which points they are. Raises BadInput for a problem that can't be learned or judged: a target that is not one finite
    number a point on all four sets, or a gradient that is not the target's.
    """

    def at(name: str, x: Points) -> Sample:
        y = problem.values(x, f"set {name}")
        _refuse_what_is_not_finite(problem, name, x, y, dtype)
        return Sample(x.to(device, dtype), y.to(device, dtype))

    def uniform(name: str, points: int) -> Sample:
        unit = torch.rand(points, problem.dimension, generator=generator(seed, f"data/{name}"), dtype=torch.float64)
        return at(name, problem.low + (problem.high - problem.low) * unit)

    data = Data(
        uniform("train", n_train),
        uniform("val", n_val),
        uniform("test", n_test),
        at("dense", dense_points(problem)),
        problem.rows,
        tuple(_points_of(problem, rows, seed).to(device, dtype) for rows in problem.rows),
    )
    _probe_gradient(problem)
    return data


def _refuse_what_is_not_finite(problem: Problem, name: str, x: Points, y: Values, dtype: torch.dtype) -> None:
    """A fault of the data is told as one, before a model could be blamed for it."""
    bad = ~y.to(dtype).isfinite().flatten() | ~x.to(dtype).isfinite().all(dim=1)
    if bad.any():
        first = int(bad.int().argmax())
        raise BadInput(
            f"problem {problem.name!r} has bad data: its target is not a finite number in {str(dtype).removeprefix('torch.')} "
            f"at {int(bad.sum())} of the {len(x)} points of set {name}, first at x = {spelled(x[first])}, where it is "
            f"{y[first].item():.6g}."
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
    """The deterministic grid on the training domain, with no extrapolation; in 2D the second coordinate varies fastest.

    Its ends are those of the domain, and each axis is a mirror image of itself: around 0 to the last bit, elsewhere as far
    as floats allow. ``torch.linspace`` has -4.8e-17 in the middle of [-1, 1], where a target may have a pole.
    """
    points, (low, high) = DENSE_POINTS[problem.dimension], (problem.low, problem.high)
    from_end = torch.arange(points // 2, dtype=torch.float64) / (points - 1) * (high - low)
    centre = torch.tensor([low / 2 + high / 2], dtype=torch.float64)
    axis = torch.cat([low + from_end, centre, high - from_end.flip(0)])
    return torch.cartesian_prod(*[axis] * problem.dimension).reshape(-1, problem.dimension)


def scale2(y: Values) -> float:
    """The mean square that errors are put in relation to: the variance of the target, or its mean square if it is constant.

    1 for a target that is zero everywhere.
    """
    variance, square = y.var(correction=0).item(), y.square().mean().item()
    return variance if variance > 1e-24 * square else square or 1.0
