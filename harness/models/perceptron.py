"""Layers in a row, with what a training wants of them written out: gradient, derivatives along the axes, Jacobian.

A node of autograd for each operation takes a fifth of an evaluation of networks this small, and torch's tanh in float64
three times as long as its expm1. Derivatives along the axes go through the layers together with the values: for
z = W h + b and an activation f they are

    f(z)     f'(z) z_i     f''(z) z_i^2 + f'(z) z_ii

and their adjoints come back the same way (:mod:`harness.models.jets`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.models.activations import Sine, are_known, derivatives, tanh_
from harness.models.channels import Channels, Units
from harness.models.jets import Jacobian, Seeds, jacobian_of_any, jet, jet_of_any
from harness.problems.rows import Jet


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
        before, linear, activations = self.parts()
        if not all(isinstance(each, nn.Tanh | Sine) for each in activations):
            return partial(self, x)
        with torch.no_grad():
            inputs = nn.Sequential(*before)(x).T.contiguous()

        def outputs() -> Tensor:
            parameters = [parameter for layer in linear for parameter in (layer.weight, layer.bias)]
            found: Tensor = _Layers.apply(inputs, activations, *parameters)  # type: ignore[no-untyped-call]
            return found.T

        return outputs

    def jet(self, x: Float[Tensor, "points inputs"], order: int) -> Jet:
        """Value and derivatives up to ``order`` (1 or 2) along each axis of the inputs, with a graph in the parameters."""
        before, linear, activations = self.parts()
        if not are_known(activations):
            return jet_of_any(self, x, order)
        h = _inputs(before, x, order)
        for layer, activation in zip(linear, [*activations, None], strict=True):
            z = _through(layer, h)
            h = z if activation is None else _activated(derivatives(activation, z.value, order), z)
        return h.as_jet()

    @torch.no_grad()
    def jet_jacobian(self, x: Float[Tensor, "points inputs"], seeds: Seeds) -> Jacobian:
        """Derivative at each point in each parameter of the combination of the jet that ``seeds`` say."""
        before, linear, activations = self.parts()
        if not are_known(activations):
            return jacobian_of_any(self, x, list(self.parameters()), seeds)
        order = seeds.order()
        inputs, known = [_inputs(before, x, order)], []
        for layer, activation in zip(linear, activations, strict=False):
            z = _through(layer, inputs[-1])
            f = derivatives(activation, z.value, order + 1)
            inputs.append(_activated(f, z))
            known.append((f, z))
        sizes = [layer.weight.numel() + layer.out_features for layer in linear]
        result, adjoint = x.new_empty(sum(sizes), len(x)), Channels.of_jet(seeds)
        parts = result.split(sizes)
        for index in range(len(linear) - 1, -1, -1):
            weight = linear[index].weight
            _products(adjoint, inputs[index], parts[index][: weight.numel()].view(*weight.shape, len(x)))
            parts[index][weight.numel() :] = adjoint.value
            if index > 0:
                adjoint = _back(*known[index - 1], _times(weight.T, adjoint))
        return result.T


@torch.no_grad()
def _inputs(before: list[nn.Module], x: Float[Tensor, "points inputs"], order: int) -> Channels:
    """What the first linear layer gets, with its derivatives along the axes of ``x``."""
    if len(before) == 0:
        return Channels.of_inputs(x, order)
    return Channels.of_jet(jet(before[0] if len(before) == 1 else nn.Sequential(*before), x, order))


def _through(layer: nn.Linear, h: Channels) -> Channels:
    """``W h + b``; the derivatives know no bias."""
    return _times(layer.weight, h)._replace(value=torch.addmm(layer.bias.unsqueeze(1), layer.weight, h.value))


def _times(weight: Float[Tensor, "outputs units"], h: Channels) -> Channels:
    return Channels(weight @ h.value, *([weight @ each for each in part] for part in h[1:]))


def _activated(f: list[Units], z: Channels) -> Channels:
    """An activation of the units z; ``f`` are its value and its derivatives there."""
    pairs = zip(z.slopes, z.curvatures, strict=False)  # where no second derivatives are wanted, there are none
    curvatures = [torch.addcmul(f[2] * slope.square(), f[1], curvature) for slope, curvature in pairs]
    return Channels(f[0], [f[1] * slope for slope in z.slopes], curvatures)


def _back(f: list[Units], z: Channels, adjoint: Channels) -> Channels:
    """From the adjoints of ``_activated(f, z)`` to those of z; ``f`` goes one derivative further."""
    value = adjoint.value * f[1]
    slopes = [b * f[1] for b in adjoint.slopes]
    for b, slope in zip(adjoint.slopes, z.slopes, strict=True):
        value.addcmul_(b * f[2], slope)
    for axis, c in enumerate(adjoint.curvatures):
        slope, curvature = z.slopes[axis], z.curvatures[axis]
        value.addcmul_(c, torch.addcmul(f[3] * slope.square(), f[2], curvature))
        slopes[axis].addcmul_(c * f[2], slope, value=2)
    return Channels(value, slopes, [c * f[1] for c in adjoint.curvatures])


def _products(adjoint: Channels, h: Channels, out: Float[Tensor, "units inputs points"]) -> None:
    """The derivative in each weight of ``W h``: adjoint times input, summed over the channels."""
    torch.mul(adjoint.value.unsqueeze(1), h.value, out=out)
    for ours, theirs in zip(adjoint.derivatives(), h.derivatives(), strict=True):
        out.addcmul_(ours.unsqueeze(1), theirs)


class _Layers(torch.autograd.Function):
    """All layers as one step of the gradient, the points as the last dimension."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, activations: list[nn.Module], *parameters: Tensor) -> Tensor:
        weights, biases = parameters[::2], parameters[1::2]
        inputs, known = [x], []
        for weight, bias, activation in zip(weights, biases, activations, strict=False):
            z = torch.addmm(bias.unsqueeze(1), weight, inputs[-1])
            if isinstance(activation, Sine):
                z.mul_(activation.omega0)
                known.append(z)
                inputs.append(z.sin())
            else:
                inputs.append(tanh_(z))
                known.append(inputs[-1])
        ctx.save_for_backward(*weights)
        ctx.rest = inputs, known, activations
        return torch.addmm(biases[-1].unsqueeze(1), weights[-1], inputs[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, known, activations = ctx.rest
        weights = ctx.saved_tensors
        gradients: list[Tensor] = []
        for layer in range(len(weights) - 1, -1, -1):
            gradients += [grad.sum(dim=1), grad @ inputs[layer].T]
            if layer > 0:
                grad, activation, value = weights[layer].T @ grad, activations[layer - 1], known[layer - 1]
                if isinstance(activation, Sine):
                    grad = grad.mul_(value.cos()).mul_(activation.omega0)
                else:
                    grad = torch.ops.aten.tanh_backward(grad, value)
        return (None, None, *reversed(gradients))
