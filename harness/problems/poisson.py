"""Sections 1.2 and 1.3: forcings of Poisson problems, each with the exact solution that it forces.

The models learn the forcing f. ``sign * laplacian(u) = f`` ties it to the solution u, so that fitting u, or solving
for it, needs no new declaration.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

from harness.problems.problem import Problem, Values, register
from harness.problems.rows import Points

ORIGINAL = "of the original benchmark (MadocCottle/pykan, 2025)"
KAN_PAPER = "Liu et al. 2024, KAN: Kolmogorov-Arnold Networks, arXiv:2404.19756, section 3.4 (solving PDEs)"


def sine_product(amplitude: float, frequency: float) -> Callable[[Points], Values]:
    """X -> amplitude * prod_i sin(frequency x_i), in any dimension."""

    def value(x: Points) -> Values:
        return amplitude * (frequency * x).sin().prod(dim=1, keepdim=True)

    return value


def sine_product_gradient(amplitude: float, frequency: float) -> Callable[[Points], Points]:
    """Gradient of :func:`sine_product` in one or two dimensions."""

    def gradient(x: Points) -> Points:
        own = amplitude * frequency * (frequency * x).cos()
        return own if x.shape[1] == 1 else own * (frequency * x).sin().flip(1)

    return gradient


def sine_problem(
    name: str,
    dimension: int,
    frequency: float,
    formula: str,
    solution_formula: str,
    sections: tuple[str, ...],
    smooth: bool = True,
) -> Problem:
    """-laplacian(u) = f with u = prod_i sin(w x_i), so that f = dimension w^2 u."""
    amplitude = dimension * frequency**2
    return Problem(
        name=name,
        dimension=dimension,
        target=sine_product(amplitude, frequency),
        gradient=sine_product_gradient(amplitude, frequency),
        formula=formula,
        solution=sine_product(1.0, frequency),
        solution_formula=solution_formula,
        sections=sections,
        citation=f"Section 1.{dimension + 1} {ORIGINAL}",
        smooth=smooth,
    )


register(
    sine_problem(
        "poisson_1d_highfreq",
        1,
        4 * pi,
        "16 pi^2 sin(4 pi x)",
        "sin(4 pi x)",
        ("section1_1", "section1_2"),
        smooth=False,
    )
)
register(sine_problem("poisson_1d_sin", 1, pi, "pi^2 sin(pi x)", "sin(pi x)", ("section1_2",)))


def constant_two(x: Points) -> Values:
    """The forcing of u = x(1 - x)."""
    return x.new_full(x.shape, 2.0)


def constant_two_gradient(x: Points) -> Points:
    """0."""
    return x.new_zeros(x.shape)


def parabola(x: Points) -> Values:
    """x(1 - x)."""
    return x * (1 - x)


register(
    Problem(
        name="poisson_1d_poly",
        dimension=1,
        target=constant_two,
        gradient=constant_two_gradient,
        formula="2",
        solution=parabola,
        solution_formula="x(1 - x)",
        sections=("section1_2",),
        citation=f"Section 1.2 {ORIGINAL}",
    )
)

register(sine_problem("poisson_2d_sin", 2, pi, "2 pi^2 sin(pi x) sin(pi y)", "sin(pi x) sin(pi y)", ("section1_3",)))


def two_parabolas(x: Points) -> Values:
    """2y(1 - y) + 2x(1 - x)."""
    return (2 * x * (1 - x)).sum(dim=1, keepdim=True)


def two_parabolas_gradient(x: Points) -> Points:
    """(2 - 4x, 2 - 4y)."""
    return 2 - 4 * x


def parabola_product(x: Points) -> Values:
    """x(1 - x) y(1 - y)."""
    return (x * (1 - x)).prod(dim=1, keepdim=True)


register(
    Problem(
        name="poisson_2d_poly",
        dimension=2,
        target=two_parabolas,
        gradient=two_parabolas_gradient,
        formula="2y(1 - y) + 2x(1 - x)",
        solution=parabola_product,
        solution_formula="x(1 - x) y(1 - y)",
        sections=("section1_3",),
        citation=f"Section 1.3 {ORIGINAL}",
    )
)

register(
    sine_problem(
        "poisson_2d_highfreq",
        2,
        4 * pi,
        "32 pi^2 sin(4 pi x) sin(4 pi y)",
        "sin(4 pi x) sin(4 pi y)",
        ("section1_3",),
        smooth=False,
    )
)


def spec(p: Points) -> Values:
    """-pi^2 (1 + 4y^2) sin(pi x) sin(pi y^2) + 2 pi sin(pi x) cos(pi y^2)."""
    x, y = p[:, :1], p[:, 1:]
    return (pi * x).sin() * (2 * pi * (pi * y**2).cos() - pi**2 * (1 + 4 * y**2) * (pi * y**2).sin())


def spec_gradient(p: Points) -> Points:
    """Gradient of :func:`spec`, by the product rule on its factors in x and in y."""
    import torch

    x, y = p[:, :1], p[:, 1:]
    sine, cosine = (pi * y**2).sin(), (pi * y**2).cos()
    in_y = 2 * pi * cosine - pi**2 * (1 + 4 * y**2) * sine
    in_y_slope = -4 * pi**2 * y * sine - 8 * pi**2 * y * sine - 2 * pi**3 * y * (1 + 4 * y**2) * cosine
    return torch.cat([pi * (pi * x).cos() * in_y, (pi * x).sin() * in_y_slope], dim=1)


def spec_solution(p: Points) -> Values:
    """sin(pi x) sin(pi y^2)."""
    return (pi * p[:, :1]).sin() * (pi * p[:, 1:] ** 2).sin()


register(
    Problem(
        name="poisson_2d_spec",
        dimension=2,
        target=spec,
        gradient=spec_gradient,
        formula="-pi^2 (1 + 4y^2) sin(pi x) sin(pi y^2) + 2 pi sin(pi x) cos(pi y^2)",
        solution=spec_solution,
        solution_formula="sin(pi x) sin(pi y^2)",
        sign=+1,
        sections=("section1_3",),
        citation=f"Section 1.3 {ORIGINAL}; {KAN_PAPER}",
    )
)
