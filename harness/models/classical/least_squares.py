"""Linear least squares without normal equations, and the steps of Gauss and Newton that are made of them.

Golub and Van Loan 2013, "Matrix Computations", sections 5.3 and 5.5: QR, and singular values where the columns hardly differ.
Rows that are too many for memory go into the triangle of those before (Demmel et al. 2012, "Communication-optimal QR",
section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

RANK = 5e-14
"""Singular values below this, in units of the largest, count as 0: the answer is the smallest that remains. Those that are 0 come
out at up to 1e-14, and with them coefficients of 1e12.
"""
FULL = 1e-10
"""A triangle whose diagonal stays above this, in units of its largest number, is as good as its singular values."""


class Part(NamedTuple):
    """Some rows of a system ``A c = b``."""

    matrix: Float[Tensor, "rows unknowns"]
    right: Float[Tensor, "rows outputs"]


class Solution(NamedTuple):
    """Of a system ``A c = b`` in the sense of least squares."""

    unknowns: Float[Tensor, "unknowns outputs"]
    squares: float
    """``|A c - b|^2``."""


def least_squares(rows: Iterable[Part], rank: float = RANK) -> Solution:
    """The c with the least ``|A c - b|``; of several the smallest, in units in which all columns are alike. On the CPU. NaN where
    a number of the rows is not finite.

    ``rank``: singular values below this, in units of the largest, count as 0.
    """
    whole: Part | None = None
    for part in rows:
        whole = part if whole is None else _triangle(whole, part)
    assert whole is not None
    unknowns = whole.matrix.shape[1]
    scale = torch.linalg.vector_norm(whole.matrix, dim=0)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    triangle, right = _triangle(Part(whole.matrix / scale, whole.right))
    if not (triangle.isfinite().all() and right.isfinite().all()):  # LAPACK would look for a fault of ours
        return Solution(torch.full_like(right[:1], math.nan).expand(unknowns, -1), math.nan)
    diagonal = triangle.diagonal().abs()
    if len(diagonal) == unknowns and diagonal.min() > FULL * diagonal.max():
        found = torch.linalg.solve_triangular(triangle[:unknowns], right[:unknowns], upper=True)
    else:
        found = torch.linalg.lstsq(triangle, right, rcond=rank, driver="gelsd").solution
    return Solution(found / scale.unsqueeze(1), (triangle @ found - right).square().sum().item())


def _triangle(*parts: Part) -> Part:
    """Rows with the same least squares, of which there are hardly more than columns."""
    unknowns = parts[0].matrix.shape[1]
    together = torch.cat([torch.cat([*part], dim=1) for part in parts])
    triangle = torch.linalg.qr(together, mode="r").R
    return Part(triangle[:, :unknowns], triangle[:, unknowns:])


STEPS, HALVINGS = 20, 8
"""Steps at most, and how often one is halved that doesn't lower the squares."""
ENOUGH = 1e-3
"""A step that lowers the squares by a smaller part than this was the last."""
ALIKE, LOWER = 1e-9, 0.1
"""Residuals are linear where a step from 0 that leaves less than ``LOWER`` of their squares leaves what it should, but for this
part. Near a solution all are.
"""


def gauss_newton(
    residuals: Callable[[], Float[Tensor, " rows"]],
    jacobian: Callable[[], Iterable[Part]],
    read: Callable[[], Tensor],
    write: Callable[[Tensor], None],
    linear: bool,
    rank: float = RANK,
) -> tuple[int, bool]:
    """Lower the squares of ``residuals`` from where ``read`` says the unknowns are, and ``write`` them.

    ``jacobian`` gives rows of the derivative with minus their residuals; where these are known to be ``linear`` one step is
    taken. Gives the systems that were solved, and whether the residuals have turned out to be linear.
    """
    least = residuals().square().sum().item()
    for solved in range(1, STEPS + 1):
        start, before = read(), least
        step, expected = least_squares(jacobian(), rank)
        if not step.isfinite().all() or before - expected <= ENOUGH * before:
            return solved, linear
        for halved in range(HALVINGS):
            write(start + step.view_as(start).to(start.device) / 2**halved)
            least = residuals().square().sum().item()
            if least < before:
                break
        else:
            write(start)
            return solved, linear
        if not start.any() and halved == 0 and least < LOWER * before:
            linear |= abs(least - expected) <= ALIKE * before
        if linear or before - least <= ENOUGH * before:
            return solved, linear
    return STEPS, linear
