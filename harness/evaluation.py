"""Error norms of a fit on the dense grid, in the raw units of the target."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from harness.data import DENSE_POINTS, Sample, scale2
from harness.models import Regressor
from harness.problems import Problem
from harness.problems.problem import Values
from harness.problems.rows import Points

LOG10_NMSE_FLOOR = 1e-20


def evaluate(model: Regressor, problem: Problem, dense: Sample) -> dict[str, float]:
    """The ``final/*`` metrics of a model: mse, nmse, log10_nmse, linf, rel_l2, h1_rel, and in 2D roughness_ratio.

    ``final/dense_mse`` is in squared units of the target, ``final/linf`` in its units, the others are ratios. A model
    that is not finite somewhere gives NaN, never a number that looks good.
    """
    prediction, slope = predict_with_gradient(model, dense.x)
    # Asked for on the CPU, as it was when the problem was probed.
    target, target_slope = dense.y.double(), problem.slopes(dense.x.double().cpu(), "set dense").to(dense.x.device)
    error = prediction - target
    mse = error.square().mean().item()
    nmse = mse / scale2(target)
    sobolev = (error.square().sum() + (slope - target_slope).square().sum()) / (
        target.square().sum() + target_slope.square().sum()
    )
    metrics = {
        "final/dense_mse": mse,
        "final/dense_nmse": nmse,
        "final/log10_nmse": log10_nmse(mse, scale2(target)),
        "final/linf": error.abs().max().item(),
        "final/rel_l2": (error.norm() / target.norm()).item(),
        "final/h1_rel": sobolev.sqrt().item(),
    }
    if problem.dimension == 2:
        metrics["final/roughness_ratio"] = roughness_ratio(as_grid(prediction), as_grid(target))
    return metrics


def log10_nmse(mse: float, scale2: float) -> float:
    """The logarithm of an MSE over the target's variance, not below -20; NaN for an MSE that is not finite."""
    nmse = mse / scale2
    return math.log10(max(nmse, LOG10_NMSE_FLOOR)) if math.isfinite(nmse) else math.nan


def predict_with_gradient(model: Regressor, x: Points) -> tuple[Values, Points]:
    """Predictions of shape ``(points, 1)`` and their gradients in x of shape ``(points, dimension)``, in float64."""
    inputs = x.detach().clone().requires_grad_(True)
    prediction = model(inputs)
    (gradient,) = torch.autograd.grad(prediction.sum(), inputs)
    return prediction.detach().double(), gradient.double()


def as_grid(values: Values) -> Float[Tensor, "side side"]:
    """Values on the dense grid of a 2D problem, as a matrix whose rows run along the first coordinate."""
    return values.reshape(DENSE_POINTS[2], DENSE_POINTS[2])


def roughness_ratio(prediction: Float[Tensor, "side side"], target: Float[Tensor, "side side"]) -> float:
    """RMS of the 5-point Laplacian of the prediction in relation to that of the target (criterion S1); noise makes it large.

    The spacing cancels. A target without curvature counts as one of 1e-12 of its largest value.
    """

    def rms_laplacian(f: Tensor) -> Tensor:
        return (f[2:, 1:-1] + f[:-2, 1:-1] + f[1:-1, 2:] + f[1:-1, :-2] - 4 * f[1:-1, 1:-1]).square().mean().sqrt()

    tiny = 1e-12 * target.abs().max() + torch.finfo(target.dtype).tiny
    return ((rms_laplacian(prediction) + tiny) / (rms_laplacian(target) + tiny)).item()


def of_dense_grid(metrics: Mapping[str, float]) -> str:
    """The sentence for a model whose error is not finite there."""
    return f"The error on the dense grid is {metrics['final/dense_nmse']}, though it was finite at every point of the samples."
