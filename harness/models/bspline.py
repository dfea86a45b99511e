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
    # A window of k + 1 coefficients for each interval; beyond the ends there are none.
    windows = pad(coef, (k + 1, k + 1)).unfold(-1, k + 1, 1)
    powers = (table.polynomials * windows).sum(-1).transpose(1, 2).flatten(2)
    with torch.no_grad():
        interval = (torch.searchsorted(table.knots, x, right=True) + table.offset).flatten()
    return _Piecewise.apply(x, powers, interval, table.start, table.inverse)  # type: ignore[no-any-return,no-untyped-call]


def piecewise(
    x: Float[Tensor, "inputs points"],
    powers: Float[Tensor, "powers outputs inputs*intervals"],
    interval: Int[Tensor, " inputs*points"],
    start: Float[Tensor, " inputs*intervals"],
    inverse: Float[Tensor, " inputs*intervals"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Curves given by their polynomials; also the local coordinates and the polynomials' coefficients at the points."""
    u = (x.flatten() - start[interval]) * inverse[interval]
    local = powers.gather(2, interval.expand(*powers.shape[:2], -1))
    value = local[-1]
    for coefficient in reversed(local[:-1]):
        value = torch.addcmul(coefficient, value, u)
    return value.unflatten(1, x.shape), u, local


class _Piecewise(torch.autograd.Function):
    """:func:`piecewise` with its gradient written out, which saves the many small kernels of the generic one."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, powers: Tensor, interval: Tensor, start: Tensor, inverse: Tensor
    ) -> Tensor:
        value, u, local = piecewise(x, powers, interval, start, inverse)
        ctx.save_for_backward(x, powers, interval, start, inverse)
        ctx.local = u, local
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, powers, interval, start, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            inputs = [t for t, needed in zip((x, powers), ctx.needs_input_grad, strict=False) if needed]
            value = piecewise(x, powers, interval, start, inverse)[0]
            found = iter(torch.autograd.grad(value, inputs, grad, create_graph=True))
            return (*(next(found) if needed else None for needed in ctx.needs_input_grad[:2]), None, None, None)
        u, local = ctx.local
        grad = grad.flatten(1)
        grad_x = grad_powers = None
        if ctx.needs_input_grad[0]:
            degree = len(local) - 1
            slope = local[-1] * degree
            for p in range(degree - 1, 0, -1):
                slope = torch.addcmul(local[p] * p, slope, u)
            grad_x = ((grad * slope).sum(0) * inverse[interval]).view_as(x)
        if ctx.needs_input_grad[1]:
            moments = torch.empty_like(local)
            moments[0] = grad
            for p in range(1, len(local)):
                torch.mul(moments[p - 1], u, out=moments[p])
            grad_powers = torch.zeros_like(powers).scatter_add_(2, interval.expand(*powers.shape[:2], -1), moments)
        return grad_x, grad_powers, None, None, None
