"""Section equations: equations beyond the original's Poisson problems, each with its exact solution.

Forcings come from a solution that was chosen, or there are none. Then the scale of the residual is declared, by what is known
before anything is solved: the conditions. They say u at the first time, and so u_t there, whose root mean square is the scale
of heat and Burgers; of Bratu's equation they say the reaction on the boundary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from math import pi
from typing import TYPE_CHECKING, Any

from harness.problems.equation import Equation, Operator, Side, dirichlet
from harness.problems.poisson import KAN_PAPER, sine_product, spec, spec_solution
from harness.problems.problem import Bound, Problem, Values, register
from harness.problems.rows import Jet, Partials, Points, Residuals
from harness.problems.solving import laplacian

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # as in harness.problems.rows

SECTIONS = ("equations",)
OURS = "solution by this project"
WANG = (
    "Wang, Teng and Perdikaris 2021, Understanding and mitigating gradient pathologies in physics-informed neural networks, "
    "arXiv:2001.04536, a1 = 1, a2 = 4, k = 1"
)
BRATU = "Bratu 1914, Bulletin de la Societe Mathematique de France 42; with LM in Shahab et al., arXiv:2602.08515"
ALLEN_CAHN = "Allen and Cahn 1979, Acta Metallurgica 27"
DEEPXDE = "Lu et al. 2021, DeepXDE, SIAM Review 63(1); its demo of the heat equation, alpha = 0.4"
RAISSI = (
    "Raissi, Perdikaris and Karniadakis 2019, Physics-informed neural networks, Journal of Computational Physics 378; solution "
    "as in Basdevant et al. 1986, Computers and Fluids 14, after Hopf 1950 and Cole 1951"
)
ZANG = (
    "Zang et al. 2020, Weak adversarial networks for high-dimensional PDEs, arXiv:1907.08531; with five inputs in PINNacle, "
    "arXiv:2306.08827 (PNd)"
)
WALLS_AND_START: tuple[Side, ...] = ((0, "low"), (0, "high"), (1, "low"))
"""The sides of space and time (x, t): both ends, and the first time. Nothing is known of the last."""


def semilinear(
    diffusion: float, reaction: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
) -> tuple[Operator, Callable[[Points, Jet], Partials]]:
    """``diffusion * laplacian(u) + reaction(u)`` as an operator, and its partial derivatives; ``slope`` is the reaction's."""
    linear, of_linear = laplacian(diffusion)

    def operator(x: Points, jet: Jet) -> Residuals:
        return linear(x, jet) + reaction(jet.value[:, 0])

    def partials(x: Points, jet: Jet) -> Partials:
        return slope(jet.value), *of_linear(x, jet)[1:]

    return operator, partials


def transport(diffusion: float, speed: float) -> tuple[Operator, Callable[[Points, Jet], Partials]]:
    """``u_t + speed * u u_x - diffusion * u_xx`` in (x, t) as an operator, and its partial derivatives."""

    def operator(x: Points, jet: Jet) -> Residuals:
        assert jet.slopes is not None
        assert jet.curvatures is not None
        u_x, u_t = jet.slopes[:, 0].unbind(dim=1)
        return u_t + speed * jet.value[:, 0] * u_x - diffusion * jet.curvatures[:, 0, 0]

    def partials(x: Points, jet: Jet) -> Partials:
        import torch

        assert jet.slopes is not None
        u, one = jet.value, torch.ones_like(jet.value)
        in_slopes = torch.stack([speed * u, one], dim=-1)
        in_curvatures = torch.stack([-diffusion * one, 0 * one], dim=-1)
        return speed * jet.slopes[..., 0], in_slopes, in_curvatures

    return operator, partials


def solve(
    name: str,
    solution: Callable[[Points], Values],
    text: str,
    equation: Equation,
    citation: str,
    dimension: int = 2,
    low: Bound = -1.0,
    high: Bound = 1.0,
    inputs: tuple[str, ...] = (),
    smooth: bool = True,
) -> None:
    """Register the problem of finding the ``solution``, which is shown as ``text``."""
    register(
        Problem(
            name=f"solve_{name}",
            dimension=dimension,
            low=low,
            high=high,
            inputs=inputs,
            outputs=("u",),
            target=solution,
            formula=text,
            sections=SECTIONS,
            citation=citation,
            smooth=smooth,
            equation=equation,
        )
    )


def waves(x: Points) -> Values:
    """sin(pi x) sin(4 pi y)."""
    return (pi * x[:, :1]).sin() * (4 * pi * x[:, 1:]).sin()


operator, partials = semilinear(1.0, lambda u: u, lambda u: u.new_ones(u.shape))
solve(
    "helmholtz_2d",
    waves,
    "sin(pi x) sin(4 pi y)",
    Equation(
        formula="laplacian(u) + u = (1 - 17 pi^2) sin(pi x) sin(4 pi y)",
        operator=operator,
        partials=partials,
        forcing=lambda x: (1 - 17 * pi**2) * waves(x),
        conditions=(dirichlet(waves),),
    ),
    WANG,
    smooth=False,
)

operator, partials = semilinear(-1.0, lambda u: u**3, lambda u: 3 * u**2)
solve(
    "poisson_cubic_2d",
    spec_solution,
    "sin(pi x) sin(pi y^2)",
    Equation(
        formula="-laplacian(u) + u^3 = f, with f of u = sin(pi x) sin(pi y^2)",
        operator=operator,
        partials=partials,
        forcing=lambda x: spec_solution(x) ** 3 - spec(x),
        conditions=(dirichlet(spec_solution),),
    ),
    f"equation by this project, solution of {KAN_PAPER}",
)


def bratu_theta() -> float:
    """The smaller root of theta = sqrt(2) cosh(theta / 4), the lower branch of lambda = 1; a fixed point with slope 0.14."""
    theta = 1.0
    for _ in range(40):
        theta = math.sqrt(2) * math.cosh(theta / 4)
    return theta


THETA = bratu_theta()


def bratu(x: Points) -> Values:
    """2 ln(cosh(theta / 4) / cosh(theta (x - 1/2) / 2))."""
    return 2 * (math.cosh(THETA / 4) / (THETA / 2 * (x - 0.5)).cosh()).log()


operator, partials = semilinear(1.0, lambda u: u.exp(), lambda u: u.exp())
solve(
    "bratu_1d",
    bratu,
    f"2 ln(cosh(theta / 4) / cosh(theta (x - 1/2) / 2)), theta = {THETA:.6g}",
    Equation(
        formula="u'' + exp(u) = 0, u = 0 on both ends; the lower of two solutions",
        operator=operator,
        partials=partials,
        conditions=(dirichlet(lambda x: 0 * x),),
        scale=1.0,  # exp(u) where u is known
    ),
    BRATU,
    dimension=1,
    low=0.0,
)

EPSILON = 0.5
"""Width of the front. The solution is the only one as long as epsilon^2 pi^2 / 2 > 1: the equation is monotone then."""


def front(x: Points) -> Values:
    """tanh((1/2 - x^2 - y^2) / (sqrt(2) epsilon)): 1 in a disk, -1 far outside."""
    return ((0.5 - x.square().sum(dim=1, keepdim=True)) / (math.sqrt(2) * EPSILON)).tanh()


def front_forcing(x: Points) -> Values:
    """What is left of the equation at :func:`front`, whose derivative by its argument is 1 - u^2."""
    u, square = front(x), x.square().sum(dim=1, keepdim=True)
    return (1 - u**2) * ((1 - 4 * square) * u - 2 * math.sqrt(2) * EPSILON)


operator, partials = semilinear(EPSILON**2, lambda u: u - u**3, lambda u: 1 - 3 * u**2)
solve(
    "allen_cahn_2d",
    front,
    f"tanh((1/2 - x^2 - y^2) / (sqrt(2) {EPSILON}))",
    Equation(
        formula=f"{EPSILON}^2 laplacian(u) + u - u^3 = f, with f of a disk with a front of width {EPSILON}",
        operator=operator,
        partials=partials,
        forcing=front_forcing,
        conditions=(dirichlet(front),),
    ),
    f"{ALLEN_CAHN}; {OURS}",
)

DIFFUSIVITY = 0.4


def decay(x: Points) -> Values:
    """exp(-0.4 pi^2 t) sin(pi x)."""
    return (-DIFFUSIVITY * pi**2 * x[:, 1:]).exp() * (pi * x[:, :1]).sin()


operator, partials = transport(DIFFUSIVITY, speed=0.0)
solve(
    "heat_1d",
    decay,
    f"exp(-{DIFFUSIVITY} pi^2 t) sin(pi x)",
    Equation(
        formula=f"u_t - {DIFFUSIVITY} u_xx = 0, u = sin(pi x) at t = 0 and 0 on both ends",
        operator=operator,
        partials=partials,
        # The sine is 0 on both ends too, so that one condition holds on all sides but the last time.
        conditions=(dirichlet(lambda x: (pi * x[:, :1]).sin(), *WALLS_AND_START),),
        scale=DIFFUSIVITY * pi**2 / math.sqrt(2),  # u_t = 0.4 u_xx at t = 0
    ),
    DEEPXDE,
    low=0.0,
    inputs=("x", "t"),
)

NODES = 100
"""Of the quadrature; twice as many change the solution by less than 1e-13."""
AT_ONCE = 4096
"""Points whose nodes are in memory together."""
EARLIEST = 1e-12
"""Is added to the time, whose root has no slope at 0; it changes u by as much."""


def cole_hopf(x: Points, viscosity: float, nodes: int = NODES) -> Values:
    """The solution of Burgers' equation from -sin(pi x), at points (x, t); in float64, by Gauss-Hermite quadrature.

    It is the mean of -sin(pi y) over heat that has come to x from y, with the weights exp(-cos(pi y) / (2 pi viscosity)). These
    go from e^-50 to e^50 at 0.01 / pi, so that only their logarithms are ever there; a softmax makes them shares.
    """
    import numpy as np
    import torch

    z, weights = (torch.from_numpy(each).to(x.device) for each in np.polynomial.hermite.hermgauss(nodes))

    def at(some: Points) -> Values:
        place, time = some.double().split(1, dim=1)
        y = place - (4 * viscosity * (time + EARLIEST)).sqrt() * z
        shares = (weights.log() - (pi * y).cos() / (2 * pi * viscosity)).softmax(dim=1)
        mean: Values = (shares * (pi * y).sin()).sum(dim=1, keepdim=True)
        return -mean

    values: Values = torch.cat([at(some) for some in x.split(AT_ONCE)]).to(x.dtype)
    return values


for name, share, smooth in (("burgers_1d", 0.01, False), ("burgers_1d_viscous", 0.1, True)):
    viscosity = share / pi
    operator, partials = transport(viscosity, speed=1.0)
    solve(
        name,
        partial(cole_hopf, viscosity=viscosity),
        "integral of Cole and Hopf",
        Equation(
            formula=f"u_t + u u_x - ({share} / pi) u_xx = 0, u = -sin(pi x) at t = 0 and 0 on both ends",
            operator=operator,
            partials=partials,
            conditions=(dirichlet(lambda x: -(pi * x[:, :1]).sin(), *WALLS_AND_START),),  # one, as for heat
            # u_t = -u u_x + viscosity u_xx at t = 0, of amplitudes pi / 2 and pi^2 viscosity, and orthogonal
            scale=math.hypot(pi / 2, pi**2 * viscosity) / math.sqrt(2),
        ),
        f"{RAISSI}{'' if share == 0.01 else '; there with a tenth of this viscosity'}",
        low=(-1.0, 0.0),
        inputs=("x", "t"),
        smooth=smooth,
    )

operator, partials = laplacian(-1.0)
solve(
    "poisson_3d",
    sine_product(1.0, pi),
    "sin(pi x1) sin(pi x2) sin(pi x3)",
    Equation(
        formula="-laplacian(u) = 3 pi^2 sin(pi x1) sin(pi x2) sin(pi x3)",
        operator=operator,
        partials=partials,
        forcing=sine_product(3 * pi**2, pi),
        conditions=(dirichlet(sine_product(1.0, pi)),),
    ),
    f"{OURS}: solve_2d_sin with one input more",
    dimension=3,
)


def sine_sum(x: Points) -> Values:
    """The sum of sin(pi x_i / 2)."""
    return (pi / 2 * x).sin().sum(dim=1, keepdim=True)


solve(
    "poisson_5d",
    sine_sum,
    "sin(pi x1 / 2) + ... + sin(pi x5 / 2)",
    Equation(
        formula="-laplacian(u) = (pi^2 / 4) (sin(pi x1 / 2) + ... + sin(pi x5 / 2))",
        operator=operator,
        partials=partials,
        forcing=lambda x: pi**2 / 4 * sine_sum(x),
        conditions=(dirichlet(sine_sum),),
    ),
    ZANG,
    dimension=5,
    low=0.0,
)
