"""Systems with a symmetric positive definite matrix, and the product that makes one.

On a processor numpy and scipy do it: their BLAS computes what is symmetric once, where torch has no routine for that, and its
Cholesky factorisation of a matrix of 250 takes half the time of torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from scipy.linalg.lapack import get_lapack_funcs
from threadpoolctl import threadpool_limits
from torch import Tensor

threadpool_limits(torch.get_num_threads())  # scipy has a BLAS of its own, which comes with the import above

Matrix = Float[Tensor, "n n"]
Column = Float[Tensor, " n"]


def gram(j: Float[Tensor, "rows columns"]) -> Float[Tensor, "columns columns"]:
    """J^T J. numpy gives the product of a matrix with its own transpose to the routine of BLAS that computes what is symmetric
    once (syrk); torch has none.
    """
    if not j.is_cpu:
        return j.T @ j
    columns = j.T.numpy()
    return torch.from_numpy(columns @ columns.T)


def solver(matrix: Matrix, mu: float) -> Callable[[Column], Column] | None:
    """What solves systems with ``matrix + mu I``, by its Cholesky factor; None when that is not positive definite in floating
    point. With one of NaN every solution is NaN.
    """
    if not matrix.sum().isfinite():  # as its entries, in a tenth of the time
        return partial(torch.full_like, fill_value=math.nan)
    return _by_scipy(matrix, mu) if matrix.is_cpu else _by_torch(matrix, mu)


def _by_scipy(matrix: Matrix, mu: float) -> Callable[[Column], Column] | None:
    damped = matrix.numpy().copy()
    damped.flat[:: len(damped) + 1] += mu
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), dtype=damped.dtype)
    factor, failed = potrf(
        damped.T, lower=True, clean=False, overwrite_a=True
    )  # LAPACK has columns where numpy has rows
    if failed:
        return None
    return lambda right: torch.from_numpy(potrs(factor, right.numpy(), lower=True)[0])


def _by_torch(matrix: Matrix, mu: float) -> Callable[[Column], Column] | None:
    damped = matrix.clone()
    damped.diagonal().add_(mu)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if failed.item():
        return None
    return lambda right: torch.cholesky_solve(right.unsqueeze(1), factor).squeeze(1)
