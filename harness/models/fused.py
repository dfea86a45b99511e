"""All layers of a perceptron as one step of the gradient, by compiled loops (:mod:`harness.models.perceptron_loops`).

At points that stay the same, on a processor. A small network would wait for the steps of torch more than for its sums, and
what a wide one writes between two steps does not stay in cache. What it computes is, up to rounding, what its modules do.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.models.activations import RELU, TANH, Loop
from harness.models.compiled import takes
from harness.models.interface import VJP
from harness.models.jets import plain

Array = NDArray[Any]


class Fixed(NamedTuple):
    """What the loops know of a perceptron besides its parameters, in the order in which they take it."""

    x: Array
    """What the first layer gets, ``(points, units)``."""
    sizes: Array
    """Units: of ``x``, of each hidden layer, of the outputs."""
    widest: int
    kinds: Array
    numbers: Array
    """Of the activations."""
    kept: int
    """Values of hidden units that the way back wants."""
    kept_slopes: int
    """The same of their derivatives: none where the values tell them."""


def fix(x: Float[Tensor, "points units"], sizes: Sequence[int], activations: Sequence[Loop]) -> Fixed:
    """The points, and the shape of a network."""
    numbers = np.array([(each.a, each.b) for each in activations], np.float64).reshape(-1, 2)
    kept = sum(sizes[1:-1]) * len(x)
    slopes = any(each.kind not in (TANH, RELU) for each in activations)
    kinds = np.array([each.kind for each in activations], np.int64)
    return Fixed(x.contiguous().numpy(), np.array(sizes), max(sizes), kinds, numbers, kept, kept if slopes else 0)


class AtPoints:
    """Layers at points that stay the same, with a gradient in their parameters only."""

    def __init__(self, layers: nn.Sequential, x: Float[Tensor, "points units"], activations: Sequence[Loop]) -> None:
        warm_up(x.dtype)
        self._layers = layers
        self._linear = [module for module in layers if isinstance(module, nn.Linear)]
        self._x = x
        sizes = [self._linear[0].in_features, *(layer.out_features for layer in self._linear)]
        self._fixed = fix(x, sizes, activations)

    def __call__(self) -> Float[Tensor, "points outputs"]:
        """The outputs."""
        if self._serves():
            return outputs(self._fixed, self._parameters())
        found: Tensor = self._layers(self._x)
        return found

    def vjp(self) -> VJP | None:
        """See :func:`harness.models.interface.vjp`."""
        if not self._serves():
            return None
        parameters = self._parameters()
        found, *known = _through(self._fixed, parameters, self._fixed.kept, self._fixed.kept_slopes)
        shapes = [parameter.shape for parameter in parameters]
        return VJP(found, parameters, lambda grad: _back(self._fixed, known, shapes, grad))

    def _serves(self) -> bool:
        return takes(self._x) and plain()

    def _parameters(self) -> list[Tensor]:
        return [each for layer in self._linear for each in (layer.weight, layer.bias)]


def outputs(fixed: Fixed, parameters: Sequence[Tensor]) -> Float[Tensor, "points outputs"]:
    """The network with these parameters, weight and bias of each layer; differentiable once and in these only."""
    if not torch.is_grad_enabled():
        return _through(fixed, parameters, 0, 0)[0]
    found: Tensor = _Layers.apply(fixed, *parameters)  # type: ignore[no-untyped-call]
    return found


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fixed: Fixed, *parameters: Tensor) -> Tensor:
        found, *known = _through(fixed, parameters, fixed.kept, fixed.kept_slopes)
        ctx.known = fixed, known, [parameter.shape for parameter in parameters]
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        fixed, known, shapes = ctx.known
        return (None, *_back(fixed, known, shapes, grad))


def _back(fixed: Fixed, known: Sequence[Array], shapes: Sequence[torch.Size], grad: Tensor) -> list[Tensor]:
    """From derivatives in the outputs to those in each parameter."""
    found = np.empty_like(known[0])
    _loops().backward(*fixed[:4], *known, grad.contiguous().numpy(), found)
    # Numpy's views, since torch takes four times as long for its own.
    places = itertools.pairwise(itertools.accumulate((shape.numel() for shape in shapes), initial=0))
    return [
        torch.from_numpy(found[start:end].reshape(shape)) for (start, end), shape in zip(places, shapes, strict=True)
    ]


def _through(
    fixed: Fixed, parameters: Sequence[Tensor], kept: int, kept_slopes: int
) -> tuple[Tensor, Array, Array, Array]:
    """The outputs, and for the way back the parameters one after the other, and values and slopes of hidden units."""
    flat = torch.cat([parameter.detach().flatten() for parameter in parameters]).numpy()
    values, slopes = np.empty(kept, flat.dtype), np.empty(kept_slopes, flat.dtype)
    y = np.empty((len(fixed.x), fixed.sizes[-1]), flat.dtype)
    _loops().forward(*fixed[:5], flat, values, slopes, y)
    return torch.from_numpy(y), flat, values, slopes


@functools.cache
def warm_up(dtype: torch.dtype) -> None:
    """Have the loops compiled, or loaded from where they were kept, before anybody's clock runs."""
    ones = [torch.ones(shape, dtype=dtype, requires_grad=True) for shape in ((1, 1), (1,), (1, 1), (1,))]
    fixed = fix(torch.ones(1, 1, dtype=dtype), (1, 1, 1), [Loop(TANH)])
    with torch.enable_grad():
        torch.autograd.grad(outputs(fixed, ones).sum(), ones)


@functools.cache
def _loops() -> ModuleType:
    import scipy.linalg.blas  # noqa: F401  (numba takes its BLAS, which knows nothing of torch's threads)

    from harness.models import perceptron_loops  # imports numba, a third of a second

    threadpool_limits(torch.get_num_threads())
    return perceptron_loops
