"""Section 1.1: function approximation in one dimension."""

from __future__ import annotations

import math
from functools import partial

from harness.problems.problem import Problem, Values, register
from harness.problems.rows import Points

SECTION = ("section1_1",)
ORIGINAL = "Section 1.1 of the original benchmark (MadocCottle/pykan, 2025)"
TOY_FUNCTIONS = (
    "in the manner of Liu et al. 2024, KAN: Kolmogorov-Arnold Networks, arXiv:2404.19756, section 3.1 (toy functions)"
)


def sine(x: Points, frequency: int) -> Values:
    """sin(2 pi k x)."""
    return (2 * math.pi * frequency * x).sin()


def sine_gradient(x: Points, frequency: int) -> Points:
    """2 pi k cos(2 pi k x)."""
    return 2 * math.pi * frequency * (2 * math.pi * frequency * x).cos()


for k in range(1, 6):
    register(
        Problem(
            name=f"sin_freq{k}",
            dimension=1,
            target=partial(sine, frequency=k),
            gradient=partial(sine_gradient, frequency=k),
            formula=f"sin({2 * k} pi x)",
            sections=SECTION,
            citation=f"{ORIGINAL}, {TOY_FUNCTIONS}",
        )
    )


def piecewise(x: Points) -> Values:
    """Four constant pieces with jumps at 0.3, 0.6 and 0.8."""
    import torch

    edges = x.new_tensor([0.3, 0.6, 0.8])
    levels = x.new_tensor([-0.5, 0.3, 1.0, -0.2])
    return levels[torch.bucketize(x, edges, right=True)]


def piecewise_gradient(x: Points) -> Points:
    """0, but for the jumps."""
    return x.new_zeros(x.shape)


register(
    Problem(
        name="piecewise",
        dimension=1,
        target=piecewise,
        gradient=piecewise_gradient,
        formula="-0.5 for x < 0.3; 0.3 for x < 0.6; 1.0 for x < 0.8; else -0.2",
        sections=SECTION,
        citation=ORIGINAL,
        smooth=False,
    )
)


def sawtooth(x: Points) -> Values:
    """Eight teeth on [-1, 1], each rising from 0 to 1."""
    return x.remainder(0.25) / 0.25


def sawtooth_gradient(x: Points) -> Points:
    """The slope of a tooth, 4, almost everywhere."""
    return x.new_full(x.shape, 4.0)


register(
    Problem(
        name="sawtooth",
        dimension=1,
        target=sawtooth,
        gradient=sawtooth_gradient,
        formula="(x mod 0.25) / 0.25",
        sections=SECTION,
        citation=ORIGINAL,
        smooth=False,
    )
)


def polynomial(x: Points) -> Values:
    """x^3 - 2 x^2 + x."""
    return x**3 - 2 * x**2 + x


def polynomial_gradient(x: Points) -> Points:
    """3 x^2 - 4 x + 1."""
    return 3 * x**2 - 4 * x + 1


register(
    Problem(
        name="polynomial",
        dimension=1,
        target=polynomial,
        gradient=polynomial_gradient,
        formula="x^3 - 2 x^2 + x",
        sections=SECTION,
        citation=f"{ORIGINAL}, {TOY_FUNCTIONS}",
    )
)
