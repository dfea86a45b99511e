"""Elementary functions in loops that numba compiles to vector instructions (:mod:`harness.models.elementary`).

Each reduces its argument to a short interval around zero (Cody and Waite 1980, "Software Manual for the Elementary Functions"),
and takes a polynomial there. Arrays are flat and contiguous, and an output is none of the inputs: then the compiler takes four
numbers at a time. All is computed in float64, but for silu of numbers of float32; those of others are read and written as such.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from harness.models.compiling import compiled

Array = NDArray[Any]

ROUND = 1.5 * 2.0**52
"""Added to a number it leaves the nearest integer in the last bits, so no reordering is allowed here."""
LOG2_E = 1.4426950408889634
LN2, LN2_REST = 0.6931471803691238, 1.9082149292705877e-10
TAYLOR = tuple(1 / math.factorial(n) for n in range(13, 1, -1))
"""Of (exp(r) - 1 - r) / r^2; for |r| < 0.35 the next term is below a unit in the last place."""
ROUND_SINGLE = np.float32(1.5 * 2.0**23)
LOG2_E_SINGLE = np.float32(LOG2_E)
LN2_SINGLE, LN2_REST_SINGLE = np.float32(0.693359375), np.float32(-2.12194440e-4)
MINIMAX = tuple(
    map(
        np.float32,
        (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    )
)
"""The same in single precision (Cephes' expf.c, Moshier 1992)."""
TWO_OVER_PI = 0.6366197723675814
PIECES = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
"""Of pi / 2, the first two with zeros at their ends, so that few multiples of them are exact."""
SINE = (
    1.58969099521155010221e-10,
    -2.50507602534068634195e-8,
    2.75573137070700676789e-6,
    -1.98412698298579493134e-4,
    8.33333333332248946124e-3,
    -1.66666666666666324348e-1,
)
COSINE = (
    -1.13596475577881948265e-11,
    2.08757232129817482790e-9,
    -2.75573143513906633035e-7,
    2.48015872894767294178e-5,
    -1.38888888888741095749e-3,
    4.16666666666666019037e-2,
)
"""Minimax polynomials on [-pi/4, pi/4], in the square (fdlibm's k_sin.c and k_cos.c, Sun Microsystems 1993)."""
SINGLE = 4
"""Bytes of a number of float32."""
FAR = 1e5
"""Beyond it the pieces of pi / 2 do not give the last digits any more."""


@compiled("contract", inline=True)
def _exp(x: float) -> Any:
    """A power of two and p with ``exp(x) = power p + power``, for -708 <= x < 709."""
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN2) - k * LN2_REST
    p = 0.0
    for c in numba.literal_unroll(TAYLOR):
        p = p * r + c
    p = p * (r * r) + r
    power = np.int64((np.float64(shifted).view(np.int64) << 52) + (1023 << 52)).view(np.float64)
    return power, p


@compiled("contract", inline=True)
def _exp_single(x: Any) -> Any:
    """``exp(x)`` in float32, for -87 <= x <= 87."""
    shifted = x * LOG2_E_SINGLE + ROUND_SINGLE
    k = shifted - ROUND_SINGLE
    r = (x - k * LN2_SINGLE) - k * LN2_REST_SINGLE
    p = np.float32(0)
    for c in numba.literal_unroll(MINIMAX):
        p = p * r + c
    power = np.int32((np.float32(shifted).view(np.int32) << 23) + (127 << 23)).view(np.float32)
    return power * (p * (r * r) + r) + power


@compiled("contract", inline=True)
def tanh_at(x: Any) -> Any:
    """Beyond 20 it is 1."""
    size = abs(np.float64(x))
    power, p = _exp(2.0 * (20.0 if size > 20.0 else size))
    t = power * p + (power - 1.0)  # exp - 1, to all digits
    y = t / (t + 2.0)
    return -y if x < 0 else y


@compiled("contract", inline=True)
def silu_at(x: Any) -> Any:
    """``x s`` and its derivative ``s + x s (1 - s)``, with the sigmoid s."""
    each = np.float64(x)
    away = 700.0 if each < -700.0 else -each
    away = -40.0 if away < -40.0 else away
    power, p = _exp(away)
    e = power * p + (power - 1.0) + 1.0
    s = 1.0 / (1.0 + e)
    y = each * s
    return y, s + y * (e * s)  # 1 - s, to all digits


@compiled("contract", inline=True)
def silu_single_at(x: Any) -> Any:
    """The same in float32. Beyond 87 the sigmoid is 0 and 1, or a large x times what is left of it would be something."""
    zero, one, bound = np.float32(0), np.float32(1), np.float32(87)
    each = np.float32(x)
    near = -bound if each < -bound else each
    near = bound if near > bound else near
    e = zero if each > bound else _exp_single(-near)
    s = zero if each < -bound else one / (one + e)
    y = each * s
    return y, s + y * (e * s)


@compiled("contract", inline=True)
def bell_at(x: Any, scale: float) -> Any:
    """``exp(-scale x^2)``; below 1e-307 it is 0."""
    each = np.float64(x)
    away = -scale * each * each
    near = -708.0 if away < -708.0 else away
    power, p = _exp(near)
    e = power * p + power
    return 0.0 if away < -708.0 else e


@compiled("contract", inline=True)
def sine_and_cosine_at(phase: Any) -> Any:
    """Of no use beyond ``FAR``."""
    shifted = phase * TWO_OVER_PI + ROUND
    k = shifted - ROUND
    r = ((phase - k * PIECES[0]) - k * PIECES[1]) - k * PIECES[2]
    z = r * r
    p = 0.0
    for c in numba.literal_unroll(SINE):
        p = p * z + c
    q = 0.0
    for c in numba.literal_unroll(COSINE):
        q = q * z + c
    of_r, beside = r + r * z * p, 1.0 - 0.5 * z + z * z * q
    turns = np.float64(shifted).view(np.int64)  # of pi / 2, in the last two bits
    odd = (turns & 1) != 0
    s, c = (beside, of_r) if odd else (of_r, beside)
    sine = np.int64(np.float64(s).view(np.int64) ^ ((turns & 2) << 62)).view(np.float64)
    cosine = np.int64(np.float64(c).view(np.int64) ^ (((turns + 1) & 2) << 62)).view(np.float64)
    return sine, cosine


@compiled("contract")
def tanh(x: Array, value: Array) -> None:
    """Of each."""
    for i in range(x.size):
        value[i] = tanh_at(x[i])


@compiled("contract")
def silu(x: Array, value: Array, slope: Array) -> None:
    """Of each."""
    if x.itemsize == SINGLE:
        for i in range(x.size):
            value[i], slope[i] = silu_single_at(x[i])
    else:
        for i in range(x.size):
            value[i], slope[i] = silu_at(x[i])


@compiled("contract")
def bell(x: Array, scale: float, value: Array) -> None:
    """Of each."""
    for i in range(x.size):
        value[i] = bell_at(x[i], scale)


@compiled("contract")
def sine_and_cosine(x: Array, omega: float, sine: Array, cosine: Array) -> bool:
    """Of ``omega x``; False where one of these is beyond ``FAR``: then what is written is of no use."""
    far = np.int64(0)
    for i in range(x.size):
        phase = omega * x[i]
        far |= np.int64(abs(phase) > FAR)
        sine[i], cosine[i] = sine_and_cosine_at(phase)
    return bool(far == 0)
