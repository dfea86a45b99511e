"""Spline networks on a processor by compiled loops (:mod:`harness.models.kernels`), with a gradient.

The same function as :func:`harness.models.piecewise.edges` layer by layer, up to rounding. That one takes any device,
and gives gradients of gradients; the tests hold this one against it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harness.models.elementary import loops as elementary_loops
from harness.models.interface import VJP
from harness.models.piecewise import Array, Pieces, edges, weigh

if TYPE_CHECKING:
    from harness.models.kan import KANLayer

PARAMETERS = 3
"""Tensors of a layer: coefficients, scales of silu and of the spline."""
_TORCH_TYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}
"""Torch's names of numpy's types."""


class Located(NamedTuple):
    """Points in the inputs of a layer, each ``(inputs, points)``."""

    where: Array
    """The interval."""
    u: Array
    """The coordinate in it."""
    base: Array
    """silu."""
    slope: Array
    """Of silu."""


class _Known(NamedTuple):
    """What a layer needs on the way back. Parameters are looked at where they are, so that they may not change before it;
    autograd tells if they do.
    """

    pieces: Pieces
    mask: Array
    parameters: Sequence[Array]
    located: Located
    c: Array


def serves(layers: Sequence[KANLayer], x: Tensor) -> bool:
    """Whether the compiled loops can take this network at these points."""
    fixed = [each for layer in layers for each in (layer.grid, layer.mask)]
    return takes(x) and all(each.dtype == x.dtype and each.is_cpu for each in (*fixed, *_parameters(layers)))


def takes(x: Tensor) -> bool:
    """Whether the compiled loops can take these points, and nobody counts or traces torch's operations."""
    return torch._C._len_torch_dispatch_stack() == 0 and x.is_cpu and x.dtype in (torch.float32, torch.float64)


@functools.cache
def _kernels() -> ModuleType:
    from harness.models import kernels  # imports numba, a fifth of a second

    return kernels


def locate(x: Array, pieces: Pieces) -> Located:
    """The points, ``(points, inputs)``, in their intervals."""
    points = np.ascontiguousarray(x.T)
    where, u, base, slope = (np.empty(points.shape, dtype) for dtype in (np.uint32, *[points.dtype] * 3))
    assert pieces.arrays is not None  # as :func:`serves` says
    _kernels().locate(points, *pieces.arrays[:-1], where, u)
    elementary_loops().silu(points.reshape(-1), base.reshape(-1), slope.reshape(-1))
    return Located(where, u, base, slope)


_warm: set[tuple[int, torch.dtype]] = set()
"""Degrees and numbers for which this process has its loops."""


@torch.no_grad()
def warm_up(layers: Sequence[KANLayer], x: Float[Tensor, "points inputs"]) -> None:
    """Have the loops compiled, or loaded from where they were kept, before anybody's clock runs: once a process."""
    if {(layer.k, x.dtype) for layer in layers} <= _warm:
        return
    h = x[:1].detach().numpy()
    for layer in layers:
        h, known = _layer_at(layer, h)
        _back(known, np.ones_like(h), wants_x=True)
        _warm.add((layer.k, x.dtype))


def outputs(
    layers: Sequence[KANLayer], x: Float[Tensor, "points inputs"], located: Located | None = None
) -> Float[Tensor, "points outputs"]:
    """The network at ``x``. ``located``: what :func:`locate` gives for the first layer, if it is known.

    Differentiable in ``x`` and the parameters, as often as wanted.
    """
    parameters = _parameters(layers)
    result: Tensor = _Network.apply(layers, located, x, *parameters)  # type: ignore[no-untyped-call]
    return result


def vjp(layers: Sequence[KANLayer], located: Located) -> VJP:
    """The outputs at points that are located in the first layer; see :func:`harness.models.interface.vjp`."""
    parameters = _parameters(layers)
    h, known = _through_all(layers, located, parameters)

    def pull_back(grad: Tensor) -> Iterator[Tensor]:
        _, found = _back_through_all(known, grad, wants_x=False)
        return map(torch.from_numpy, found)

    return VJP(torch.from_numpy(h), parameters, pull_back)


def jacobian(layers: Sequence[KANLayer], x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points parameters"]:
    """Derivative of the output (of their sum, if there are several) in each parameter, in the order of these."""
    h, known = _through_all(layers, locate(x.detach().numpy(), layers[0].pieces()), _parameters(layers))
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    result, grad = x.new_empty(sum(sizes), len(x)), np.ones_like(h)
    for index in range(len(layers) - 1, -1, -1):
        pieces, mask, (coef, _, scale_sp), located, c = known[index]
        assert pieces.arrays is not None
        rows = layers[index].rows(result.split(sizes)[index])
        found = [rows[name].numpy() for name in ("coef", "scale_base", "scale_sp")]
        of_x = np.empty((len(located.u), len(x) if index > 0 else 0), c.dtype)
        fixed = (pieces.arrays.inverse, coef, scale_sp, mask, pieces.arrays.polynomials, c)
        _kernels().jacobian(_powers(pieces), *located, *fixed, grad, *found, of_x)
        grad = np.ascontiguousarray(of_x.T)
    return result.T


class OfUnits(NamedTuple):
    """A spline for each unit at its points, both ``(units, points)``, and what its gradient wants to find again."""

    value: Tensor
    slope: Tensor
    where: Array
    u: Array


def units(coef: Float[Tensor, "units splines"], pieces: Pieces, x: Float[Tensor, "units points"]) -> OfUnits:
    """A spline for each unit, without a gradient of autograd; ``coef`` are its factors, and silu has no part."""
    assert pieces.arrays is not None
    kernels, powers, own = _kernels(), _powers(pieces), coef.detach().unsqueeze(1).numpy()
    points, one = x.detach().contiguous().numpy(), np.ones((len(coef), 1), own.dtype)
    where, u = np.empty(points.shape, np.uint32), np.empty_like(points)
    kernels.locate(points, *pieces.arrays[:-1], where, u)
    c = _coefficients(pieces, 1, own.dtype)
    kernels.combine(powers, own, one, one, one, pieces.arrays.polynomials, c)
    value, slope = np.empty_like(points), np.empty_like(points)
    kernels.by_itself(powers, where, u, pieces.arrays.inverse, c, value, slope)
    return OfUnits(torch.from_numpy(value), torch.from_numpy(slope), where, u)


def units_gradient(
    coef: Float[Tensor, "units splines"], pieces: Pieces, known: OfUnits, grad: Float[Tensor, "units points"]
) -> Float[Tensor, "units splines"]:
    """From derivatives in the values of :func:`units` to those in ``coef``."""
    assert pieces.arrays is not None
    kernels, powers, own = _kernels(), _powers(pieces), coef.detach().unsqueeze(1).numpy()
    one, found = np.ones((len(coef), 1), own.dtype), np.empty_like(own)
    moments = _coefficients(pieces, 1, own.dtype)
    kernels.moments_by_itself(powers, known.where, known.u, grad.contiguous().numpy(), moments)
    polynomials, unused = pieces.arrays.polynomials, np.empty_like(one)
    kernels.separate(powers, moments, own, one, one, polynomials, found, unused, unused)
    return torch.from_numpy(found).squeeze(1)


class _Network(torch.autograd.Function):
    """All layers as one step of the gradient: a small network would wait for the steps more than for the sums."""

    @staticmethod
    def forward(
        ctx: Any, layers: Sequence[KANLayer], located: Located | None, x: Tensor, *parameters: Tensor
    ) -> Tensor:
        located = located or locate(x.detach().numpy(), layers[0].pieces())
        h, known = _through_all(layers, located, parameters)
        ctx.save_for_backward(x, *parameters)
        ctx.known = known
        return torch.from_numpy(h)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # A second derivative is wanted, so this one has to be differentiable.
            wanted = [each for each, is_needed in zip(inputs, needed, strict=True) if is_needed]
            of_wanted = iter(torch.autograd.grad(_by_edges(inputs, ctx.known), wanted, grad, create_graph=True))
            return (None, None, *(next(of_wanted) if is_needed else None for is_needed in needed))
        of_x, found = _back_through_all(ctx.known, grad, wants_x=needed[0])
        of_inputs = map(torch.from_numpy, (of_x, *found))
        return (None, None, *(each if is_needed else None for each, is_needed in zip(of_inputs, needed, strict=True)))


def _through_all(
    layers: Sequence[KANLayer], located: Located, parameters: Sequence[Tensor]
) -> tuple[Array, list[_Known]]:
    """The outputs, ``(points, outputs)``, and what the layers need on the way back."""
    known: list[_Known] = []
    for index, layer in enumerate(layers):
        h, its = _through(_of_layer(parameters, index), layer.mask, located, layer.pieces())
        known.append(its)
        if index + 1 < len(layers):
            located = locate(h, layers[index + 1].pieces())
    return h, known


def _back_through_all(known: Sequence[_Known], grad: Tensor, wants_x: bool) -> tuple[Array, list[Array]]:
    """From derivatives in the outputs to those in the inputs, ``(points, inputs)``, and in all parameters."""
    of_h, found = grad.contiguous().numpy(), list[Array]()
    for index in range(len(known) - 1, -1, -1):
        of_h, of_parameters = _back(known[index], of_h, wants_x=wants_x or index > 0)
        found[:0] = of_parameters
    return of_h, found


def _parameters(layers: Sequence[KANLayer]) -> list[Tensor]:
    return [each for layer in layers for each in (layer.coef, layer.scale_base, layer.scale_sp)]


def _of_layer(parameters: Sequence[Tensor], index: int) -> tuple[Tensor, Tensor, Tensor]:
    coef, scale_base, scale_sp = parameters[PARAMETERS * index : PARAMETERS * (index + 1)]
    return coef, scale_base, scale_sp


def _layer_at(layer: KANLayer, x: Array) -> tuple[Array, _Known]:
    """A layer as it is, at points that nothing is known of."""
    own = (layer.coef, layer.scale_base, layer.scale_sp)
    return _through(own, layer.mask, locate(x, layer.pieces()), layer.pieces())


def _through(parameters: Sequence[Tensor], mask: Tensor, located: Located, pieces: Pieces) -> tuple[Array, _Known]:
    """The outputs of a layer, ``(points, outputs)``."""
    assert pieces.arrays is not None
    kernels, powers, kept = _kernels(), _powers(pieces), mask.numpy().copy()
    own = coef, scale_base, scale_sp = [each.detach().numpy() for each in parameters]
    outputs = kept.shape[1]
    y, c = _empty((located.u.shape[1], outputs), coef.dtype), _coefficients(pieces, outputs, coef.dtype)
    kernels.combine(powers, coef, scale_base, scale_sp, kept, pieces.arrays.polynomials, c)
    kernels.forward(powers, *located[:3], c, y)
    return y, _Known(pieces, kept, own, located, c)


def _back(known: _Known, grad: Array, wants_x: bool) -> tuple[Array, list[Array]]:
    """From derivatives in the outputs to those in the inputs, ``(points, inputs)``, and in the parameters."""
    pieces, mask, (coef, scale_base, scale_sp), located, c = known
    assert pieces.arrays is not None
    kernels, powers = _kernels(), _powers(pieces)
    moments = _empty(c.shape, c.dtype)
    of_x = np.empty((len(located.u), len(grad) if wants_x else 0), c.dtype)
    kernels.backward(powers, *located, pieces.arrays.inverse, c, grad, moments, of_x)
    found = [np.empty_like(each) for each in (coef, scale_base, scale_sp)]
    kernels.separate(powers, moments, coef, scale_sp, mask, pieces.arrays.polynomials, *found)
    return np.ascontiguousarray(of_x.T), found


def _coefficients(pieces: Pieces, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Room for those of u^0 to u^k and silu in all intervals."""
    return _empty((len(pieces.start), len(pieces.polynomials) + 1, outputs), dtype)


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array. Where its rows are at least as long as a line of cache, it begins with one, as torch's do and numpy's do not: the
    loops take lines as a whole.
    """
    short = shape[-1] * dtype.itemsize < _kernels().LINE
    return np.empty(shape, dtype) if short else torch.empty(shape, dtype=_TORCH_TYPES[dtype], device="cpu").numpy()


def _powers(pieces: Pieces) -> tuple[int, ...]:
    return tuple(range(len(pieces.polynomials)))


def _by_edges(inputs: Sequence[Tensor], known: Sequence[_Known]) -> Float[Tensor, "points outputs"]:
    """The same in operations that can be differentiated again."""
    x, *parameters = inputs
    h = x.T
    for index, its in enumerate(known):
        weights = weigh(*_of_layer(parameters, index), torch.from_numpy(its.mask))
        h = edges(h.contiguous(), weights, its.pieces, len(its.pieces.polynomials) - 1).sum(dim=1)
    return h.T
