"""Activation functions with their derivatives up to the third, without a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from harness.models.elementary import silu_and_slope, sine_and_cosine, tanh


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


def _by_itself(activation: Any, z: Tensor, order: int) -> list[Tensor]:
    found: list[Tensor] = activation.derivatives(z, order)
    return found


def _of_tanh(_: Any, z: Tensor, order: int) -> list[Tensor]:
    t = tanh(z)
    found = [t]
    if order > 0:
        found.append(1 - t * t)
    if order > 1:
        found.append(-2 * t * found[1])
    if order > 2:
        found.append(found[1] * (6 * t * t - 2))
    return found


def _of_sine(sine: Any, z: Tensor, order: int) -> list[Tensor]:
    omega = sine.omega0
    s, c = sine_and_cosine(z, omega)
    return [s, *(factor * each for factor, each in ((omega, c), (-(omega**2), s), (-(omega**3), c))[:order])]


def _of_silu(_: Any, z: Tensor, order: int) -> list[Tensor]:
    return [*silu_and_slope(z), *(silu_derivative(z, n) for n in range(2, order + 1))][: order + 1]


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
    return sine_and_cosine(z, sine.omega0)


def _sine_back(sine: Any, grad: Tensor, kept: Tensor) -> Tensor:
    return grad.mul_(kept).mul_(sine.omega0)


def _tanh_forth(_: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    value = tanh(z)
    return value, value


def _tanh_back(_: Any, grad: Tensor, kept: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.tanh_backward(grad, kept)
    return found


def _silu_forth(_: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    return silu_and_slope(z)


def _relu_forth(_: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    value = z.relu_()
    return value, value


def _relu_back(_: Any, grad: Tensor, kept: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.threshold_backward(grad, kept, 0)
    return found


def _forth_with_slope(activation: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    value, slope = activation.derivatives(z, 1)
    return value, slope


def _back_by_slope(_: Any, grad: Tensor, kept: Tensor) -> Tensor:
    return grad.mul_(kept)


_Fast = tuple[Callable[[Any, Tensor], tuple[Tensor, Tensor]], Callable[[Any, Tensor, Tensor], Tensor]]
_FAST: dict[type[nn.Module], _Fast] = {
    nn.Tanh: (_tanh_forth, _tanh_back),
    Sine: (_sine_forth, _sine_back),
    nn.SiLU: (_silu_forth, _back_by_slope),
    nn.ReLU: (_relu_forth, _relu_back),
}
_WITH_SLOPE: _Fast = (_forth_with_slope, _back_by_slope)
