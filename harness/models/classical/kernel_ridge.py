"""Kernel ridge regression with Gaussians, by scikit-learn.

Saunders, Gammerman and Vovk 1998, "Ridge regression learning algorithm in dual variables"; Hastie, Tibshirani and Friedman 2009,
"The Elements of Statistical Learning", section 5.8. Scale and ridge are chosen on the validation points.
"""

from __future__ import annotations

import warnings

import torch
from sklearn.kernel_ridge import KernelRidge

from harness.config import FitConfig, KernelRidgeConfig, Size
from harness.models.classical.expansion import Ladder
from harness.models.classical.kernels import Gaussians
from harness.models.classical.ladder import halved
from harness.models.interface import Inputs, Outputs


class Ridge(Gaussians):
    """Gaussians around training points, whose coefficients lower the squares plus ``ridge`` times the norm."""

    def sizes(self, config: FitConfig, planned: tuple[Size, ...]) -> Ladder:
        """All scales and ridges on few points, the better ones on more."""
        return halved(planned, finalists=2)

    def fit(self, size: Size, x: Inputs, y: Outputs) -> None:
        """On the first of the points, as many as the size says."""
        scale, ridge = size.setting
        points, targets = x[: size.unknowns].cpu(), y[: size.unknowns].cpu()
        with warnings.catch_warnings():  # of a matrix that is ill-conditioned; validation tells what that costs
            warnings.simplefilter("ignore")
            found = KernelRidge(kernel="rbf", gamma=0.5 / scale**2, alpha=ridge).fit(points.numpy(), targets.numpy())
        self.hold(centres=points, scale=torch.full_like(points[0], scale))
        self.set(torch.from_numpy(found.dual_coef_).to(x))


def kernel_ridge(config: KernelRidgeConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Ridge:
    """The function 0."""
    return Ridge(dimension, outputs)
