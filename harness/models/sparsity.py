"""The sparsity penalty of a KAN layer (Liu et al. 2024, eq. 2.17 to 2.20), as pykan 0.2.8 computes it.

The scale s of an edge is that of pykan's ``edge_forward_spline_n``: the standard deviation of its values, divided by
that of its input plus 0.1. The penalty is

    sum s + mu sum over rows and columns of (mean of) entropy,   entropy = -sum p log2(p + 1e-4),   p = s / (sum s + 1)

where mu is ``lamb_entropy``: 2 is the default of pykan's ``fit``, 1 is the paper's (mu1 = mu2 = 1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from harness.models.piecewise import Edges, Points

EPSILON = 1e-4


def plain_sparsity(x: Points, edges: Edges, lamb_entropy: float) -> Float[Tensor, ""]:
    """The penalty of one layer, from its inputs and the values of its edges, by plain differentiable operations."""
    scale = edges.std(dim=-1) / (x.std(dim=-1) + 0.1)
    total = scale.sum()
    for dim in (1, 0):
        share = scale / (scale.sum(dim=dim, keepdim=True) + 1)
        total = total - lamb_entropy * (share * torch.log2(share + EPSILON)).sum(dim=dim).mean()
    return total


def sparsity(x: Points, edges: Edges, lamb_entropy: float) -> Float[Tensor, ""]:
    """As :func:`plain_sparsity`, with the gradient written out: its many tiny kernels cost as much as the layer itself.

    The gradient in an edge that is constant is 0, as torch defines that of a standard deviation of 0.
    """
    return _Sparsity.apply(x, edges, lamb_entropy)  # type: ignore[no-any-return,no-untyped-call]


class _Sparsity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, edges: Tensor, lamb_entropy: float) -> Tensor:
        deviation = _deviation(edges)
        std = _std(deviation)
        x_deviation = _deviation(x)
        x_std = _std(x_deviation)
        inverse = (x_std + 0.1).reciprocal()
        scale = std * inverse
        total, gradient = scale.sum(), torch.ones_like(scale)
        for dim in (1, 0):
            weight = lamb_entropy / scale.shape[1 - dim]
            sums = scale.sum(dim=dim, keepdim=True).add_(1)
            share = scale / sums
            inner = share + EPSILON
            log = inner.log2()
            total.sub_((share * log).sum(), alpha=weight)
            slope = torch.addcdiv(log, share, inner, value=1 / math.log(2))
            gradient.sub_((slope - (slope * share).sum(dim=dim, keepdim=True)).div_(sums), alpha=weight)
        ctx.save_for_backward(x, edges)
        ctx.rest = lamb_entropy, deviation, std, x_deviation, x_std, inverse, gradient
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        lamb_entropy, deviation, std, x_deviation, x_std, inverse, gradient = ctx.rest
        needed = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # A second derivative is wanted, so this one has to be differentiable.
            x, edges = ctx.saved_tensors
            wanted = [tensor for tensor, is_needed in zip((x, edges), needed, strict=True) if is_needed]
            value = plain_sparsity(x, edges, lamb_entropy)
            found = iter(torch.autograd.grad(value, wanted, grad, create_graph=True))
            return (*(next(found) if is_needed else None for is_needed in needed), None)
        grad_x = grad_edges = None
        gradient = gradient * grad
        if needed[0]:
            grad_x = _grad_of_std(-(gradient * std).sum(dim=0) * inverse.square(), x_deviation, x_std)
        if needed[1]:
            grad_edges = _grad_of_std(gradient * inverse, deviation, std)
        return grad_x, grad_edges, None


def _deviation(values: Tensor) -> Tensor:
    # From the first value, then from the mean: so the deviation of a constant is 0, not a rounding error, whose gradient
    # would be noise of order 1.
    shifted = values - values[..., :1]
    return shifted.sub_(shifted.mean(dim=-1, keepdim=True))


def _std(deviation: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(deviation, dim=-1)
    return norm / math.sqrt(deviation.shape[-1] - 1)


def _grad_of_std(grad: Tensor, deviation: Tensor, std: Tensor) -> Tensor:
    factor = (grad / (std * (deviation.shape[-1] - 1))).masked_fill_(std == 0, 0)
    return deviation * factor.unsqueeze(-1)
