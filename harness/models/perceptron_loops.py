"""All layers of a perceptron, there and back, in one compiled function each.

Points go in blocks, through all layers while they are in cache; products of matrices are those of scipy's BLAS. Arrays are
of one floating type, flat where nothing else is said, and C-contiguous; a layer has its weights ``(outputs, inputs)`` and
then its biases. What is kept for the way back has the hidden layers one after the other, each ``(points, units)``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.models.activations import FINER, GABOR, GAUSSIAN, RELU, SILU, TANH
from harness.models.compiling import compiled
from harness.models.elementary_loops import (
    FAR,
    SINGLE,
    bell_at,
    silu_at,
    silu_single_at,
    sine_and_cosine_at,
    tanh_at,
)

Array = NDArray[Any]

BLOCK = 256
"""Points of a block: 64 units of it take 128 kB."""


@compiled("contract", inline=True)
def _wave(kind: int, a: float, b: float, z: Array, value: Array, slope: Array) -> None:
    """``SINE``, ``FINER`` and ``GABOR``."""
    bend = a if kind == FINER else 0.0
    far = np.int64(0)
    for i in range(z.size):
        phase = (a + bend * abs(z[i])) * z[i]
        far |= np.int64(abs(phase) > FAR)
        value[i], slope[i] = sine_and_cosine_at(phase)
    if far:
        for i in range(z.size):
            phase = (a + bend * abs(z[i])) * z[i]
            value[i], slope[i] = math.sin(phase), math.cos(phase)
    if kind == GABOR:
        for i in range(z.size):
            bell = bell_at(z[i], b * b)
            odd, even = value[i] * bell, slope[i] * bell
            value[i], slope[i] = even, -2.0 * b * b * z[i] * even - a * odd
    else:
        for i in range(z.size):
            slope[i] *= a + 2.0 * bend * abs(z[i])


@compiled("contract", inline=True)
def _activate(kind: int, a: float, b: float, z: Array, value: Array, slope: Array) -> None:
    """The activation of each of ``z``, and its derivative but for those that :func:`_back` has from the value."""
    if kind == TANH:
        for i in range(z.size):
            value[i] = tanh_at(z[i])
    elif kind == RELU:
        for i in range(z.size):
            value[i] = z.dtype.type(0) if z[i] < 0 else z[i]
    elif kind == SILU and z.itemsize == SINGLE:
        for i in range(z.size):
            value[i], slope[i] = silu_single_at(z[i])
    elif kind == SILU:
        for i in range(z.size):
            value[i], slope[i] = silu_at(z[i])
    elif kind == GAUSSIAN:
        scale = 0.5 / (a * a)
        for i in range(z.size):
            bell = bell_at(z[i], scale)
            value[i], slope[i] = bell, -2.0 * scale * z[i] * bell
    else:
        _wave(kind, a, b, z, value, slope)


@compiled("contract", inline=True)
def _back(kind: int, grad: Array, value: Array, slope: Array) -> None:
    """``grad`` times the derivative of the activation."""
    if kind == TANH:
        for i in range(grad.size):
            grad[i] *= grad.dtype.type(1) - value[i] * value[i]
    elif kind == RELU:
        for i in range(grad.size):
            grad[i] = grad.dtype.type(0) if value[i] <= 0 else grad[i]
    else:
        for i in range(grad.size):
            grad[i] *= slope[i]


@compiled("contract")
def forward(
    x: Array,
    sizes: Array,
    widest: int,
    kinds: Array,
    numbers: Array,
    parameters: Array,
    values: Array,
    slopes: Array,
    y: Array,
) -> None:
    """The outputs ``y`` of layers of these sizes at ``x``, both ``(points, ...)``. Empty ``values`` keep nothing."""
    layers, most = sizes.size - 1, BLOCK * widest
    z, unkept = np.empty(most, x.dtype), np.empty((3, most), x.dtype)
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        count = stop - start
        h, of_layer, of_units = x[start:stop], 0, 0
        for layer in range(layers):
            ins, outs = sizes[layer], sizes[layer + 1]
            weight = parameters[of_layer : of_layer + outs * ins].reshape(outs, ins)
            of_layer += outs * (ins + 1)
            bias = parameters[of_layer - outs : of_layer]
            product = y[start:stop] if layer == layers - 1 else z[: count * outs].reshape(count, outs)
            np.dot(h, weight.T, product)
            for p in range(count):
                for o in range(outs):
                    product[p, o] += bias[o]
            if layer < layers - 1:
                value, slope = unkept[layer % 2, : count * outs], unkept[2, : count * outs]
                own = of_units + start * outs
                of_units += len(x) * outs
                if values.size:
                    value = values[own : own + count * outs]
                if slopes.size:
                    slope = slopes[own : own + count * outs]
                _activate(kinds[layer], numbers[layer, 0], numbers[layer, 1], product.reshape(-1), value, slope)
                h = value.reshape(count, outs)


@compiled("contract")
def backward(
    x: Array,
    sizes: Array,
    widest: int,
    kinds: Array,
    parameters: Array,
    values: Array,
    slopes: Array,
    of_y: Array,
    found: Array,
) -> None:
    """From derivatives in the outputs, ``(points, outputs)``, to those in the parameters. Raises ValueError for another shape."""
    layers = sizes.size - 1
    if of_y.shape != (len(x), sizes[layers]):
        raise ValueError("The derivatives have another shape than the outputs.")
    adjoints, products = np.empty((2, BLOCK * widest), x.dtype), np.empty(widest * widest, x.dtype)
    found[:] = 0
    for start in range(0, len(x), BLOCK):
        stop = min(start + BLOCK, len(x))
        count = stop - start
        grad, of_layer, of_units = of_y[start:stop], parameters.size, values.size
        for layer in range(layers - 1, -1, -1):
            ins, outs = sizes[layer], sizes[layer + 1]
            of_bias = found[of_layer - outs : of_layer]
            of_layer -= outs * (ins + 1)
            for p in range(count):
                for o in range(outs):
                    of_bias[o] += grad[p, o]
            h = x[start:stop]
            if layer > 0:
                of_units -= len(x) * ins
                own = of_units + start * ins
                h = values[own : own + count * ins].reshape(count, ins)
            np.dot(grad.T, h, products[: outs * ins].reshape(outs, ins))
            for i in range(outs * ins):
                found[of_layer + i] += products[i]
            if layer > 0:
                weight = parameters[of_layer : of_layer + outs * ins].reshape(outs, ins)
                before = adjoints[layer % 2, : count * ins]
                np.dot(grad, weight, before.reshape(count, ins))
                slope = slopes[own : own + count * ins] if slopes.size else before
                _back(kinds[layer - 1], before, h.reshape(-1), slope)
                grad = before.reshape(count, ins)
