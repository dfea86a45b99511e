"""Activation functions with their derivatives up to the third, without a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu


class Sine(nn.Module):
    """sin(omega0 x) (Sitzmann et al. 2020, section 3.2)."""

    def __init__(self, omega0: float) -> None:
        super().__init__()
        self.omega0 = omega0

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Element by element."""
        return torch.sin(self.omega0 * x)


def are_known(activations: list[nn.Module]) -> bool:
    """Whether :func:`derivatives` has all of these."""
    return all(type(each) in _DERIVATIVES for each in activations)


def derivatives(activation: nn.Module, z: Tensor, order: int) -> list[Tensor]:
    """The value at ``z`` and the derivatives up to ``order``, at most 3. Raises KeyError for one that is not known."""
    return _DERIVATIVES[type(activation)](activation, z, order)


def silu_derivative(x: Tensor, order: int) -> Tensor:
    """The derivative of silu of that order, at most 3."""
    if order == 0:
        return silu(x)
    if order == 1:
        found: Tensor = torch.ops.aten.silu_backward(torch.ones_like(x), x)
        return found
    s = torch.sigmoid(x)
    q = s * (1 - s)
    return q * (2 + x * (1 - 2 * s)) if order == 2 else q * (3 * (1 - 2 * s) + x * (1 - 6 * q))


def tanh_(x: Tensor) -> Tensor:
    """Hyperbolic tangent in place, to two units in the last place: with t = exp(2x) - 1 it is t / (t + 2)."""
    t = x.mul_(2).clamp_(max=40).expm1_()  # beyond 20 tanh is 1, long before t overflows
    return t.div_(t + 2)


def _of_tanh(_: Any, z: Tensor, order: int) -> list[Tensor]:
    t = tanh_(z.clone())
    first = 1 - t * t
    return [t, first, -2 * t * first, first * (6 * t * t - 2)][: order + 1]


def _of_sine(sine: Any, z: Tensor, order: int) -> list[Tensor]:
    omega = sine.omega0
    s, c = torch.sin(omega * z), torch.cos(omega * z)
    return [s, omega * c, -(omega**2) * s, -(omega**3) * c][: order + 1]


def _of_silu(_: Any, z: Tensor, order: int) -> list[Tensor]:
    return [silu_derivative(z, n) for n in range(order + 1)]


def _of_relu(_: Any, z: Tensor, order: int) -> list[Tensor]:
    zero = torch.zeros_like(z)
    return [z.clamp(min=0), (z > 0).to(z.dtype), zero, zero][: order + 1]


_DERIVATIVES: dict[type[nn.Module], Callable[[Any, Tensor, int], list[Tensor]]] = {
    nn.Tanh: _of_tanh,
    Sine: _of_sine,
    nn.SiLU: _of_silu,
    nn.ReLU: _of_relu,
}
