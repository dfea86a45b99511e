"""Section irregular: kinks, jumps, infinite slopes, and oscillations that are fast or change their pace.

What bounds on smooth functions, and spectral bias, say that networks learn badly. Classes of functions as in Zeng et al.
2024; the four of Donoho and Johnstone 1994 are what wavelets have been tried on since.
"""

from __future__ import annotations

import math
from functools import partial

from harness.problems.expression import Expression, of_formula
from harness.problems.problem import Problem, Values, register
from harness.problems.rows import Points

SECTIONS = ("irregular",)
ZENG = "in the manner of Zeng et al. 2024, KAN versus MLP on irregular or noisy functions, arXiv:2408.07906"
DONOHO = "Donoho and Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81(3), table 1"
RAHAMAN = (
    "Rahaman et al. 2019, On the spectral bias of neural networks, arXiv:1806.08734, section 3 (waves from 5 to 50)"
)
WANG = "in the manner of Wang et al. 2024, On the expressiveness and spectral bias of KANs, arXiv:2410.01803"
SCHROEDER = "phases of Schroeder 1970, IEEE Transactions on Information Theory 16(1), which keep the crests low"
RUNGE = "Runge 1901, Zeitschrift fuer Mathematik und Physik 46; equidistant interpolation by polynomials diverges on it"
SIGNED = (-1.0, 1.0)


def irregular(
    name: str,
    text: str,
    /,
    citation: str = ZENG,
    steep: bool = False,
    smooth: bool = False,
    **ranges: tuple[float, float],
) -> None:
    """Register a formula. ``steep``: autograd knows no finite slope at a point of the dense grid, and 0 is taken there."""
    gradient = Expression(text, tuple(ranges)).finite_gradient if steep else None
    register(
        of_formula(
            f"irregular_{name}",
            text,
            ranges,
            gradient=gradient,
            sections=SECTIONS,
            citation=citation,
            smooth=smooth,
        )
    )


irregular("kink", "abs(x - 0.3)", x=SIGNED)
irregular("kinks", "abs(sin(3 * pi * x))", x=SIGNED)
irregular("kink_oblique", "abs(x + 2 * y - 0.3)", x=SIGNED, y=SIGNED)
irregular("jump", "sign(x - 0.3)", x=SIGNED)
irregular("jump_disk", "sign(x**2 + y**2 - 0.5)", x=SIGNED, y=SIGNED)
irregular("root", "sqrt(abs(x))", steep=True, x=SIGNED)
irregular("tenth_root", "abs(x)**0.1", steep=True, x=SIGNED)
irregular("root_2d", "sqrt(sqrt((x - 0.13)**2 + (y + 0.27)**2))", x=SIGNED, y=SIGNED)
irregular("reciprocal", "cos(1 / x)", x=(0.01, 1))
irregular("chirp", "sin(20 * pi * x**2)", x=SIGNED)
irregular("rings", "cos(10 * pi * (x**2 + y**2))", citation=WANG, x=SIGNED, y=SIGNED)
irregular("checkers", "sin(8 * pi * x) * sin(8 * pi * y)", citation=WANG, x=SIGNED, y=SIGNED)
irregular("heavisine", "4 * sin(4 * pi * x) - sign(x - 0.3) - sign(0.72 - x)", citation=DONOHO, x=(0, 1))
irregular("doppler", "sqrt(x * (1 - x)) * sin(2.1 * pi / (x + 0.05))", citation=DONOHO, steep=True, x=(0, 1))
irregular("runge", "1 / (1 + 25 * x**2)", citation=RUNGE, smooth=True, x=SIGNED)

PLACES = (0.1, 0.13, 0.15, 0.23, 0.25, 0.4, 0.44, 0.65, 0.76, 0.78, 0.81)
STEPS = (4.0, -5.0, 3.0, -4.0, 5.0, -4.2, 2.1, 4.3, -3.1, 2.1, -4.2)
HEIGHTS = (4.0, 5.0, 3.0, 4.0, 5.0, 4.2, 2.1, 4.3, 3.1, 5.1, 4.2)
WIDTHS = (0.005, 0.005, 0.006, 0.01, 0.01, 0.03, 0.01, 0.01, 0.005, 0.008, 0.005)


def blocks(x: Points) -> Values:
    """Eleven jumps by STEPS at PLACES."""
    return ((1 + (x - x.new_tensor(PLACES)).sign()) / 2 * x.new_tensor(STEPS)).sum(dim=1, keepdim=True)


def blocks_gradient(x: Points) -> Points:
    """0, but for the jumps."""
    return x.new_zeros(x.shape)


register(
    Problem(
        name="irregular_blocks",
        dimension=1,
        target=blocks,
        gradient=blocks_gradient,
        formula="sum h(j) (1 + sign(x - t(j))) / 2 for j = 1 to 11",
        low=0.0,
        high=1.0,
        sections=SECTIONS,
        citation=DONOHO,
        smooth=False,
    )
)


def bumps(x: Points) -> Values:
    """Eleven pointed peaks of HEIGHTS and WIDTHS at PLACES."""
    away = (x - x.new_tensor(PLACES)).abs() / x.new_tensor(WIDTHS)
    return (x.new_tensor(HEIGHTS) * (1 + away) ** -4).sum(dim=1, keepdim=True)


register(
    Problem(
        name="irregular_bumps",
        dimension=1,
        target=bumps,
        formula="sum h(j) / (1 + abs(x - t(j)) / w(j))^4 for j = 1 to 11",
        low=0.0,
        high=1.0,
        sections=SECTIONS,
        citation=DONOHO,
        smooth=False,
    )
)


def waves(x: Points, first: int, count: int) -> Values:
    """``count`` sines of amplitude 1 and the frequencies ``first``, 2 ``first``, ..., with Schroeder's phases."""
    import torch

    number = torch.arange(1, count + 1, dtype=x.dtype, device=x.device)
    return (2 * math.pi * first * number * x + math.pi / count * number**2).sin().sum(dim=1, keepdim=True)


for first, count, source in ((5, 10, RAHAMAN), (1, 50, WANG)):
    register(
        Problem(
            name=f"irregular_waves_{count}",
            dimension=1,
            target=partial(waves, first=first, count=count),
            formula=f"sum sin({2 * first} pi k x + pi k^2 / {count}) for k = 1 to {count}",
            low=0.0,
            high=1.0,
            sections=SECTIONS,
            citation=f"{source}; {SCHROEDER}",
            smooth=False,
        )
    )
