"""Gaussian process regression: a Gaussian kernel with a scale for each input and noise, by marginal likelihood (scikit-learn).

Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", chapters 2 and 5. Amplitude, scales and noise are those of
the largest likelihood on few points, improved on more; on which number of points the process is taken, validation says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from harness.config import FitConfig, Size
from harness.models.classical.kernels import Gaussians
from harness.models.interface import Inputs, Outputs

SCALES = (0.5, 0.1, 0.02)
"""Where the search begins, times the root of the number of inputs: from long scales alone it may end with nothing but noise."""
NOISE = (1e-13, 1e1)
"""Bounds of the variance of the noise, in units of the target's."""


class Process(Gaussians):
    """The mean of a process given training points."""

    theta: torch.Tensor

    def __init__(self, dimension: int, outputs: int) -> None:
        super().__init__(dimension, outputs)
        self._starts = [_start(scale * dimension**0.5, dimension) for scale in SCALES]
        self.hold(theta=self._starts[0])

    def fit(self, size: Size, x: Inputs, y: Outputs) -> None:
        """On the first of the points, as many as the size says, from the likeliest numbers of the size before."""
        (steps,) = size.setting
        points, targets = (part[: size.unknowns].cpu() for part in (x, y))
        kernel = ConstantKernel(1.0, (1e-4, 1e6)) * RBF([1.0] * x.shape[1], (1e-3, 1e3)) + WhiteKernel(1.0, NOISE)
        starts = [np.clip(each.numpy(), *kernel.bounds.T) for each in self._starts]
        with warnings.catch_warnings():  # of numbers at their bounds, where the target has no noise
            warnings.simplefilter("ignore")
            found = _fitted(kernel, starts, points.numpy(), targets.numpy(), steps)
        numbers = torch.from_numpy(found.kernel_.theta)
        amplitude, scale = numbers[0].exp(), numbers[1:-1].exp()
        self.hold(centres=points, scale=scale, theta=numbers)
        self._starts = [numbers]
        self.set((amplitude * torch.from_numpy(found.alpha_).view(len(points), -1)).to(x))


def _start(scale: float, dimension: int) -> torch.Tensor:
    """Logarithms of amplitude, scales and noise."""
    return torch.tensor([1.0, *[scale] * dimension, 1e-3], dtype=torch.float64).log()


def _fitted(
    kernel: Any,
    starts: list[Any],
    x: Float[np.ndarray, "points dimension"],
    y: Float[np.ndarray, "points outputs"],
    steps: int,
) -> Any:
    """With ten times the noise for as long as the matrix of the points has no Cholesky factors."""
    kernel = kernel.clone_with_theta(starts[0])
    for _ in range(12):
        process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=_steps(steps, starts) if steps else None)
        try:
            return process.fit(x, y)
        except np.linalg.LinAlgError:
            kernel, steps = kernel.clone_with_theta(kernel.theta + np.eye(len(kernel.theta))[-1] * np.log(10)), 0
    raise FloatingPointError("the covariance of the training points has no Cholesky factors, whatever the noise")


def _steps(most: int, starts: list[Any]) -> Callable[..., tuple[Any, float]]:
    """So many iterations of L-BFGS-B at most from each start, as scikit-learn asks for them; the best end."""

    def optimizer(objective: Any, start: Any, bounds: Any) -> tuple[Any, float]:
        return min((descend(objective, each, bounds) for each in starts), key=lambda end: end[1])

    def descend(objective: Any, start: Any, bounds: Any) -> tuple[Any, float]:
        # Its first step is the gradient; one that is longer than a factor of e leads to where there are no Cholesky factors.
        unit = max(1.0, float(np.linalg.norm(objective(start)[1])))

        def scaled(theta: Any) -> tuple[Any, Any]:
            value, slope = objective(theta)
            return value / unit, slope / unit

        limits = {"maxiter": most, "maxfun": most + 2, "ftol": 1e-7 / unit}
        found = minimize(scaled, start, method="L-BFGS-B", jac=True, bounds=bounds, options=limits)
        return found.x, found.fun * unit

    return optimizer


def gp(config: FitConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Process:
    """The mean 0."""
    return Process(dimension, outputs)
