"""Activation functions with their derivatives up to the third, without a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from harness.models.elementary import silu_and_slope, sine_and_cosine, tanh

TANH, RELU, SILU, SINE, GABOR, FINER, GAUSSIAN = range(7)


class Loop(NamedTuple):
    """An activation of :mod:`harness.models.perceptron_loops`, with what it depends on: ``a`` is the omega0 of ``SINE``,
    ``FINER`` and ``GABOR`` and the width of ``GAUSSIAN``, ``b`` the s0 of ``GABOR``.
    """

    kind: int
    a: float = 0.0
    b: float = 0.0


class Sine(nn.Module):
    """sin(omega0 x) (Sitzmann et al. 2020, section 3.2)."""

    def __init__(self, omega0: float) -> None:
        super().__init__()
        self.omega0 = omega0

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Element by element."""
        return torch.sin(self.omega0 * x)

    def loop(self) -> Loop:
        """Its compiled loop."""
        return Loop(SINE, self.omega0)


@runtime_checkable
class Activation(Protocol):
    """An activation without parameters that tells its derivatives itself: all that a network of it needs written out."""

    def derivatives(self, z: Tensor, order: int) -> list[Tensor]:
        """The value at ``z`` and the derivatives up to ``order``, at most 3."""


@runtime_checkable
class _Looped(Protocol):
    def loop(self) -> Loop: ...


def are_known(activations: list[nn.Module]) -> bool:
    """Whether :func:`derivatives` has all of these."""
    return all(isinstance(each, Activation) or type(each) in _DERIVATIVES for each in activations)


def derivatives(activation: nn.Module, z: Tensor, order: int) -> list[Tensor]:
    """The value at ``z`` and the derivatives up to ``order``, at most 3, of an activation that is known."""
    known = _DERIVATIVES.get(type(activation), _by_itself)
    return known(activation, z, order)


def loop(activation: nn.Module) -> Loop | None:
    """The compiled loop that has this activation."""
    return activation.loop() if isinstance(activation, _Looped) else _LOOPS.get(type(activation))


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


_LOOPS: dict[type[nn.Module], Loop] = {nn.Tanh: Loop(TANH), nn.ReLU: Loop(RELU), nn.SiLU: Loop(SILU)}
