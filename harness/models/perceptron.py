"""Layers in a row, with what a training wants of them written out: gradient, derivatives along the axes, Jacobian.

Derivatives along the axes go through the layers together with the values: for z = W h + b and an activation f they are

    f(z)     f'(z) z_i     f''(z) z_i^2 + f'(z) z_ii

and their adjoints come back the same way (:mod:`harness.models.jets`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.models import fused
from harness.models.activations import are_known, derivatives, loop
from harness.models.channels import Along, Channels, Units
from harness.models.compiled import takes
from harness.models.elementary import warm_up
from harness.models.jets import jet
from harness.models.sweep import Kept, Sweep


class Perceptron(nn.Sequential):
    """Linear layers with an activation between each two, after any modules without parameters."""

    def parts(self) -> tuple[list[nn.Module], list[nn.Linear], list[nn.Module]]:
        """What comes before the first linear layer, the linear layers, and the activations between them."""
        modules = list(self)
        linear = [module for module in modules if isinstance(module, nn.Linear)]
        first = modules.index(linear[0])
        return modules[:first], linear, modules[first + 1 :: 2]

    def at(self, x: Float[Tensor, "points inputs"]) -> Callable[[], Float[Tensor, "points outputs"]]:
        """The network at points that stay the same, differentiable once and in the parameters only."""
        before, _, activations = self.parts()
        with torch.no_grad():
            inputs = nn.Sequential(*before)(x)
        layers = nn.Sequential(*list(self)[len(before) :])
        loops = [found for found in map(loop, activations) if found is not None]
        if not takes(inputs):
            return partial(layers, inputs)
        if len(loops) < len(activations):
            return self.jets_at(x, 0) or partial(layers, inputs)
        return fused.AtPoints(layers, inputs, loops)

    def jets_at(self, x: Float[Tensor, "points inputs"], order: int) -> Sweep | None:
        """The jets at points that stay the same; None where an activation's derivatives are not known."""
        before, linear, activations = self.parts()
        if not are_known(activations):
            return None
        warm_up(x.dtype)
        module = before[0] if len(before) == 1 else nn.Sequential(*before)
        inputs = Kept(lambda: list(module.buffers()), lambda: _inputs(module, x, order))
        layers = [Dense(*each) for each in zip(linear, [None, *activations], strict=True)]
        return Sweep(self, layers, inputs, order)


def _inputs(before: nn.Module, x: Float[Tensor, "points inputs"], order: int) -> Channels:
    """What the first linear layer gets, with its derivatives along the axes of ``x``."""
    nothing = isinstance(before, nn.Sequential) and len(before) == 0
    return Channels.of_inputs(x, order) if nothing else Channels.of_jet(jet(before, x, order))


class Dense(NamedTuple):
    """A linear layer, after the activation before it: a layer of :class:`harness.models.sweep.Sweep`."""

    linear: nn.Linear
    activation: nn.Module | None

    def parameters(self) -> list[nn.Parameter]:
        """Weights and biases."""
        return list(self.linear.parameters())

    def through(self, z: Channels, order: int) -> tuple[Channels, _Known]:
        """``W f(z) + b``; the derivatives know no bias."""
        f = [] if self.activation is None else derivatives(self.activation, z.value, order)
        h = z if self.activation is None else activated(f, z)
        weight, bias = self.linear.weight, self.linear.bias
        value = torch.addmm(bias.unsqueeze(1), weight, h.value)
        return Channels(value, *(_times(weight, part) for part in h[1:])), (f, z, h)

    def back(self, known: _Known, adjoint: Channels) -> Channels:
        """Through the product, then through the activation."""
        f, z, _ = known
        weight = self.linear.weight.T
        h = Channels(weight @ adjoint.value, *(_times(weight, part) for part in adjoint[1:]))
        return h if self.activation is None else through_activation(f, z, h)

    def gradient(self, known: _Known, adjoint: Channels) -> Float[Tensor, " parameters"]:
        """Adjoint times input, summed over channels and points."""
        h = known[2]
        weight = adjoint.value @ h.value.T
        for ours, theirs in zip(adjoint[1:], h[1:], strict=True):
            if ours is not None and theirs is not None:
                weight += torch.bmm(ours, theirs.transpose(1, 2)).sum(dim=0)
        return torch.cat([weight.flatten(), adjoint.value.sum(dim=1)])

    def jacobian(self, known: _Known, adjoint: Channels, out: Float[Tensor, "parameters points"]) -> None:
        """Adjoint times input, summed over the channels."""
        size, h = self.linear.weight.numel(), known[2]
        weight = out[:size].view(*self.linear.weight.shape, -1)
        torch.mul(adjoint.value.unsqueeze(1), h.value, out=weight)
        for ours, theirs in zip(adjoint[1:], h[1:], strict=True):
            if ours is not None and theirs is not None:
                for axis in range(len(ours)):
                    weight.addcmul_(ours[axis].unsqueeze(1), theirs[axis])
        out[size:] = adjoint.value


_Known = tuple[list[Tensor], Channels, Channels]
"""Of a layer: the activation with its derivatives, what it was taken of, and what it gave."""


def _times(weight: Float[Tensor, "outputs units"], h: Along | None) -> Float[Tensor, "axes outputs points"] | None:
    return None if h is None else torch.bmm(weight.expand(len(h), -1, -1), h)


def activated(f: list[Units], z: Channels) -> Channels:
    """An activation of the units z; ``f`` are its value and its derivatives there."""
    if z.slopes is None:
        return Channels(f[0])
    slopes = f[1] * z.slopes
    return Channels(
        f[0],
        slopes,
        None if z.curvatures is None else (f[1] * z.curvatures).addcmul_(f[2], z.slopes.square()),
    )


def through_activation(f: list[Units], z: Channels, adjoint: Channels) -> Channels:
    """From the adjoints of ``activated(f, z)`` to those of z; ``f`` goes one derivative further."""
    value, b, c = adjoint
    value = value * f[1]
    if b is None or z.slopes is None:
        return Channels(value)
    slopes, bending = b * f[1], b * z.slopes
    if c is None or z.curvatures is None:
        return Channels(value.addcmul_(f[2], bending.sum(dim=0)), slopes)
    bent = c * z.slopes
    value.addcmul_(f[2], bending.addcmul_(c, z.curvatures).sum(dim=0)).addcmul_(f[3], (bent * z.slopes).sum(dim=0))
    return Channels(value, slopes.addcmul_(f[2], bent, value=2), c * f[1])
