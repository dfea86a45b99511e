"""Activation functions with their derivatives up to the third, without a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class Activation(Protocol):
    """An activation without parameters that tells its derivatives itself: all that a network of it needs written out."""

    def derivatives(self, z: Tensor, order: int) -> list[Tensor]:
        """The value at ``z`` and the derivatives up to ``order``, at most 3."""


def are_known(activations: list[nn.Module]) -> bool:
    """Whether :func:`derivatives` has all of these."""
    return all(isinstance(each, Activation) or type(each) in _DERIVATIVES for each in activations)


def derivatives(activation: nn.Module, z: Tensor, order: int) -> list[Tensor]:
    """The value at ``z`` and the derivatives up to ``order``, at most 3, of an activation that is known."""
    known = _DERIVATIVES.get(type(activation), _by_itself)
    return known(activation, z, order)


def are_fast(activations: list[nn.Module]) -> bool:
    """Whether :func:`forth` and :func:`back` have all of these."""
    return all(isinstance(each, Activation) or type(each) in _FAST for each in activations)


def forth(activation: nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
    """The value at ``z``, and what :func:`back` wants to find again. ``z`` may be overwritten."""
    return _FAST.get(type(activation), _WITH_SLOPE)[0](activation, z)


def back(activation: nn.Module, grad: Tensor, kept: Tensor) -> Tensor:
    """The gradient in ``z`` from that in the value, which may be overwritten."""
    return _FAST.get(type(activation), _WITH_SLOPE)[1](activation, grad, kept)


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


def _by_itself(activation: Any, z: Tensor, order: int) -> list[Tensor]:
    found: list[Tensor] = activation.derivatives(z, order)
    return found


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


def _sine_forth(sine: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    z.mul_(sine.omega0)
    return z.sin(), z


def _sine_back(sine: Any, grad: Tensor, kept: Tensor) -> Tensor:
    return grad.mul_(kept.cos()).mul_(sine.omega0)


def _tanh_forth(_: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    value = tanh_(z)
    return value, value


def _tanh_back(_: Any, grad: Tensor, kept: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.tanh_backward(grad, kept)
    return found


def _forth_with_slope(activation: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    value, slope = activation.derivatives(z, 1)
    return value, slope


def _back_by_slope(_: Any, grad: Tensor, kept: Tensor) -> Tensor:
    return grad.mul_(kept)


_Fast = tuple[Callable[[Any, Tensor], tuple[Tensor, Tensor]], Callable[[Any, Tensor, Tensor], Tensor]]
_FAST: dict[type[nn.Module], _Fast] = {nn.Tanh: (_tanh_forth, _tanh_back), Sine: (_sine_forth, _sine_back)}
"""Those that need no slope before the way back asks for it."""
_WITH_SLOPE: _Fast = (_forth_with_slope, _back_by_slope)
