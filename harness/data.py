"""The points of a run: seeded samples for training, validation and test, and the dense grid that errors are read on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from harness.problems import Problem
from harness.problems.problem import Points, Values
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

    @property
    def digest(self) -> str:
        """Hash over the four samples, part of a run's fingerprint."""
        parts = "".join(sample.digest for sample in (self.train, self.val, self.test, self.dense))
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
    which points they are.
    """

    def at(x: Points) -> Sample:
        return Sample(x.to(device, dtype), problem.target(x).to(device, dtype))

    def uniform(axis: str, points: int) -> Sample:
        unit = torch.rand(points, problem.dimension, generator=generator(seed, f"data/{axis}"), dtype=torch.float64)
        return at(problem.low + (problem.high - problem.low) * unit)

    return Data(uniform("train", n_train), uniform("val", n_val), uniform("test", n_test), at(dense_points(problem)))


def dense_points(problem: Problem) -> Points:
    """The deterministic grid on the training domain, with no extrapolation; in 2D the second coordinate varies fastest."""
    axis = torch.linspace(problem.low, problem.high, DENSE_POINTS[problem.dimension], dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * problem.dimension).reshape(-1, problem.dimension)


def scale2(y: Values) -> float:
    """The mean square that errors are put in relation to: the variance of the target, or its mean square if it is constant.

    1 for a target that is zero everywhere.
    """
    variance, square = y.var(correction=0).item(), y.square().mean().item()
    return variance if variance > 1e-24 * square else square or 1.0
