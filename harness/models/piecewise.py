"""The edges of a KAN layer, evaluated interval by interval.

Between two knots the function of an edge is silu and one polynomial. So a point needs the number of its interval and the
k + 1 coefficients of that polynomial, whatever the number of intervals, where the recursion over all splines
(:func:`harness.models.bspline.bspline_basis`) computes G + k values of which k + 1 are not zero. The functions are the
same up to rounding; the gradient is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad, silu

from harness.models.activations import silu_derivative
from harness.models.bspline import Knots, reciprocal
from harness.models.jets import plain

Array = NDArray[Any]
Points = Float[Tensor, "inputs points"]
Edges = Float[Tensor, "outputs inputs points"]
Weights = Float[Tensor, "outputs inputs features"]
"""The factors of the G + k splines and, last, of silu in each edge."""
Features = Float[Tensor, "inputs features points"]
"""What the weights are the factors of."""


class Bins(NamedTuple):
    """Even bins over the knots of each input, to find the interval of a point without branches.

    A binary search mispredicts most of its branches and took a seventh of a training step. The bin of a point is a
    monotone function of it, also in floating point, so all knots of earlier bins lie to its left and only those of its
    own bin have to be compared with it.
    """

    low: Float[Tensor, "inputs 1"]
    scale: Float[Tensor, "inputs 1"]
    offset: Int[Tensor, "inputs 1"]
    """Where the bins of an input start in ``first``."""
    first: Int[Tensor, " inputs*bins"]
    """Flattened number of the interval in which a bin starts."""
    upper: Float[Tensor, " inputs*intervals"]
    """The knot at the end of each interval; infinite for the last one."""
    most: int
    """Knots in the fullest bin."""


BINS = 1024


def bins(knots: Knots) -> Bins:
    """Bins 1 to BINS span the knots; 0 and BINS + 1 are what lies outside."""
    inputs, count = knots.shape
    low = knots[:, :1]
    table = Bins(
        low,
        BINS * reciprocal(knots[:, -1:] - low),
        torch.arange(inputs, device=knots.device).unsqueeze(1) * (BINS + 2),
        knots,
        pad(knots, (0, 1), value=torch.inf).flatten(),
        0,
    )
    members = torch.bincount(bin_of(knots, table), minlength=inputs * (BINS + 2)).view(inputs, -1)
    start = torch.arange(inputs, device=knots.device).unsqueeze(1) * (count + 1)
    first = members.cumsum(1) - members + start
    return table._replace(first=first.flatten(), most=int(members.max()))


def bin_of(x: Float[Tensor, "inputs points"], table: Bins) -> Int[Tensor, " inputs*points"]:
    """The flattened number of each point's bin; a NaN gets some bin."""
    # Clamped before the conversion because of the large, after it because of NaN.
    position = ((x - table.low) * table.scale).add_(1).clamp_(0, BINS + 1)
    return position.long().clamp_(0, BINS + 1).add_(table.offset).flatten()


def interval_of(x: Float[Tensor, "inputs points"], table: Bins) -> Int[Tensor, " inputs*points"]:
    """The flattened number of each point's interval: the one after the last knot that is not beyond the point."""
    interval = table.first.index_select(0, bin_of(x, table))
    x = x.flatten()
    for _ in range(table.most):
        upper = table.upper.index_select(0, interval)
        interval += (x >= upper) & (upper < torch.inf)
    return interval


class Pieces(NamedTuple):
    """What the knots alone decide about the polynomials between them.

    The line is cut at every knot into intervals; the first and the last one are what lies outside of all knots, where
    every curve is zero. In interval j the local coordinate is ``u = (x - start_j) * inverse_j``, from 0 to 1.
    """

    knots: Knots
    """The knots that the rest was computed from."""
    start: Float[Tensor, " inputs*intervals"]
    inverse: Float[Tensor, " inputs*intervals"]
    """Reciprocal width; 0 outside, so that u is 0 there, or NaN for a NaN or an infinity."""
    bins: Bins
    """How the interval of a point is found."""
    polynomials: Float[Tensor, "powers 1 inputs intervals splines"]
    """Coefficient of u^p of the k + 1 splines that are not zero in the interval."""
    window: Int[Tensor, " intervals*splines"]
    """Numbers of these splines, when k + 1 that do not exist are counted before the first."""
    arrays: Arrays | None
    """For compiled loops, on a processor."""


class Arrays(NamedTuple):
    """The tables as numpy arrays."""

    low: Array
    scale: Array
    first: Array
    upper: Array
    start: Array
    inverse: Array
    polynomials: Array


# Tables outlive the mode they are made in, and an inference tensor could not be saved for a backward pass.
@torch.inference_mode(False)
@torch.no_grad()
def pieces(knots: Knots, k: int) -> Pieces:
    """The recursion of Cox and de Boor on polynomials instead of values; in float64 whatever the dtype of the knots."""
    inputs, count = knots.shape
    wide = knots.detach().double()
    start, width = wide[:, :-1], wide.diff(dim=1)
    # basis[r] is the spline number j - degree + r in interval j. Splines that begin before the first knot do not exist;
    # `evaluate` gives them coefficients of zero, so the repeated end knots used for them here only have to be finite.
    padded = pad(wide.unsqueeze(1), (k, k), mode="replicate").squeeze(1)
    basis = wide.new_zeros(1, k + 1, inputs, count - 1)
    basis[0, 0] = 1
    for degree in range(1, k + 1):
        new = wide.new_zeros(degree + 1, k + 1, inputs, count - 1)
        for r in range(degree):
            left = padded[:, k - degree + 1 + r : k - degree + r + count]
            right = padded[:, k + 1 + r : k + r + count]
            inverse = reciprocal(right - left)
            # x - left = (start - left) + width u, and right - x = (right - start) - width u.
            slope = width * inverse * basis[r, :-1]
            new[r] += (right - start) * inverse * basis[r]
            new[r, 1:] -= slope
            new[r + 1] += (start - left) * inverse * basis[r]
            new[r + 1, 1:] += slope
        basis = new
    start, inverse = (pad(each, (1, 1)).to(knots).flatten() for each in (start, reciprocal(width)))
    table = bins(knots.detach().clone())
    polynomials = pad(basis, (1, 1)).permute(1, 2, 3, 0).unsqueeze(1).to(knots).contiguous()
    window = (torch.arange(count + 1).unsqueeze(1) + torch.arange(k + 1)).flatten().to(knots.device)
    in_arrays = (table.low, table.scale, table.first.int(), table.upper, start, inverse, polynomials)
    arrays = Arrays(*(each.numpy() for each in in_arrays)) if knots.device.type == "cpu" else None
    return Pieces(knots.detach().clone(), start, inverse, table, polynomials, window, arrays)


def edges(x: Points, weights: Weights, table: Pieces, k: int) -> Edges:
    """The value of each edge at ``x``.

    Outside of all knots the spline is zero. NaN gives NaN, and so does an infinity; a weight of NaN gives NaN in the
    intervals where it counts. Differentiable in ``x`` and ``weights``, as often as wanted.
    """
    with torch.no_grad():
        interval = interval_of(x, table.bins)
    return _Edges.apply(x, weights, interval, table, k)  # type: ignore[no-any-return,no-untyped-call]


def polynomials(weights: Weights, table: Pieces, k: int) -> Float[Tensor, "powers outputs inputs intervals"]:
    """The coefficients of the powers of u in each interval of each edge."""
    windows = pad(weights[..., :-1], (k + 1, k + 1)).unfold(-1, k + 1, 1)
    return (table.polynomials * windows).sum(-1)


def evaluate(
    x: Points, weights: Weights, interval: Int[Tensor, " inputs*points"], table: Pieces, k: int
) -> tuple[Edges, Float[Tensor, " inputs*points"], Float[Tensor, "powers outputs inputs*points"]]:
    """The edges; also the local coordinate u of each point and the coefficients of the powers of u there."""
    u = (x.flatten() - table.start.index_select(0, interval)) * table.inverse.index_select(0, interval)
    powers = polynomials(weights, table, k).flatten(2)
    local = powers.gather(2, interval.expand(*powers.shape[:2], -1))
    spline = local[k]
    for p in range(k - 1, -1, -1):
        spline = torch.addcmul(local[p], spline, u)
    return torch.addcmul(spline.unflatten(1, x.shape), weights[..., -1:], silu(x)), u, local


@torch.no_grad()
def edges_and_slopes(x: Points, weights: Weights, table: Pieces, k: int, order: int) -> list[Edges]:
    """The value of each edge at ``x``, then its derivatives there up to ``order``; without a graph, else as :func:`edges`."""
    interval, inverse, u = _local(x, table)
    powers = polynomials(weights, table, k).flatten(2)
    splines = _taylor(powers.gather(2, interval.expand(*powers.shape[:2], -1)).flip(0), u, order)
    found, scale = [], torch.ones_like(inverse)
    for n, spline in enumerate(splines):
        base = silu_derivative(x, n)
        found.append(torch.addcmul((spline * scale).unflatten(1, x.shape), weights[..., -1:], base))
        scale = scale * inverse * (n + 1)
    return found


def _local(x: Points, table: Pieces) -> tuple[Int[Tensor, " inputs*points"], Tensor, Tensor]:
    """The interval of each point, the reciprocal of its width, and the local coordinate u."""
    interval = interval_of(x, table.bins)
    inverse = table.inverse.index_select(0, interval)
    return interval, inverse, (x.flatten() - table.start.index_select(0, interval)) * inverse


def _taylor(coefficients: Iterable[Tensor], u: Tensor, order: int) -> list[Tensor]:
    """Taylor coefficients at u of polynomials, from the highest coefficient to the lowest: Horner's scheme, repeated."""
    taylor: list[Tensor] = []
    for each in coefficients:
        if not taylor:
            taylor = [torch.zeros_like(each) for _ in range(order + 1)]
        for n in range(order, 0, -1):
            taylor[n] = torch.addcmul(taylor[n - 1], taylor[n], u)
        taylor[0] = torch.addcmul(each, taylor[0], u)
    return taylor


@torch.no_grad()
def features(x: Points, table: Pieces, k: int, order: int) -> list[Features]:
    """All splines and, last, silu at ``x``; then their derivatives there up to ``order``, at a knot those to its right.

    Outside of all knots the splines are zero. NaN gives NaN, and so does an infinity, in silu and in k + 1 splines.
    """
    interval, inverse, u = _local(x, table)
    at_points = interval.expand(k + 1, -1)
    taylor = _taylor((each.T.gather(1, at_points) for each in table.polynomials.flatten(1, 3).flip(0)), u, order)
    intervals = len(table.start) // len(x)
    first = interval.view_as(x) - intervals * torch.arange(len(x), device=x.device).unsqueeze(1)
    window = first.unsqueeze(1) + torch.arange(k + 1, device=x.device).unsqueeze(1)

    def place(base: Points, splines: Float[Tensor, "splines inputs*points"]) -> Features:
        # As in the table, k + 1 splines that do not exist come before the first. As many follow the last, and the first
        # of those makes room for silu.
        padded = x.new_zeros(len(x), intervals + k, x.shape[1])
        padded.scatter_(1, window, splines.unflatten(1, x.shape).transpose(0, 1))
        result = padded[:, k + 1 : intervals]
        result[:, -1] = base
        return result

    found, scale = [place(silu(x), taylor[0])], inverse
    for n in range(1, order + 1):
        found.append(place(silu_derivative(x, n), taylor[n] * scale))
        scale = scale * inverse * (n + 1)
    return found


def weigh(
    coef: Float[Tensor, "inputs outputs splines"],
    scale_base: Float[Tensor, "inputs outputs"],
    scale_sp: Float[Tensor, "inputs outputs"],
    mask: Float[Tensor, "inputs outputs"],
) -> Weights:
    """From the parameters of a layer: ``coef * scale_sp * mask`` and, last, ``scale_base * mask``."""
    make: Callable[..., Tensor] = _Weigh.apply if plain() else _Weigh.plain
    return make(coef, scale_base, scale_sp, mask)


class _Weigh(torch.autograd.Function):
    """``coef * scale_sp * mask`` and ``scale_base * mask`` side by side, outputs first, as one step of the gradient."""

    @staticmethod
    def plain(coef: Tensor, scale_base: Tensor, scale_sp: Tensor, mask: Tensor) -> Tensor:
        spline = coef * (scale_sp * mask).unsqueeze(-1)
        return torch.cat([spline, (scale_base * mask).unsqueeze(-1)], dim=-1).transpose(0, 1).contiguous()

    @staticmethod
    def forward(ctx: Any, coef: Tensor, scale_base: Tensor, scale_sp: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(coef, scale_sp, mask)
        return _Weigh.plain(coef, scale_base, scale_sp, mask)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        coef, scale_sp, mask = ctx.saved_tensors
        masked = grad.transpose(0, 1) * mask.unsqueeze(-1)
        spline = masked[..., :-1]
        return spline * scale_sp.unsqueeze(-1), masked[..., -1], (spline * coef).sum(-1), None


class _Edges(torch.autograd.Function):
    """:func:`evaluate` with its gradient written out, which saves many small kernels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, interval: Tensor, table: Pieces, k: int) -> Tensor:
        values, u, local = evaluate(x, weights, interval, table, k)
        ctx.save_for_backward(x, weights)
        ctx.rest = interval, table, k, u, local
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weights = ctx.saved_tensors
        interval, table, k, u, local = ctx.rest
        needed = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # A second derivative is wanted, so this one has to be differentiable.
            values, *_ = evaluate(x, weights, interval, table, k)
            wanted = [tensor for tensor, is_needed in zip((x, weights), needed, strict=True) if is_needed]
            found = iter(torch.autograd.grad(values, wanted, grad, create_graph=True))
            return (*(next(found) if is_needed else None for is_needed in needed), None, None, None)
        grad_x = _grad_x(x, weights, interval, table, k, u, local, grad) if needed[0] else None
        grad_weights = _grad_weights(x, weights, interval, table, k, u, grad) if needed[1] else None
        return grad_x, grad_weights, None, None, None


def _grad_x(
    x: Tensor, weights: Tensor, interval: Tensor, table: Pieces, k: int, u: Tensor, local: Tensor, grad: Tensor
) -> Tensor:
    slope = local[k] * k
    for p in range(k - 1, 0, -1):
        slope = torch.addcmul(local[p] * p, slope, u)
    spline = (grad.flatten(1) * slope).sum(0) * table.inverse.index_select(0, interval)
    base: Tensor = torch.ops.aten.silu_backward((grad * weights[..., -1:]).sum(0), x)
    return base.add_(spline.view_as(x))


def _grad_weights(
    x: Tensor, weights: Tensor, interval: Tensor, table: Pieces, k: int, u: Tensor, grad: Tensor
) -> Tensor:
    moments = grad.new_empty(k + 1, grad.shape[0], len(u))
    moments[0].view_as(grad).copy_(grad)
    for p in range(1, k + 1):
        torch.mul(moments[p - 1], u, out=moments[p])
    return _from_moments(x, weights, interval, table, k, moments, (grad * silu(x)).sum(-1))


@torch.no_grad()
def gradient(x: Points, weights: Weights, table: Pieces, k: int, factors: Sequence[Edges]) -> Weights:
    """In the weights, of the edges and their derivatives at ``x``, each times its factor, summed over the points."""
    interval, inverse, u = _local(x, table)
    moments = x.new_zeros(k + 1, len(weights), len(u))
    for n, factor in enumerate(factors):
        power = factor.flatten(1) * inverse**n
        for p in range(n, k + 1):
            moments[p].add_(power, alpha=math.perm(p, n))  # the n-th derivative of u^p
            power = power * u
    base = torch.stack([(factor * silu_derivative(x, n)).sum(-1) for n, factor in enumerate(factors)]).sum(dim=0)
    return _from_moments(x, weights, interval, table, k, moments, base)


def _from_moments(
    x: Tensor, weights: Tensor, interval: Tensor, table: Pieces, k: int, moments: Tensor, base: Tensor
) -> Tensor:
    """Sums over each interval, then for each of its splines, then for each spline; ``base`` is that of silu."""
    sums = moments.new_zeros(k + 1, moments.shape[1], len(table.start))
    sums.scatter_add_(2, interval.expand(*sums.shape[:2], -1), moments)
    splines = (table.polynomials * sums.view(*sums.shape[:2], len(x), -1, 1)).sum(0).flatten(2)
    padded = moments.new_zeros(*weights.shape[:2], weights.shape[2] + 2 * k + 1).index_add_(2, table.window, splines)
    result = padded[..., k + 1 : -k] if k else padded[..., 1:]
    result[..., -1] = base
    return result
