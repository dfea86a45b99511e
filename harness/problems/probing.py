"""Whether what a problem declares is true: its gradient, and the residual and the partial derivatives of its equation.

A gradient is held against difference quotients of the target at points of the domain. Against these and not against autograd,
which sees nothing of a target that is made of numpy or of ``torch.bucketize``, and
gives half of a gradient, in silence, for one that is so in part.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from harness.errors import BadInput, in_one_line
from harness.problems.problem import Problem
from harness.problems.rows import Jet, Points, Rows, partials_by_autograd
from harness.seeds import generator

PROBES = 64
STEPS = {torch.float64: 7.3e-6, torch.float32: 1.1e-3}
"""Of a difference quotient, as a share of the domain's width, by the precision of the target. No round numbers, which would
hide a target that has as round a period."""
MOST_WRONG = 0.25
"""Share of the probes at which a gradient may disagree: some lie beside jumps and kinks."""
ALLOWED = 1e-6
"""What a slope may be wrong by, as a share of their root mean square; the quotients are good to 1e-8 on built-in problems."""
DOUBT = 10.0
"""What a slope may be wrong by, in units of rounding and of the difference that halving the step makes."""
TRUST = 0.1
"""A quotient that halving the step changes by a larger share of itself says nothing."""


def check_gradient(problem: Problem) -> None:
    """Raises BadInput, with both numbers, for a gradient that differs from difference quotients at more than a few probes.

    A probe says nothing where the target is not finite, or too rough for the step.
    """
    unit = torch.rand(PROBES, problem.dimension, generator=generator(0, "probes"), dtype=torch.float64)
    margin = max(STEPS.values())
    low, high = (torch.tensor(bounds, dtype=torch.float64) for bounds in zip(*problem.bounds, strict=True))
    x = low + (high - low) * (margin + (1 - 2 * margin) * unit)
    shape = (PROBES, len(problem.outputs), problem.dimension)
    slopes, values = problem.slopes(x, "the domain").view(shape), problem.values(x, "the domain")
    in_single = torch.equal(values, values.float().double()) and not torch.equal(values, values.round())
    precision = torch.float32 if in_single else torch.float64
    step = STEPS[precision] * (high - low)
    wide, narrow = _quotients(problem, x, step), _quotients(problem, x, step / 2)
    quotients, change = (4 * narrow - wide) / 3, (wide - narrow).abs()
    known = quotients.isfinite() & (change <= TRUST * torch.maximum(wide.abs(), narrow.abs()))
    scale = quotients[known].square().mean().sqrt()
    rounding = torch.finfo(precision).eps * (values.abs().unsqueeze(-1) + (x.unsqueeze(1) * quotients).abs()) / step
    off = (slopes - quotients).abs()
    wrong = known & ~(off <= ALLOWED * scale + DOUBT * (change + rounding))  # a NaN is wrong
    if wrong.flatten(1).any(dim=1).sum() <= MOST_WRONG * PROBES:
        return
    place = torch.where(wrong, off.nan_to_num(nan=torch.inf), -1.0).argmax()
    point, output, axis = (int(each) for each in torch.unravel_index(place, shape))
    of_output = f" of {problem.outputs[output]}" if len(problem.outputs) > 1 else ""
    raise BadInput(
        f"problem {problem.name!r} has a gradient{'' if problem.gradient else ' by autograd'} that is not its target's: at x = "
        f"{spelled(x[point])} it is {slopes[point, output, axis]:.6g}{of_output}{f' in {problem.inputs[axis]}' if axis else ''}, "
        f"and difference quotients of the target give {quotients[point, output, axis]:.6g}."
    )


def any_jet(rows: Rows, x: Points) -> Jet:
    """Numbers in the place of u and its derivatives, another for each, so that u^2 and u^3, or u_x and u_y, differ."""
    each = 1 / (1 + torch.arange(x.shape[1]).to(x)).expand(len(x), 1, -1)
    value, slopes, curvatures = x.new_full((len(x), 1), 0.7), 0.9 * each, 0.6 * each
    return Jet(value, slopes if rows.order > 0 else None, curvatures if rows.order > 1 else None)


def residual_at_any_jet(rows: Rows, x: Points) -> Tensor:
    """What rows give at points for :func:`any_jet`, by which one equation is told from another."""
    return torch.as_tensor(rows.residual(x.clone(), any_jet(rows, x)))


def check_residual(problem: Problem, rows: Rows, x: Points) -> None:
    """Raises BadInput for rows of an equation that are not a finite number at each point, before a model could be blamed."""
    what = f"problem {problem.name!r} has an equation whose residual ({rows.name})"
    try:
        found = residual_at_any_jet(rows, x)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{what} fails at {len(x)} points: {in_one_line(error)}.") from error
    if found.shape != (len(x),):
        raise BadInput(f"{what} has the shape {tuple(found.shape)} at {len(x)} points; expected: {(len(x),)}.")
    bad = ~found.isfinite()
    if bad.any():
        first = x[int(bad.int().argmax())]
        raise BadInput(
            f"{what} is not a finite number at {int(bad.sum())} of its {len(x)} points, first at x = {spelled(first)}: the "
            "equation is singular there."
        )


def check_partials(problem: Problem, rows: Rows, x: Points) -> None:
    """Raises BadInput for partials that are not the operator's: a training would only not get on with them."""
    if rows.partials is None:
        return
    what, jet = f"problem {problem.name!r} has an equation whose partials", any_jet(rows, x)
    try:
        given = rows.partials(x.clone(), jet)
        _, expected = partials_by_autograd(rows.residual, x.clone(), jet)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{what} fail at {len(x)} points: {in_one_line(error)}.") from error
    for name, there, own in zip(("u", "u_i", "u_ii"), expected, given, strict=False):
        if there is None:
            continue
        here = torch.zeros_like(there) if own is None else own
        if here.shape != there.shape:
            raise BadInput(
                f"{what} in {name} have the shape {tuple(here.shape)} at {len(x)} points; expected: {tuple(there.shape)}."
            )
        if not torch.allclose(here, there, rtol=torch.finfo(x.dtype).eps ** 0.5, atol=0):
            raise BadInput(f"{what} in {name} are not its operator's; correct them, or leave them to autograd.")


def spelled(point: Float[Tensor, " dimension"], digits: int = 12) -> str:
    """A point as it is written: ``0.5``, or ``(0.5, -1.0)``; four numbers at most."""
    numbers = [f"{number:.{digits}g}" for number in point.tolist()]
    if len(numbers) > 4:
        numbers = [*numbers[:3], "..."]
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


def _quotients(problem: Problem, x: Points, step: Tensor) -> Float[Tensor, "points outputs dimension"]:
    """Central difference quotients, all of them in one call of the target; ``step`` has one for each axis."""
    shifts = torch.diag(step.to(x.dtype))[:, None]
    right, left = ((x + sign * shifts).flatten(0, 1) for sign in (1, -1))
    distance = (right - left).sum(dim=1, keepdim=True)  # of the points as they are rounded
    above, below = problem.values(torch.cat([right, left]), "the domain").chunk(2)
    return ((above - below) / distance).reshape(problem.dimension, len(x), -1).permute(1, 2, 0)
