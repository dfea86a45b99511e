"""Section toy: the five functions with which the KAN paper shows how errors fall with the size of the grid.

Liu et al. 2024, section 3.1. The paper does not tell the ranges; those here, [-1, 1], are the default of pykan, which its
examples of the same functions use.
"""

from __future__ import annotations

import math
from functools import partial

from harness.problems.expression import of_formula
from harness.problems.problem import Problem, Values, register
from harness.problems.rows import Points

SECTIONS = ("toy",)
KAN_PAPER = "Liu et al. 2024, KAN: Kolmogorov-Arnold Networks, arXiv:2404.19756, section 3.1 (toy functions)"
UNIT = (-1.0, 1.0)


def of_scipy(x: Points, name: str, factor: float) -> Points:
    """A function of ``scipy.special`` at 20x, times a factor. Torch's own ``bessel_j0`` is wrong by up to 4e-7 there."""
    import scipy.special
    import torch

    return factor * torch.from_numpy(getattr(scipy.special, name)(20 * x.detach().cpu().double().numpy())).to(x)


register(
    Problem(
        name="toy_bessel",
        dimension=1,
        target=partial(of_scipy, name="j0", factor=1.0),
        gradient=partial(of_scipy, name="j1", factor=-20.0),
        formula="J0(20 x)",
        sections=SECTIONS,
        citation=KAN_PAPER,
    )
)
register(
    of_formula(
        "toy_exponential",
        "exp(sin(pi * x) + y**2)",
        {"x": UNIT, "y": UNIT},
        sections=SECTIONS,
        citation=KAN_PAPER,
    )
)
register(of_formula("toy_product", "x * y", {"x": UNIT, "y": UNIT}, sections=SECTIONS, citation=KAN_PAPER))
register(
    of_formula(
        "toy_4d",
        "exp((sin(pi * (x1**2 + x2**2)) + sin(pi * (x3**2 + x4**2))) / 2)",
        {"x1": UNIT, "x2": UNIT, "x3": UNIT, "x4": UNIT},
        sections=SECTIONS,
        citation=KAN_PAPER,
    )
)


def mean_sine(x: Points) -> Values:
    """The exponential of the mean of sin^2(pi x_i / 2) over the inputs."""
    return (math.pi / 2 * x).sin().square().mean(dim=1, keepdim=True).exp()


def mean_sine_gradient(x: Points) -> Points:
    """Gradient of :func:`mean_sine`."""
    return mean_sine(x) * (math.pi / 2) * (math.pi * x).sin() / x.shape[1]


register(
    Problem(
        name="toy_100d",
        dimension=100,
        target=mean_sine,
        gradient=mean_sine_gradient,
        formula="exp((sin^2(pi x1 / 2) + ... + sin^2(pi x100 / 2)) / 100)",
        sections=SECTIONS,
        citation=KAN_PAPER,
    )
)
