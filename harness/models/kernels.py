"""The loops of spline layers, compiled by numba: one pass over the points forward, one back.

What :mod:`harness.models.piecewise` says in operations on whole tensors, each of which reads and writes memory, is here one
loop. In its interval an edge is ``c0 + c1 u + ... + ck u^k + base silu(x)``; the coefficients of all edges that leave an
input stand side by side, so that the innermost loops run over the outputs. Blocks of points keep what is summed in cache.
Arrays are of one floating type, C-contiguous, and shaped as said; ``where`` counts the intervals of all inputs. What is
read point by point of one input has the points as its last dimension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.models.compiling import compiled
from harness.models.piecewise import BINS

Array = NDArray[Any]

Powers = tuple[int, ...]
"""0 to k. A tuple's length is part of its type, so the loops over it are compiled for each k, and unrolled."""

BLOCK = 256
"""Points of a block: the sums of 64 outputs take 64 kB."""

FASTMATH = ("contract", "reassoc", "nsz")
"""Sums may be taken in another order, and products be fused with them."""

_compiled = compiled(*FASTMATH)
_inline = compiled(*FASTMATH, inline=True)


@_compiled
def locate(
    x: Array,
    low: Array,
    scale: Array,
    first: Array,
    upper: Array,
    start: Array,
    inverse: Array,
    where: Array,
    u: Array,
) -> None:
    """The interval and the local coordinate there of points in the inputs of a layer, each ``(inputs, points)``, written into the
    last two (see :class:`harness.models.piecewise.Bins`). An infinity gets an outer interval, where its coordinate is NaN, and so
    does a NaN.
    """
    inputs, points = x.shape
    zero, one, most = x.dtype.type(0), x.dtype.type(1), x.dtype.type(BINS + 1)
    for i in range(inputs):
        for p in range(points):
            value = x[i, p]
            position = (value - low[i, 0]) * scale[i, 0] + one
            number = int(position if position < most else most) if position > zero else 0
            interval = first[i * (BINS + 2) + number]
            while value >= upper[interval] and upper[interval] < np.inf:
                interval += 1
            where[i, p] = interval
            u[i, p] = (value - start[interval]) * inverse[interval]


@_compiled
def combine(
    powers: Powers,
    coef: Array,
    scale_base: Array,
    scale_sp: Array,
    mask: Array,
    polynomials: Array,
    c: Array,
    base: Array,
) -> None:
    """From parameters to the coefficients of u^0 to u^k, ``(inputs*intervals, k+1, outputs)``, and of silu."""
    inputs, outputs, splines = coef.shape
    intervals = polynomials.shape[3]
    terms = len(powers)
    weights = np.zeros((splines + 2 * terms, outputs), coef.dtype)  # with zeros where there is no spline
    for i in range(inputs):
        for o in range(outputs):
            base[i, o] = scale_base[i, o] * mask[i, o]
            factor = scale_sp[i, o] * mask[i, o]
            for s in range(splines):
                weights[s + terms, o] = coef[i, o, s] * factor
        for j in range(intervals):
            for power in range(terms):
                row = c[i * intervals + j, power]
                row[:] = 0
                for s in range(terms):
                    part = polynomials[power, 0, i, j, s]
                    weight = weights[j + s]
                    for o in range(outputs):
                        row[o] += part * weight[o]


@_compiled
def separate(
    powers: Powers,
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
    terms = len(powers)
    weights = np.empty((splines + 2 * terms, outputs), coef.dtype)
    for i in range(inputs):
        weights[:] = 0
        for j in range(intervals):
            for power in range(terms):
                row = moments[i * intervals + j, power]
                for s in range(terms):
                    part = polynomials[power, 0, i, j, s]
                    weight = weights[j + s]
                    for o in range(outputs):
                        weight[o] += part * row[o]
        for o in range(outputs):
            of_scale_base[i, o] = of_base[i, o] * mask[i, o]
            total = of_base.dtype.type(0)
            for s in range(splines):
                masked = weights[s + terms, o] * mask[i, o]
                of_coef[i, o, s] = masked * scale_sp[i, o]
                total += masked * coef[i, o, s]
            of_scale_sp[i, o] = total


@_inline
def _add_outputs(powers: Powers, where: Array, u: Array, base: Array, c: Array, of_base: Array, y: Array) -> None:
    points, outputs = y.shape
    one = u.dtype.type(1)
    for p in range(points):
        rows, sums = c[where[p]], y[p]
        for o in range(outputs):
            total, power = base[p] * of_base[o], one
            for q in range(len(powers)):
                total += power * rows[q, o]
                power *= u[p]
            sums[o] += total


@_compiled
def forward(powers: Powers, where: Array, u: Array, base: Array, c: Array, of_base: Array, y: Array) -> None:
    """The sums of the edges, ``(points, outputs)``. ``base`` is silu at the points, ``of_base`` its coefficients."""
    inputs, points = u.shape
    y[:] = 0
    for p in range(0, points, BLOCK):
        sums = y[p : p + BLOCK]
        for i in range(inputs):
            at, t, b = where[i, p : p + BLOCK], u[i, p : p + BLOCK], base[i, p : p + BLOCK]
            _add_outputs(powers, at, t, b, c, of_base[i], sums)


@_inline
def _add_moments(
    powers: Powers, where: Array, u: Array, base: Array, grad: Array, moments: Array, of_base: Array
) -> None:
    points, outputs = grad.shape
    for p in range(points):
        rows, g, power = moments[where[p]], grad[p], u.dtype.type(1)
        # A loop each: with all sums in one the compiler can't tell that they don't overlap, and takes number by number.
        for q in range(len(powers)):
            row = rows[q]
            for o in range(outputs):
                row[o] += power * g[o]
            power *= u[p]
        for o in range(outputs):
            of_base[o] += base[p] * g[o]


@_inline
def _slopes(
    powers: Powers,
    where: Array,
    u: Array,
    slope: Array,
    inverse: Array,
    grad: Array,
    c: Array,
    of_base: Array,
    out: Array,
) -> None:
    points, outputs = grad.shape
    for p in range(points):
        rows, g, total = c[where[p]], grad[p], u.dtype.type(0)
        for o in range(outputs):
            edge, power = slope[p] * of_base[o], inverse[where[p]]
            for q in range(1, len(powers)):
                edge += u.dtype.type(q) * power * rows[q, o]
                power *= u[p]
            total += g[o] * edge
        out[p] = total


@_compiled
def backward(
    powers: Powers,
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
            _add_moments(powers, at, t, base[i, p : p + BLOCK], g, moments, moments_of_base[i])
            if of_x.size:
                of_silu = slope[i, p : p + BLOCK]
                _slopes(powers, at, t, of_silu, inverse, g, c, of_base[i], of_x[i, p : p + BLOCK])


@_compiled
def jacobian(
    powers: Powers,
    where: Array,
    u: Array,
    base: Array,
    slope: Array,
    inverse: Array,
    coef: Array,
    scale_sp: Array,
    mask: Array,
    polynomials: Array,
    c: Array,
    of_base: Array,
    grad: Array,
    of_coef: Array,
    of_scale_base: Array,
    of_scale_sp: Array,
    of_x: Array,
) -> None:
    """From derivatives in the sums, ``grad``, to those in the parameters at each point, the last dimension of these, and, unless
    ``of_x`` is empty, in the points. Of an edge's coefficients only k + 1 have one that is not zero.
    """
    inputs, outputs, splines = coef.shape
    points, intervals, terms = u.shape[1], polynomials.shape[3], len(powers)
    basis, zero = np.empty(terms, coef.dtype), coef.dtype.type(0)
    of_coef[:] = 0
    for i in range(inputs):
        for p in range(points):
            interval = where[i, p] - i * intervals
            for s in range(terms):
                value = zero
                for q in range(terms - 1, -1, -1):
                    value = value * u[i, p] + polynomials[q, 0, i, interval, s]
                basis[s] = value
            for o in range(outputs):
                masked, value = grad[p, o] * mask[i, o], zero
                for s in range(terms):
                    number = interval + s - terms
                    if 0 <= number < splines:
                        of_coef[i, o, number, p] = masked * scale_sp[i, o] * basis[s]
                        value += coef[i, o, number] * basis[s]
                of_scale_base[i, o, p] = masked * base[i, p]
                of_scale_sp[i, o, p] = masked * value
        if of_x.size:
            _slopes(powers, where[i], u[i], slope[i], inverse, grad, c, of_base[i], of_x[i])


@_compiled
def by_itself(powers: Powers, where: Array, u: Array, inverse: Array, c: Array, y: Array, slope: Array) -> None:
    """Edges into one output each, by themselves, and their slopes; these, like the points, ``(inputs, points)``."""
    inputs, points = u.shape
    for i in range(inputs):
        for p in range(points):
            row, total, rate = c[where[i, p]], u.dtype.type(0), u.dtype.type(0)
            for q in range(len(powers) - 1, -1, -1):
                rate = rate * u[i, p] + total
                total = total * u[i, p] + row[q, 0]
            y[i, p] = total
            slope[i, p] = rate * inverse[where[i, p]]


@_compiled
def moments_by_itself(powers: Powers, where: Array, u: Array, grad: Array, moments: Array) -> None:
    """From derivatives in these edges to those in the coefficients of u^0 to u^k."""
    inputs, points = u.shape
    moments[:] = 0
    for i in range(inputs):
        for p in range(points):
            row, power = moments[where[i, p]], grad[i, p]
            for q in range(len(powers)):
                row[q, 0] += power
                power *= u[i, p]
