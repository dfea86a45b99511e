"""Rows of residuals that a problem declares instead of the fit to its training points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxtyping import Float

from harness.errors import BadInput
from harness.registry import check_name

if TYPE_CHECKING:
    from torch import Generator, Tensor
else:
    # Shapes and dtypes are checked all the same, and a declaration needs no torch, which takes a second to load.
    Generator = Tensor = Any

Points = Float[Tensor, "points dimension"]
Residuals = Float[Tensor, " points"]


class Jet(NamedTuple):
    """A function and its derivatives along each axis, in raw units; what is beyond the order asked for is None."""

    value: Float[Tensor, "points outputs"]
    slopes: Float[Tensor, "points outputs dimension"] | None = None
    """First derivatives."""
    curvatures: Float[Tensor, "points outputs dimension"] | None = None
    """Second derivatives, each twice along the same axis."""

    def detached(self) -> Jet:
        """Without a graph."""
        slopes, curvatures = (None if part is None else part.detach() for part in self[1:])
        return Jet(self.value.detach(), slopes, curvatures)


Partials = tuple[
    Float[Tensor, "points outputs"],
    Float[Tensor, "points outputs dimension"] | None,
    Float[Tensor, "points outputs dimension"] | None,
]
"""Derivatives of a residual in the parts of a :class:`Jet`; None counts as zero, and stands where the jet has none."""


def partials_by_autograd(
    residual: Callable[[Points, Jet], Residuals], x: Points, jet: Jet
) -> tuple[Residuals, Partials]:
    """A residual at a jet without a graph, and its derivatives in the parts of the jet; 0 where it does not read a part."""
    import torch

    given = [part.detach().requires_grad_() for part in jet if part is not None]
    with torch.enable_grad():
        found = residual(x, Jet(*given))
        if not found.requires_grad:
            return found, _partials([torch.zeros_like(part) for part in given])
        return found.detach(), _partials(torch.autograd.grad(found.sum(), given, materialize_grads=True))


def _partials(found: Sequence[Tensor]) -> Partials:
    a, *further = found
    b, c = (*further, None, None)[:2]
    return a, b, c


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """A block of residuals: their mean square, times ``weight``, is a part of what a training lowers.

    ``points(generator)`` draws the points, ``(points, dimension)`` in raw units, from the generator only.
    ``residual(x, jet)`` gives one number a point from the model's :class:`Jet` there, by operations of torch that autograd
    can follow; row p may depend on the jet at point p only. ``order`` is the highest derivative that it reads, at most 2.
    ``partials(x, jet)`` are the derivatives of the residual in the parts of the jet; autograd finds them unless given.
    """

    name: str
    points: Callable[[Generator], Points]
    residual: Callable[[Points, Jet], Residuals]
    order: int = 0
    weight: float = 1.0
    partials: Callable[[Points, Jet], Partials] | None = None

    def __post_init__(self) -> None:
        check_name("rows", self.name)
        if self.order not in (0, 1, 2):
            raise BadInput(f"rows {self.name!r} have order = {self.order!r}; allowed: 0, 1, 2.")
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise BadInput(f"rows {self.name!r} have weight = {self.weight!r}; allowed: a positive finite number.")
