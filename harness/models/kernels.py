"""The loops of cubic spline layers, compiled by numba: one pass over the points forward, one back.

What :mod:`harness.models.piecewise` says in operations on whole tensors, each of which reads and writes memory, is here one
loop. In its interval an edge is ``c0 + c1 u + c2 u^2 + c3 u^3 + base silu(x)``; the coefficients of all edges that leave an
input stand side by side, so that the innermost loops run over the outputs. Blocks of points keep what is summed in cache.
Arrays are of one floating type, C-contiguous, and shaped as said; ``where`` counts the intervals of all inputs. What is
read point by point of one input has the points as its last dimension.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from harness.models.piecewise import BINS

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., None])

DEGREE = 3
BLOCK = 256
"""Points of a block: the sums of 64 outputs take 64 kB."""


def _compiled(function: F) -> F:
    """Compiled at the first call with a type, and kept on disk where a folder can be written.

    Sums may be taken in another order and products be fused with them, by the compiler and always the same way; NaN and
    infinities are those of IEEE 754.
    """
    function = cast(F, inspect.unwrap(function))  # as it stands here, not what a checker of annotations makes of it
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder for it
        return cast(F, numba.njit(**options)(function))


@_compiled
def locate(
    x: Array,
    sigmoid: Array,
    low: Array,
    scale: Array,
    first: Array,
    upper: Array,
    start: Array,
    inverse: Array,
    where: Array,
    u: Array,
    base: Array,
    slope: Array,
) -> None:
    """What is known of points in the inputs of a layer, each ``(inputs, points)``, and written into the last four.

    The interval and the local coordinate there (see :class:`harness.models.piecewise.Bins`), silu and its slope. An
    infinity gets an outer interval, where its coordinate is NaN, and so does a NaN.
    """
    points, inputs = x.shape
    zero, one, most = x.dtype.type(0), x.dtype.type(1), x.dtype.type(BINS + 1)
    for block in range(0, points, BLOCK):
        for i in range(inputs):
            for p in range(block, min(block + BLOCK, points)):
                value, s = x[p, i], sigmoid[p, i]
                base[i, p] = value * s
                slope[i, p] = s + value * s * (one - s)
                position = (value - low[i, 0]) * scale[i, 0] + one
                number = int(position if position < most else most) if position > zero else 0
                interval = first[i * (BINS + 2) + number]
                while value >= upper[interval] and upper[interval] < np.inf:
                    interval += 1
                where[i, p] = interval
                u[i, p] = (value - start[interval]) * inverse[interval]


@_compiled
def combine(
    coef: Array, scale_base: Array, scale_sp: Array, mask: Array, polynomials: Array, c: Array, base: Array
) -> None:
    """From parameters to the coefficients ``(inputs*intervals, 4, outputs)`` of u^0 to u^3, and of silu ``(inputs, outputs)``."""
    inputs, outputs, splines = coef.shape
    intervals = polynomials.shape[3]
    weights = np.zeros((splines + 2 * (DEGREE + 1), outputs), coef.dtype)  # with zeros where there is no spline
    for i in range(inputs):
        for o in range(outputs):
            base[i, o] = scale_base[i, o] * mask[i, o]
            factor = scale_sp[i, o] * mask[i, o]
            for s in range(splines):
                weights[s + DEGREE + 1, o] = coef[i, o, s] * factor
        for j in range(intervals):
            for power in range(DEGREE + 1):
                row = c[i * intervals + j, power]
                row[:] = 0
                for s in range(DEGREE + 1):
                    part = polynomials[power, 0, i, j, s]
                    weight = weights[j + s]
                    for o in range(outputs):
                        row[o] += part * weight[o]


@_compiled
def separate(
    moments: Array,
    of_base: Array,
    coef: Array,
    scale_sp: Array,
    mask: Array,
    polynomials: Array,
    of_coef: Array,
    of_scale_base: Array,
    of_scale_sp: Array,
) -> None:
    """The way back of :func:`combine`: from derivatives in the coefficients to those in the parameters."""
    inputs, outputs, splines = coef.shape
    intervals = polynomials.shape[3]
    weights = np.empty((splines + 2 * (DEGREE + 1), outputs), coef.dtype)
    for i in range(inputs):
        weights[:] = 0
        for j in range(intervals):
            for power in range(DEGREE + 1):
                row = moments[i * intervals + j, power]
                for s in range(DEGREE + 1):
                    part = polynomials[power, 0, i, j, s]
                    weight = weights[j + s]
                    for o in range(outputs):
                        weight[o] += part * row[o]
        for o in range(outputs):
            of_scale_base[i, o] = of_base[i, o] * mask[i, o]
            total = of_base.dtype.type(0)
            for s in range(splines):
                masked = weights[s + DEGREE + 1, o] * mask[i, o]
                of_coef[i, o, s] = masked * scale_sp[i, o]
                total += masked * coef[i, o, s]
            of_scale_sp[i, o] = total


@_compiled
def _add_outputs(where: Array, u: Array, base: Array, c: Array, of_base: Array, y: Array) -> None:
    points, outputs = y.shape
    for p in range(points):
        t, b = u[p], base[p]
        t2 = t * t
        t3 = t2 * t
        rows = c[where[p]]
        c0, c1, c2, c3 = rows[0], rows[1], rows[2], rows[3]
        sums = y[p]
        for o in range(outputs):
            sums[o] += c0[o] + t * c1[o] + t2 * c2[o] + t3 * c3[o] + b * of_base[o]


@_compiled
def forward(where: Array, u: Array, base: Array, c: Array, of_base: Array, y: Array) -> None:
    """The sums of the edges, ``(points, outputs)``. ``base`` is silu at the points, ``of_base`` its coefficients."""
    inputs, points = u.shape
    y[:] = 0
    for p in range(0, points, BLOCK):
        for i in range(inputs):
            _add_outputs(
                where[i, p : p + BLOCK], u[i, p : p + BLOCK], base[i, p : p + BLOCK], c, of_base[i], y[p : p + BLOCK]
            )


@_compiled
def _add_moments(where: Array, u: Array, base: Array, grad: Array, moments: Array, of_base: Array) -> None:
    points, outputs = grad.shape
    for p in range(points):
        t, b = u[p], base[p]
        t2 = t * t
        t3 = t2 * t
        rows, g = moments[where[p]], grad[p]
        m0, m1, m2, m3 = rows[0], rows[1], rows[2], rows[3]
        # A loop each: with five sums in one the compiler can't tell that they don't overlap, and takes number by number.
        for o in range(outputs):
            m0[o] += g[o]
        for o in range(outputs):
            m1[o] += t * g[o]
        for o in range(outputs):
            m2[o] += t2 * g[o]
        for o in range(outputs):
            m3[o] += t3 * g[o]
        for o in range(outputs):
            of_base[o] += b * g[o]


@_compiled
def _slopes(
    where: Array, u: Array, slope: Array, inverse: Array, grad: Array, c: Array, of_base: Array, out: Array
) -> None:
    points, outputs = grad.shape
    zero, two, three = u.dtype.type(0), u.dtype.type(2), u.dtype.type(3)
    for p in range(points):
        t, d, j = u[p], slope[p], where[p]
        e1 = inverse[j]
        e2 = two * t * e1
        e3 = three * t * t * e1
        rows, g = c[j], grad[p]
        c1, c2, c3 = rows[1], rows[2], rows[3]
        total = zero
        for o in range(outputs):
            total += g[o] * (e1 * c1[o] + e2 * c2[o] + e3 * c3[o] + d * of_base[o])
        out[p] = total


@_compiled
def backward(
    where: Array,
    u: Array,
    base: Array,
    slope: Array,
    inverse: Array,
    c: Array,
    of_base: Array,
    grad: Array,
    moments: Array,
    moments_of_base: Array,
    of_x: Array,
) -> None:
    """From derivatives in the sums, ``grad``, to those in the coefficients and, unless ``of_x`` is empty, in the points.

    ``slope`` is that of silu at the points.
    """
    inputs, points = u.shape
    moments[:] = 0
    moments_of_base[:] = 0
    for p in range(0, points, BLOCK):
        g = grad[p : p + BLOCK]
        for i in range(inputs):
            at, t = where[i, p : p + BLOCK], u[i, p : p + BLOCK]
            _add_moments(at, t, base[i, p : p + BLOCK], g, moments, moments_of_base[i])
            if of_x.size:
                _slopes(at, t, slope[i, p : p + BLOCK], inverse, g, c, of_base[i], of_x[p : p + BLOCK, i])
