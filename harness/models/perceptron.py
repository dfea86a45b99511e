"""Layers in a row, with the gradient in their parameters written out for points that stay the same.

A node of autograd for each operation takes a fifth of an evaluation of networks this small, and torch's tanh in float64
three times as long as its expm1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Sine(nn.Module):
    """sin(omega0 x) (Sitzmann et al. 2020, section 3.2)."""

    def __init__(self, omega0: float) -> None:
        super().__init__()
        self.omega0 = omega0

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Element by element."""
        return torch.sin(self.omega0 * x)


class Perceptron(nn.Sequential):
    """Linear layers with an activation between each two, after any modules without parameters."""

    def at(self, x: Float[Tensor, "points inputs"]) -> Callable[[], Float[Tensor, "points outputs"]]:
        """The network at points that stay the same, differentiable once and in the parameters only."""
        modules = list(self)
        first = next(index for index, module in enumerate(modules) if isinstance(module, nn.Linear))
        linear, activations = modules[first::2], modules[first + 1 :: 2]
        if not all(isinstance(each, nn.Tanh | Sine) for each in activations):
            return partial(self, x)
        with torch.no_grad():
            inputs = self[:first](x).T.contiguous()

        def outputs() -> Tensor:
            parameters = [parameter for layer in linear for parameter in (layer.weight, layer.bias)]
            found: Tensor = _Layers.apply(inputs, activations, *parameters)  # type: ignore[no-untyped-call]
            return found.T

        return outputs


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
                inputs.append(_tanh_(z))
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


def _tanh_(x: Tensor) -> Tensor:
    """Hyperbolic tangent in place, to two units in the last place: with t = exp(2x) - 1 it is t / (t + 2)."""
    t = x.mul_(2).clamp_(max=40).expm1_()  # beyond 20 tanh is 1, long before t overflows
    return t.div_(t + 2)
