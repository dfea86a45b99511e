"""The loops of spline layers, compiled by numba: one pass over the points forward, one back.

What :mod:`harness.models.piecewise` says in operations on whole tensors, each of which reads and writes memory, is here one
loop. In its interval an edge is ``c0 + c1 u + ... + ck u^k + base silu(x)``: k + 2 coefficients, the last of them the same in
all intervals. Those of all edges that leave an input stand side by side, so that the innermost loops run over the outputs.
Blocks of points keep what is summed in cache. Arrays are of one floating type and shaped as said; coefficients, their moments,
sums and derivatives in these are C-contiguous. ``where`` counts the intervals of all inputs, without a sign, so that no index
has to be asked whether it counts from the end. What is read point by point of one input has the points as its last dimension.

The innermost loops (:func:`_add_edges`, :func:`_add_moments`, :func:`_slope`) are written in the instructions of LLVM. What it
makes of loops in Python asks first whether arrays overlap, and then takes 32 numbers at a time or one by one: with the 5 or
10 outputs of most layers that took twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core.types import void
from numpy.typing import NDArray

from harness.models.compiling import compiled, instructions

Array = NDArray[Any]

Powers = tuple[int, ...]
"""0 to k. A tuple's length is part of its type, so the loops over it are compiled for each k, and unrolled."""

BLOCK = 256
"""Points of a block: the sums of 64 outputs take 64 kB."""
LINE = 64
"""Bytes of the widest lanes, which are those of a line of cache; LLVM makes of them what the processor has."""
INT = ir.IntType(32)

FASTMATH = ("contract", "reassoc", "nsz")
"""Sums may be taken in another order, and products be fused with them."""

_compiled = compiled(*FASTMATH)


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
    bins = len(first) // inputs
    zero, one, most = x.dtype.type(0), x.dtype.type(1), x.dtype.type(bins - 1)
    for i in range(inputs):
        of_bins, row = first[i * bins : (i + 1) * bins], where[i]
        for p in range(points):  # by itself, so that the compiler takes several points at once
            position = (x[i, p] - low[i, 0]) * scale[i, 0] + one
            position = position if position > zero else zero
            row[p] = np.uint32(position if position < most else most)
        for p in range(points):
            value, interval = x[i, p], np.uint64(of_bins[row[p]])
            while value >= upper[interval] and upper[interval] < np.inf:
                interval += np.uint64(1)
            row[p] = interval
            u[i, p] = (value - start[interval]) * inverse[interval]


@_compiled
def combine(
    powers: Powers, coef: Array, scale_base: Array, scale_sp: Array, mask: Array, polynomials: Array, c: Array
) -> None:
    """From parameters to the coefficients of u^0 to u^k and silu, ``(inputs*intervals, k+2, outputs)``."""
    inputs, outputs, splines = coef.shape
    intervals = polynomials.shape[3]
    terms = len(powers)
    weights = np.zeros((splines + 2 * terms, outputs), coef.dtype)  # with zeros where there is no spline
    for i in range(inputs):
        for o in range(outputs):
            factor = scale_sp[i, o] * mask[i, o]
            for s in range(splines):
                weights[s + terms, o] = coef[i, o, s] * factor
        for j in range(intervals):
            rows = c[i * intervals + j]
            for power in range(terms):
                row = rows[power]
                row[:] = 0
                for s in range(terms):
                    part = polynomials[power, 0, i, j, s]
                    weight = weights[j + s]
                    for o in range(outputs):
                        row[o] += part * weight[o]
            for o in range(outputs):
                rows[terms, o] = scale_base[i, o] * mask[i, o]


@_compiled
def separate(
    powers: Powers,
    moments: Array,
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
        of_scale_base[i] = 0
        for j in range(intervals):
            rows = moments[i * intervals + j]
            for power in range(terms):
                row = rows[power]
                for s in range(terms):
                    part = polynomials[power, 0, i, j, s]
                    weight = weights[j + s]
                    for o in range(outputs):
                        weight[o] += part * row[o]
            for o in range(outputs):
                of_scale_base[i, o] += rows[terms, o] * mask[i, o]
        for o in range(outputs):
            total = coef.dtype.type(0)
            for s in range(splines):
                masked = weights[s + terms, o] * mask[i, o]
                of_coef[i, o, s] = masked * scale_sp[i, o]
                total += masked * coef[i, o, s]
            of_scale_sp[i, o] = total


class _Lanes(NamedTuple):
    """Neighbouring outputs that one instruction takes, while a loop over all of them is written."""

    builder: Any
    number: Any
    """The type of one."""
    width: int
    first: Any
    """The first of them."""

    def load(self, row: Any) -> Any:
        """Of an array that begins at ``row``."""
        return self.builder.load(self._place(row), align=_bytes(self.number))

    def store(self, values: Any, row: Any) -> None:
        """Into such an array."""
        self.builder.store(values, self._place(row), align=_bytes(self.number))

    def add(self, a: Any, b: Any) -> Any:
        """The sums of values."""
        return self.builder.fadd(a, b, flags=FASTMATH)

    def multiply(self, a: Any, b: Any) -> Any:
        """The products of values; ``a`` may be one number."""
        if a.type == self.number:
            first, nothing = ir.Constant(INT, 0), ir.Constant(self._vector(), ir.Undefined)
            everywhere = ir.Constant(ir.VectorType(INT, self.width), [0] * self.width)
            a = self.builder.shuffle_vector(self.builder.insert_element(nothing, a, first), nothing, everywhere)
        return self.builder.fmul(a, b, flags=FASTMATH)

    def total(self, values: Any) -> Any:
        """The sum over the outputs."""
        name = f"llvm.vector.reduce.fadd.v{self.width}f{8 * _bytes(self.number)}"
        kind = ir.FunctionType(self.number, [self.number, self._vector()])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(self.number, -0.0), values], fastmath=FASTMATH)

    def _place(self, row: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(row, [self.first]), self._vector().as_pointer())

    def _vector(self) -> Any:
        return ir.VectorType(self.number, self.width)


def _bytes(number: Any) -> int:
    return 4 if number == ir.FloatType() else 8


def _by_lanes(builder: Any, number: Any, outputs: Any, write: Callable[[_Lanes], None]) -> None:
    """A loop over the widest lanes, and once half, a quarter, ... of them for what is left of the outputs."""
    kind, width = outputs.type, LINE // _bytes(number)
    zero, whole = ir.Constant(kind, 0), builder.and_(outputs, ir.Constant(kind, -width))
    with cgutils.for_range_slice(builder, zero, whole, ir.Constant(kind, width), kind) as (first, _):
        write(_Lanes(builder, number, width, first))
    while width > 1:
        before = builder.and_(outputs, ir.Constant(kind, -width))
        width //= 2
        some = builder.icmp_unsigned("!=", builder.and_(outputs, ir.Constant(kind, width)), zero)
        with builder.if_then(some):
            write(_Lanes(builder, number, width, before))


def _addressable(number: Any, *arrays: Any) -> bool:
    """Whether rows of these can be read by their addresses, as such numbers."""
    return all(each.dtype == number and each.layout == "C" and each.aligned for each in arrays)


def _array(context: Any, builder: Any, kind: Any, value: Any) -> tuple[Any, Any]:
    """Where an array begins, and how many numbers its rows have."""
    made = context.make_array(kind)(context, builder, value)
    return made.data, cgutils.unpack_tuple(builder, made.shape, kind.ndim)[-1]


def _rows(builder: Any, first: Any, outputs: Any, count: int) -> list[Any]:
    """Where the rows of a matrix begin."""
    return [builder.gep(first, [builder.mul(outputs, ir.Constant(outputs.type, row))]) for row in range(count)]


def _monomials(builder: Any, u: Any, count: int) -> list[Any]:
    """1, u, u^2, ..."""
    found = [ir.Constant(u.type, 1.0)]
    while len(found) < count:
        found.append(builder.fmul(found[-1], u, flags=FASTMATH))
    return found[:count]


@instructions
def _add_edges(typing: Any, powers: Any, u: Any, base: Any, rows: Any, sums: Any) -> Any:
    """Add the edges that leave an input, at a point, to ``sums``; ``rows`` are their coefficients, ``(k+2, outputs)``."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, at, silu, *arrays = values
        (first, outputs), (out, _) = (
            _array(context, builder, *each) for each in zip((rows, sums), arrays, strict=True)
        )
        factors = [*_monomials(builder, at, len(powers)), silu]
        coefficients = _rows(builder, first, outputs, len(factors))

        def write(lanes: _Lanes) -> None:
            total = lanes.load(out)
            for factor, row in zip(factors, coefficients, strict=True):
                total = lanes.add(total, lanes.multiply(factor, lanes.load(row)))
            lanes.store(total, out)

        _by_lanes(builder, at.type, outputs, write)
        return context.get_dummy_value()

    return (void(powers, u, base, rows, sums), code) if base == u and _addressable(u, rows, sums) else None


@instructions
def _add_moments(typing: Any, powers: Any, u: Any, base: Any, grad: Any, rows: Any) -> Any:
    """Add derivatives in the coefficients of these edges to ``rows``; ``grad`` are those in their sums."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, at, silu, *arrays = values
        (g, outputs), (first, _) = (_array(context, builder, *each) for each in zip((grad, rows), arrays, strict=True))
        factors = [*_monomials(builder, at, len(powers)), silu]
        moments = _rows(builder, first, outputs, len(factors))

        def write(lanes: _Lanes) -> None:
            of_sums = lanes.load(g)
            for factor, row in zip(factors, moments, strict=True):
                lanes.store(lanes.add(lanes.load(row), lanes.multiply(factor, of_sums)), row)

        _by_lanes(builder, at.type, outputs, write)
        return context.get_dummy_value()

    return (void(powers, u, base, grad, rows), code) if base == u and _addressable(u, grad, rows) else None


@instructions
def _slope(typing: Any, powers: Any, u: Any, slope: Any, inverse: Any, grad: Any, rows: Any) -> Any:
    """The derivative in the input, from those in the sums. ``slope`` is that of silu, ``inverse`` du / dx."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, at, of_silu, of_u, *arrays = values
        (g, outputs), (first, _) = (_array(context, builder, *each) for each in zip((grad, rows), arrays, strict=True))
        # d/dx of 1, u, u^2, ... and of silu; that of 1 is 0, and left out.
        factors = []
        for q, power in enumerate(_monomials(builder, at, len(powers) - 1), start=1):
            part = builder.fmul(ir.Constant(at.type, float(q)), power, flags=FASTMATH)
            factors.append(builder.fmul(part, of_u, flags=FASTMATH))
        coefficients = _rows(builder, first, outputs, len(powers) + 1)[1:]
        total = cgutils.alloca_once_value(builder, ir.Constant(at.type, 0.0))

        def write(lanes: _Lanes) -> None:
            edges = lanes.multiply(of_silu, lanes.load(coefficients[-1]))
            for factor, row in zip(factors, coefficients[:-1], strict=True):
                edges = lanes.add(edges, lanes.multiply(factor, lanes.load(row)))
            part = lanes.total(lanes.multiply(edges, lanes.load(g)))
            builder.store(builder.fadd(builder.load(total), part, flags=FASTMATH), total)

        _by_lanes(builder, at.type, outputs, write)
        return builder.load(total)

    fits = slope == inverse == u and _addressable(u, grad, rows)
    return (u(powers, u, slope, inverse, grad, rows), code) if fits else None


@_compiled
def forward(powers: Powers, where: Array, u: Array, base: Array, c: Array, y: Array) -> None:
    """The sums of the edges, ``(points, outputs)``; ``base`` is silu at the points."""
    inputs, points = u.shape
    y[:] = 0
    for start in range(0, points, BLOCK):
        for i in range(inputs):
            for p in range(start, min(start + BLOCK, points)):
                _add_edges(powers, u[i, p], base[i, p], c[where[i, p]], y[p])


@_compiled
def backward(
    powers: Powers,
    where: Array,
    u: Array,
    base: Array,
    slope: Array,
    inverse: Array,
    c: Array,
    grad: Array,
    moments: Array,
    of_x: Array,
) -> None:
    """From derivatives in the sums, ``grad``, to those in the coefficients and, unless ``of_x`` is empty, in the points.

    ``slope`` is that of silu at the points. Raises ValueError for a ``grad`` of another shape than that of the sums.
    """
    inputs, points = u.shape
    if grad.shape != (points, c.shape[2]):
        raise ValueError("The derivatives have another shape than the outputs.")
    moments[:] = 0
    for start in range(0, points, BLOCK):
        for i in range(inputs):
            for p in range(start, min(start + BLOCK, points)):
                _add_moments(powers, u[i, p], base[i, p], grad[p], moments[where[i, p]])
                if of_x.size:
                    row = where[i, p]
                    of_x[i, p] = _slope(powers, u[i, p], slope[i, p], inverse[row], grad[p], c[row])


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
                row = where[i, p]
                of_x[i, p] = _slope(powers, u[i, p], slope[i, p], inverse[row], grad[p], c[row])


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
