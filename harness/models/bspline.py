"""B-splines: their values, least-squares fits, and curves evaluated interval by interval.

de Boor 1978, "A Practical Guide to Splines". A grid of G intervals has G + 1 knots and is extended by k knots at each
end; the G + k splines of degree k live on these G + 1 + 2k knots.

Two ways lead to a curve. :func:`bspline_basis` gives all splines at a point, by plain differentiable operations.
:func:`curves` uses that between two knots a curve is one polynomial: it looks up the interval of a point and the k + 1
coefficients of that polynomial, so its cost does not depend on G.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

Knots = Float[Tensor, "inputs knots"]


def bspline_basis(x: Float[Tensor, "points inputs"], knots: Knots, k: int) -> Float[Tensor, "points inputs bases"]:
    """The G + k B-splines of degree ``k`` at ``x``, by the recursion of Cox and de Boor.

    Outside of all knots every spline is zero; a NaN stays NaN. An interval of width zero contributes nothing (the
    convention 0/0 = 0 of de Boor 1978, chapter IX).
    """
    x = x.unsqueeze(-1)
    basis = ((x >= knots[:, :-1]) & (x < knots[:, 1:])).to(x.dtype)
    for degree in range(1, k + 1):
        inverse = reciprocal(knots[:, degree:] - knots[:, :-degree])
        rising = (x - knots[:, : -degree - 1]) * inverse[:, :-1]
        falling = (knots[:, degree + 1 :] - x) * inverse[:, 1:]
        basis = rising * basis[..., :-1] + falling * basis[..., 1:]
    return basis


def reciprocal(span: Tensor) -> Tensor:
    """``1 / span``, and 0 for a span of zero."""
    return torch.where(span > 0, 1 / span, torch.zeros_like(span))


def fit_coefficients(
    x: Float[Tensor, "points inputs"], y: Float[Tensor, "points inputs outputs"], knots: Knots, k: int
) -> Float[Tensor, "inputs outputs bases"]:
    """Least-squares spline coefficients of the curves ``y`` through the points ``x``; of several solutions the smallest.

    Raises FloatingPointError when an input is not finite or the solver finds no finite solution.
    """
    basis = bspline_basis(x, knots, k).transpose(0, 1)
    if not (basis.isfinite().all() and y.isfinite().all()):
        raise FloatingPointError("a spline can't be fitted to points that are not finite")
    # The complete orthogonal factorisation also takes grids with more splines than points.
    driver = "gelsy" if x.device.type == "cpu" else "gels"
    solution: Tensor = torch.linalg.lstsq(basis, y.transpose(0, 1), driver=driver).solution.transpose(1, 2)
    if not solution.isfinite().all():
        raise FloatingPointError("the least-squares fit of a spline is not finite")
    return solution


def extend(grid: Knots, k: int) -> Knots:
    """The grid with k knots more at each end, at its mean spacing (pykan's ``extend_grid``)."""
    step = (grid[:, -1:] - grid[:, :1]) / (grid.shape[1] - 1)
    outward = step * torch.arange(1, k + 1, dtype=grid.dtype, device=grid.device)
    return torch.cat([grid[:, :1] - outward.flip(1), grid, grid[:, -1:] + outward], dim=1)


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
    offset: Int[Tensor, "inputs 1"]
    """Where the intervals of an input start in the flattened table."""
    polynomials: Float[Tensor, "powers inputs 1 intervals splines"]
    """Coefficient of u^p of the k + 1 splines that are not zero in the interval."""


# Tables outlive the mode they are made in, and an inference tensor could not be saved for a backward pass.
@torch.inference_mode(False)
@torch.no_grad()
def pieces(knots: Knots, k: int) -> Pieces:
    """The recursion of Cox and de Boor on polynomials instead of values; in float64 whatever the dtype of the knots."""
    inputs, count = knots.shape
    wide = knots.detach().double()
    start, width = wide[:, :-1], wide.diff(dim=1)
    # basis[r] is the spline number j - degree + r in interval j. Splines that begin before the first knot do not exist;
    # `curves` gives them coefficients of zero, so the repeated end knots used for them here only have to be finite.
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
    return Pieces(
        knots.detach().clone(),
        pad(start, (1, 1)).to(knots).flatten(),
        pad(reciprocal(width), (1, 1)).to(knots).flatten(),
        torch.arange(inputs, device=knots.device).unsqueeze(1) * (count + 1),
        pad(basis, (1, 1)).permute(1, 2, 3, 0).unsqueeze(2).to(knots).contiguous(),
    )


def curves(
    x: Float[Tensor, "inputs points"], coef: Float[Tensor, "inputs outputs bases"], table: Pieces, k: int
) -> Float[Tensor, "outputs inputs points"]:
    """The curves with the coefficients ``coef`` at ``x``, as ``bspline_basis @ coef`` up to rounding.

    Outside of all knots they are zero; NaN gives NaN, and so does an infinity. Differentiable twice in ``x`` and ``coef``.
    """
    with torch.no_grad():
        interval = (torch.searchsorted(table.knots, x, right=True) + table.offset).flatten()
    return _Curves.apply(x, coef, interval, table, k)  # type: ignore[no-any-return,no-untyped-call]


def windows(coef: Tensor, k: int) -> Float[Tensor, "inputs outputs intervals splines"]:
    """The k + 1 coefficients that count in each interval; beyond the ends there are none, which is written as 0."""
    return pad(coef, (k + 1, k + 1)).unfold(-1, k + 1, 1)


def piecewise(
    x: Float[Tensor, "inputs points"],
    coef: Float[Tensor, "inputs outputs bases"],
    interval: Int[Tensor, " inputs*points"],
    table: Pieces,
    k: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The curves; also the local coordinate of each point, and the coefficients of its powers there."""
    u = (x.flatten() - table.start.index_select(0, interval)) * table.inverse.index_select(0, interval)
    powers = (table.polynomials * windows(coef, k)).sum(-1).transpose(1, 2).flatten(2)
    local = powers.gather(2, interval.expand(*powers.shape[:2], -1))
    value = local[k]
    for p in range(k - 1, -1, -1):
        value = torch.addcmul(local[p], value, u)
    return value.unflatten(1, x.shape), u, local


class _Curves(torch.autograd.Function):
    """:func:`piecewise` with its gradient written out, which saves the many small kernels of the generic one."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, coef: Tensor, interval: Tensor, table: Pieces, k: int
    ) -> Tensor:
        value, u, local = piecewise(x, coef, interval, table, k)
        ctx.save_for_backward(x, coef)
        ctx.interval, ctx.table, ctx.k, ctx.u, ctx.local = interval, table, k, u, local
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, coef = ctx.saved_tensors
        interval, table, k, u, local = ctx.interval, ctx.table, ctx.k, ctx.u, ctx.local
        if torch.is_grad_enabled():  # a second derivative is wanted
            wanted = [t for t, needed in zip((x, coef), ctx.needs_input_grad, strict=False) if needed]
            found = iter(
                torch.autograd.grad(piecewise(x, coef, interval, table, k)[0], wanted, grad, create_graph=True)
            )
            return (*(next(found) if needed else None for needed in ctx.needs_input_grad[:2]), None, None, None)
        grad = grad.flatten(1)
        grad_x = grad_coef = None
        if ctx.needs_input_grad[0]:
            slope = local[k] * k
            for p in range(k - 1, 0, -1):
                slope = torch.addcmul(local[p] * p, slope, u)
            grad_x = ((grad * slope).sum(0) * table.inverse.index_select(0, interval)).view_as(x)
        if ctx.needs_input_grad[1]:
            # Moments of the gradient in each interval, then those of its k + 1 splines, then the windows laid together.
            moments = torch.empty_like(local)
            moments[0] = grad
            for p in range(1, k + 1):
                torch.mul(moments[p - 1], u, out=moments[p])
            intervals = table.polynomials.shape[-2]
            shape = (k + 1, coef.shape[1], coef.shape[0] * intervals)
            sums = moments.new_zeros(shape).scatter_add_(2, interval.expand(*shape[:2], -1), moments)
            sums = sums.unflatten(2, (-1, intervals)).transpose(1, 2).unsqueeze(-1)
            splines = (table.polynomials * sums).sum(0)
            padded = coef.new_zeros(*coef.shape[:2], coef.shape[2] + 2 * (k + 1))
            for r in range(k + 1):
                padded[..., r : r + intervals] += splines[..., r]
            grad_coef = padded[..., k + 1 : -(k + 1)]
        return grad_x, grad_coef, None, None, None
