"""Section special: the fifteen special functions of two inputs in the KAN paper's table.

Liu et al. 2024, section 3.2. Neither the paper nor pykan tells the ranges, nor which of the four functions that scipy's
``ellipj`` gives was learned, nor what was made of the complex spherical harmonics (pykan, issue 369, without an answer). Here
it is sn, and the real part. The ranges are ours, and keep clear of singular places: the elliptic functions have one at m = 1,
with logarithms or poles, and formulas of their slopes divide by m; x = 0 is one of all Bessel functions of an order that is no
integer, and x = -1 and 1 are of Legendre functions.

The values are scipy's, in float64 and on the CPU whatever the points are; so are the slopes, but for those in the order or
degree v, which scipy has not: they are difference quotients. The spherical harmonics of so low a degree are short formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from harness.problems.expression import of_formula
from harness.problems.problem import Problem, register
from harness.problems.rows import Points

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # as in harness.problems.rows

SECTIONS = ("special",)
KAN_PAPER = (
    "Liu et al. 2024, KAN: Kolmogorov-Arnold Networks, arXiv:2404.19756, section 3.2 (special functions); "
    "ranges by this project"
)
STEP = 2e-3
"""Of the quotients in v, of fourth order: they are good to about 1e-12 of the largest value, by rounding as by step."""

Column = Float[np.ndarray, " points"]
Function = Callable[[Column, Column], Column]


def at_points(x: Points, functions: tuple[Function, ...]) -> Float[Tensor, "points functions"]:
    """Functions of two columns of numpy's, at points: a column each, in the dtype and on the device of the points."""
    import torch

    first, second = x.detach().cpu().double().numpy().T
    return torch.from_numpy(np.stack([function(first, second) for function in functions], axis=1)).to(x)


def special(
    name: str,
    text: str,
    /,
    value: Function,
    slopes: tuple[Function, Function],
    **ranges: tuple[float, float],
) -> None:
    """Register a function with its slopes in the first and in the second input."""
    low, high = zip(*ranges.values(), strict=True)
    register(
        Problem(
            name=f"special_{name}",
            dimension=2,
            inputs=tuple(ranges),
            low=low,
            high=high,
            target=partial(at_points, functions=(value,)),
            gradient=partial(at_points, functions=slopes),
            formula=text,
            sections=SECTIONS,
            citation=KAN_PAPER,
        )
    )


def scipy(name: str, *orders: int) -> Function:
    """The function of ``scipy.special`` of that name, behind fixed ``orders``; scipy is imported when it is evaluated."""

    def function(first: Column, second: Column) -> Column:
        import scipy.special

        values: Column = getattr(scipy.special, name)(*orders, first, second)
        return values

    return function


def quotient(function: Function, v: Column, x: Column) -> Column:
    """The slope of a function in its first argument, by central differences of fourth order."""

    def difference(step: float) -> Any:
        return (function(v + step, x) - function(v - step, x)) / (2 * step)

    slope: Column = (4 * difference(STEP) - difference(2 * STEP)) / 3
    return slope


def sn(u: Column, m: Column) -> Column:
    """Jacobi's elliptic sine, of parameter m = k^2."""
    from scipy.special import ellipj

    values: Column = ellipj(u, m)[0]
    return values


def sn_in_u(u: Column, m: Column) -> Column:
    """Its slope cn dn (NIST Digital Library of Mathematical Functions, 22.13.1)."""
    from scipy.special import ellipj

    _, cn, dn, _ = ellipj(u, m)
    slope: Column = cn * dn
    return slope


def sn_in_m(u: Column, m: Column) -> Column:
    """Its slope in the parameter (Byrd and Friedman 1971, 710.51)."""
    from scipy.special import ellipeinc, ellipj

    sine, cn, dn, amplitude = ellipj(u, m)
    slope: Column = cn * ((1 - m) * dn * u - dn * ellipeinc(amplitude, m) + m * sine * cn) / (2 * m * (1 - m))
    return slope


def ellipkinc_in_phi(phi: Column, m: Column) -> Column:
    """The integrand of the incomplete integral of the first kind."""
    slope: Column = 1 / np.sqrt(1 - m * np.sin(phi) ** 2)
    return slope


def ellipkinc_in_m(phi: Column, m: Column) -> Column:
    """Its slope in the parameter (Digital Library, 19.4.5)."""
    from scipy.special import ellipeinc, ellipkinc

    edge = np.sin(2 * phi) / (4 * (1 - m) * np.sqrt(1 - m * np.sin(phi) ** 2))
    slope: Column = (ellipeinc(phi, m) / (1 - m) - ellipkinc(phi, m)) / (2 * m) - edge
    return slope


def ellipeinc_in_phi(phi: Column, m: Column) -> Column:
    """The integrand of the incomplete integral of the second kind."""
    slope: Column = np.sqrt(1 - m * np.sin(phi) ** 2)
    return slope


def ellipeinc_in_m(phi: Column, m: Column) -> Column:
    """Its slope in the parameter (Digital Library, 19.4.6)."""
    from scipy.special import ellipeinc, ellipkinc

    slope: Column = (ellipeinc(phi, m) - ellipkinc(phi, m)) / (2 * m)
    return slope


PARAMETER = (0.01, 0.99)
special("ellipj", "sn(u, m)", value=sn, slopes=(sn_in_u, sn_in_m), u=(0.0, 10.0), m=PARAMETER)
special(
    "ellipkinc",
    "ellipkinc(phi, m)",
    value=scipy("ellipkinc"),
    slopes=(ellipkinc_in_phi, ellipkinc_in_m),
    phi=(0.0, math.pi / 2),
    m=PARAMETER,
)
special(
    "ellipeinc",
    "ellipeinc(phi, m)",
    value=scipy("ellipeinc"),
    slopes=(ellipeinc_in_phi, ellipeinc_in_m),
    phi=(0.0, math.pi / 2),
    m=PARAMETER,
)
for bessel, end in (("jv", 10.0), ("yv", 10.0), ("kv", 5.0), ("iv", 5.0)):
    special(
        bessel,
        f"{bessel}(v, x)",
        value=scipy(bessel),
        slopes=(partial(quotient, scipy(bessel)), scipy(f"{bessel}p")),
        v=(0.0, 2.0),
        x=(1.0, end),
    )


def legendre_in_x(v: Column, x: Column, order: int) -> Column:
    """The slope of Ferrers' function of the first kind (Digital Library, 14.10.5)."""
    from scipy.special import lpmv

    slope: Column = ((v + 1) * x * lpmv(order, v, x) - (v - order + 1) * lpmv(order, v + 1, x)) / (1 - x**2)
    return slope


for order in range(3):
    special(
        f"lpmv_{order}",
        f"lpmv({order}, v, x)",
        value=scipy("lpmv", order),
        slopes=(partial(quotient, scipy("lpmv", order)), partial(legendre_in_x, order=order)),
        v=(0.0, 4.0),
        x=(-0.9, 0.9),
    )

# By azimuth theta and polar angle phi, as scipy's sph_harm had them, at the order m and degree n of the name.
for orders, text in (
    ("0_1", "sqrt(3 / (4 * pi)) * cos(phi)"),
    ("1_1", "-sqrt(3 / (8 * pi)) * sin(phi) * cos(theta)"),
    ("0_2", "sqrt(5 / (16 * pi)) * (3 * cos(phi)**2 - 1)"),
    ("1_2", "-sqrt(15 / (8 * pi)) * sin(phi) * cos(phi) * cos(theta)"),
    ("2_2", "sqrt(15 / (32 * pi)) * sin(phi)**2 * cos(2 * theta)"),
):
    register(
        of_formula(
            f"special_sph_harm_{orders}",
            text,
            {"theta": (0.0, 2 * math.pi), "phi": (0.0, math.pi)},
            sections=SECTIONS,
            citation=KAN_PAPER,
        )
    )
