"""B-splines: their values and least-squares fits.

de Boor 1978, "A Practical Guide to Splines". A grid of G intervals has G + 1 knots and is extended by k knots at each
end; the G + k splines of degree k live on these G + 1 + 2k knots.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

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
    driver = "gelsd" if x.device.type == "cpu" else "gels"
    solution: Tensor = torch.linalg.lstsq(basis, y.transpose(0, 1), driver=driver).solution.transpose(1, 2)
    if not solution.isfinite().all():
        raise FloatingPointError("the least-squares fit of a spline is not finite")
    return solution


def extend(grid: Knots, k: int) -> Float[Tensor, "inputs extended"]:
    """The grid with k knots more at each end, at its mean spacing (pykan's ``extend_grid``)."""
    step = (grid[:, -1:] - grid[:, :1]) / (grid.shape[1] - 1)
    outward = step * torch.arange(1, k + 1, dtype=grid.dtype, device=grid.device)
    return torch.cat([grid[:, :1] - outward.flip(1), grid, grid[:, -1:] + outward], dim=1)
