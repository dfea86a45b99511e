"""The Poisson problems as equations: ``sign * laplacian(u) = f`` inside, values of u on the sides, and u is what is wanted.

Each ``poisson_*`` problem, whose forcing is fitted, has its ``solve_*`` problem, in which that forcing is given and the
solution is looked for, as in the second part of the original benchmark and in section 3.4 of the KAN paper.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.problems.equation import Equation, Operator, dirichlet
from harness.problems.problem import PROBLEMS, Problem, register
from harness.problems.rows import Jet, Partials, Points, Residuals


def laplacian(factor: float = 1.0) -> tuple[Operator, Callable[[Points, Jet], Partials]]:
    """``factor * (u_11 + u_22 + ...)`` as an operator, and its partial derivatives."""

    def operator(x: Points, jet: Jet) -> Residuals:
        assert jet.curvatures is not None
        return factor * jet.curvatures[:, 0].sum(dim=1)

    def partials(x: Points, jet: Jet) -> Partials:
        import torch

        assert jet.curvatures is not None
        zeros = torch.zeros_like(jet.curvatures)
        return zeros[..., 0], zeros, torch.full_like(jet.curvatures, factor)

    return operator, partials


def solved(fitted: Problem) -> Problem:
    """The problem whose solution the forcing of a Poisson problem belongs to."""
    assert fitted.solution is not None
    operator, partials = laplacian(fitted.sign)
    return Problem(
        name=fitted.name.replace("poisson", "solve"),
        dimension=fitted.dimension,
        target=fitted.solution,
        formula=fitted.solution_formula,
        outputs=("u",),
        sections=(f"solve_{fitted.dimension}d",),
        citation=fitted.citation,
        smooth=fitted.smooth,
        equation=Equation(
            formula=f"{'-' if fitted.sign < 0 else ''}laplacian(u) = {fitted.formula}",
            operator=operator,
            partials=partials,
            forcing=fitted.target,
            conditions=(dirichlet(fitted.solution),),
        ),
    )


POISSON = ("1d_sin", "1d_poly", "1d_highfreq", "2d_sin", "2d_poly", "2d_highfreq", "2d_spec")
for _name in POISSON:
    register(solved(PROBLEMS.get(f"poisson_{_name}")))
