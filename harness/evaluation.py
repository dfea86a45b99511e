"""Error norms of a fit on the dense grid, in the raw units of the target."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from harness.data import Sample, scale_of, scales2
from harness.models import Regressor
from harness.models.regressor import CHUNK
from harness.problems import Problem
from harness.problems.problem import Values
from harness.problems.rows import Points
from harness.protocol import DENSE_POINTS

LOG10_NMSE_FLOOR = 1e-20
MOST_OF_NAME = 200
"""Characters of an output's name in that of a metric."""


def evaluate(model: Regressor, problem: Problem, dense: Sample) -> dict[str, float]:
    """The ``final/*`` metrics of a model.

    ``final/dense_mse`` is in squared units of the target, ``final/linf`` in its units, the others are ratios: nmse,
    log10_nmse, rel_l2, h1_rel where the target's gradient can be known, and on a 2D grid roughness_ratio. Where the points
    are a sample (from three inputs on, and rows of a file) ``final/dense_nmse_low`` and ``_high`` are the ends of the 95%
    interval of the NMSE. Of several outputs each error is the mean over the outputs, the ratios each over its own scale, or
    the largest (linf, roughness_ratio), and ``final/dense_nmse/<output>`` is that of one. Of a picture there is
    ``final/psnr``, in dB. Of an equation there is ``final/residual_nmse``, the mean square of its residual inside in
    units of the equation's scale. A model that is not finite somewhere gives NaN, never a number that looks good.
    """
    target, slope = dense.y.double(), None
    if problem.table is None:
        prediction, slope = predict_with_gradient(model, dense.x)
    else:
        prediction = model.predict(dense.x).double()
    error, scales = prediction - target, scales2(target)
    columns = list(zip(error.unbind(dim=1), target.unbind(dim=1), strict=True))
    mses = [each.square().mean().item() for each, _ in columns]
    nmses = [mse / scale for mse, scale in zip(mses, scales, strict=True)]
    metrics = {
        "final/dense_mse": fmean(mses),
        "final/dense_nmse": fmean(nmses),
        "final/log10_nmse": log10_nmse(fmean(nmses), 1.0),
        "final/linf": error.abs().max().item(),
        "final/rel_l2": fmean((each.norm() / of_target.norm()).item() for each, of_target in columns),
    }
    if slope is not None:
        # Asked for on the CPU, as it was when the problem was probed.
        known = problem.slopes(dense.x.double().cpu(), "set dense").to(error).view(slope.shape)
        slopes = zip((slope - known).unbind(dim=1), known.unbind(dim=1), strict=True)
        metrics["final/h1_rel"] = fmean(
            _h1(*column, *of_slope) for column, of_slope in zip(columns, slopes, strict=True)
        )
    if problem.has_grid and problem.dimension == 2:
        grids = [(as_grid(column), as_grid(known)) for column, known in zip(prediction.T, target.T, strict=True)]
        metrics["final/roughness_ratio"] = max(roughness_ratio(*pair) for pair in grids)
    if not problem.has_grid:
        relative = (error.square() / error.new_tensor(scales)).mean(dim=1)
        metrics["final/dense_nmse_low"], metrics["final/dense_nmse_high"] = interval_of_mean(relative)
    if problem.kind == "picture":
        metrics["final/psnr"] = psnr(fmean(mses))
    if problem.equation is not None:
        metrics["final/residual_nmse"] = residual_nmse(model, problem, dense.x)
    if len(columns) > 1:
        names = (f"final/dense_nmse/{name}" for name in metric_names(problem.outputs))
        metrics |= dict(zip(names, nmses, strict=True))
    return metrics


def metric_names(outputs: Sequence[str]) -> list[str]:
    """What outputs are called in the names of metrics, where MLflow allows few signs, no path such as ``..`` and 250 characters
    in all; numbered where two would be the same.
    """
    found = [re.sub(r"[^\w.\- ]|^\.+$", "_", name)[:MOST_OF_NAME] for name in outputs]
    return found if len({*found}) == len(found) else [f"{name}_{index}" for index, name in enumerate(found, 1)]


def _h1(error: Tensor, target: Tensor, of_slope: Tensor, slope: Tensor) -> float:
    above, below = (value.square().sum() + its.square().sum() for value, its in ((error, of_slope), (target, slope)))
    return (above / below).sqrt().item()


def interval_of_mean(values: Float[Tensor, " points"]) -> tuple[float, float]:
    """The 95% interval of the mean of what the values are a sample of, by the central limit theorem; not below 0.

    Sobol points leave a smaller error than independent ones (Owen 1997), so it is on the safe side for them.
    """
    half = 1.96 * (values.var() / len(values)).sqrt().item()
    mean = values.mean().item()
    return max(mean - half, 0.0), mean + half


def log10_nmse(mse: float, scale2: float) -> float:
    """The logarithm of an MSE over the target's variance, not below -20; NaN for an MSE that is not finite."""
    nmse = mse / scale2
    return math.log10(max(nmse, LOG10_NMSE_FLOOR)) if math.isfinite(nmse) else math.nan


@torch.no_grad()
def residuals(model: Regressor, problem: Problem, x: Points) -> Float[Tensor, " points"]:
    """The residual of the problem's equation at points, in units of its scale, in float64."""
    equation = problem.equation
    assert equation is not None
    parts = [equation.residual(part, model.jet(part, equation.order)).double() for part in x.split(CHUNK)]
    return torch.cat(parts) / scale_of(problem)


def residual_nmse(model: Regressor, problem: Problem, x: Points) -> float:
    """The mean square of :func:`residuals`."""
    return residuals(model, problem, x).square().mean().item()


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio of values between 0 and 1, in dB; not above 200, and NaN for an MSE that is not finite."""
    return -10 * log10_nmse(mse, 1.0)


def predict_with_gradient(model: Regressor, x: Points) -> tuple[Values, Float[Tensor, "points outputs dimension"]]:
    """Predictions of shape ``(points, outputs)`` and the gradients of each output in x, in float64."""
    inputs = x.detach().clone().requires_grad_(True)
    prediction = model(inputs)
    gradients = [torch.autograd.grad(each.sum(), inputs, retain_graph=True)[0] for each in prediction.unbind(dim=1)]
    return prediction.detach().double(), torch.stack(gradients, dim=1).double()


def as_grid(values: Float[Tensor, "points *one"]) -> Float[Tensor, "side side"]:
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
