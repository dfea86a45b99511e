"""Value, first and second derivatives of a network along each axis, and the Jacobian of their combinations.

A network may have them written out in one of two ways. ``jets_at(x, order)`` gives its :class:`Jets` at points that stay
the same, for which it may prepare what depends on the points alone, or None where it has none; or there are two methods:
``jet(x, order)`` with a graph in its parameters, and ``jet_jacobian(x, seeds)``, for all its parameters in their order.
For any other torch.func gets them, which takes 2 to 60 times as long (benchmarks/jets.py). A network that knows only its
plain Jacobian has ``jacobian(x)``.

The derivatives are those of forward mode (Griewank and Walther 2008, "Evaluating Derivatives", chapters 3 and 13): each
layer maps a value and its derivatives along the axes to those of its outputs, and the Jacobian takes one sweep back.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from harness.models.interface import Inputs
from harness.problems.rows import Jet

Jacobian = Float[Tensor, "points parameters"]


class Seeds(NamedTuple):
    """The combination ``a . u + b : grad u + c : (u_11, u_22, ...)`` at each point; None counts as zero."""

    a: Float[Tensor, "points outputs"]
    b: Float[Tensor, "points outputs dimension"] | None = None
    c: Float[Tensor, "points outputs dimension"] | None = None

    def order(self) -> int:
        """The highest derivative in the combination."""
        return 0 if self.b is None else 1 if self.c is None else 2


@runtime_checkable
class Jets(Protocol):
    """Of a network at points that stay the same, up to one order. Follow whatever happens to the parameters."""

    def jet(self) -> Jet:
        """With a graph in the parameters, differentiable once."""

    def jet_jacobian(self, seeds: Seeds) -> Jacobian:
        """For all parameters in their order."""


@runtime_checkable
class _JetsAt(Protocol):
    def jets_at(self, x: Inputs, order: int) -> Jets | None: ...


@runtime_checkable
class _Jet(Protocol):
    def jet(self, x: Inputs, order: int) -> Jet: ...

    def jet_jacobian(self, x: Inputs, seeds: Seeds) -> Jacobian: ...


@runtime_checkable
class _Jacobian(Protocol):
    def jacobian(self, x: Inputs) -> Jacobian: ...


@torch.no_grad()
def load_what_it_takes(network: nn.Module, fitted: Inputs | None) -> None:
    """What a first Jacobian or jet takes besides, now and not while a clock runs: torch.func's import, which takes a second, and
    of a network that is ``fitted`` at such inputs, and knows its plain Jacobian, the loops of that.
    """
    if not isinstance(network, _JetsAt | _Jet | _Jacobian):
        import torch._dynamo  # noqa: F401
    elif fitted is not None and isinstance(network, _Jacobian):
        network.jacobian(fitted)


def plain() -> bool:
    """Whether operations are simply carried out: neither traced for export nor transformed by torch.func."""
    return not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is None


class At:
    """A network's jets at points that stay the same, by the best way that it has."""

    def __init__(self, network: nn.Module, x: Inputs, order: int) -> None:
        self._network = network
        self._x = x
        self._order = order
        self._prepared: Jets | None = None
        self._with_jet = network if isinstance(network, _Jet) else None
        self._with_jacobian = network if isinstance(network, _Jacobian) else None
        if isinstance(network, _JetsAt) and plain() and not x.requires_grad:
            self._prepared = network.jets_at(x, order)

    @functools.cached_property
    def _sum(self) -> Seeds:
        return Seeds(self._x.new_ones(len(self._x), self._network(self._x[:1]).shape[1]))

    def jet(self) -> Jet:
        """The network and its derivatives up to the order, with a graph in the parameters."""
        network, x, order = self._network, self._x, self._order
        if self._prepared is not None:
            return self._prepared.jet()
        if order == 0:
            return Jet(network(x))
        return self._with_jet.jet(x, order) if self._with_jet is not None else jet_of_any(network, x, order)

    @torch.no_grad()
    def jacobian(self, parameters: list[nn.Parameter], seeds: Seeds | None = None) -> Jacobian:
        """Derivative in each parameter of a combination of the jet at each point; without ``seeds`` of the output's sum.

        What a network has written out is for all its parameters; for others torch.func takes one gradient a point.
        """
        if _are_all(parameters, self._network):
            if seeds is None and self._with_jacobian is not None:
                return self._with_jacobian.jacobian(self._x)
            if self._prepared is not None:
                return self._prepared.jet_jacobian(seeds or self._sum)
            if self._with_jet is not None:
                return self._with_jet.jet_jacobian(self._x, seeds or self._sum)
        return jacobian_of_any(self._network, self._x, parameters, seeds)


def jet(network: nn.Module, x: Inputs, order: int) -> Jet:
    """The network and its derivatives up to ``order`` at ``x``, with a graph in the parameters."""
    return Jet(network(x)) if order == 0 else At(network, x, order).jet()


def jacobian(network: nn.Module, x: Inputs, parameters: list[nn.Parameter], seeds: Seeds | None = None) -> Jacobian:
    """Derivative in each parameter of a combination of the jet at each point; without ``seeds`` of the output's sum."""
    return At(network, x, 0 if seeds is None else seeds.order()).jacobian(parameters, seeds)


def _are_all(parameters: list[nn.Parameter], network: nn.Module) -> bool:
    return list(map(id, network.parameters())) == list(map(id, parameters))


def _along(function: Callable[[Tensor], Tensor], x: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """Value and derivative along a direction."""
    value, derivative = jvp(function, (x,), (tangent,))[:2]
    return value, derivative


def jet_of_any(network: nn.Module, x: Inputs, order: int) -> Jet:
    """The jet of any module that torch.func can transform: by forward mode, twice for the second derivative."""
    value: Tensor = network(x)
    slopes, curvatures = [], []
    for axis in range(x.shape[1]):
        tangent = torch.zeros_like(x)
        tangent[:, axis] = 1

        def slope(z: Tensor, tangent: Tensor = tangent) -> Tensor:
            return _along(network, z, tangent)[1]

        if order == 1:
            slopes.append(slope(x))
        else:
            first, second = _along(slope, x, tangent)
            slopes.append(first)
            curvatures.append(second)
    return Jet(value, torch.stack(slopes, -1), torch.stack(curvatures, -1) if curvatures else None)


def jacobian_of_any(
    network: nn.Module, x: Inputs, parameters: list[nn.Parameter], seeds: Seeds | None = None
) -> Jacobian:
    """The Jacobian of any module that torch.func can transform, one gradient a point in one batch."""
    wanted = {id(parameter) for parameter in parameters}
    state = {name: p.detach() for name, p in itertools.chain(network.named_parameters(), network.named_buffers())}
    free = {name: p.detach() for name, p in network.named_parameters() if id(p) in wanted}
    given = () if seeds is None else tuple(seed for seed in seeds if seed is not None)
    order = 0 if seeds is None else seeds.order()

    def combination(values: dict[str, Tensor], point: Tensor, *factors: Tensor) -> Tensor:
        def output(z: Tensor) -> Tensor:
            answer: Tensor = functional_call(network, {**state, **values}, (z.unsqueeze(0),))
            return answer.squeeze(0)

        if not factors:
            return output(point).sum()
        total = (factors[0] * output(point)).sum()
        for axis in range(len(point) if order > 0 else 0):
            tangent = torch.zeros_like(point)
            tangent[axis] = 1

            def slope(z: Tensor, tangent: Tensor = tangent) -> Tensor:
                return _along(output, z, tangent)[1]

            first, second = _along(slope, point, tangent) if order == 2 else (slope(point), None)
            total = total + (factors[1][:, axis] * first).sum()
            if second is not None:
                total = total + (factors[2][:, axis] * second).sum()
        return total

    columns = vmap(grad(combination), (None, 0, *(0 for _ in given)))(free, x, *given)
    return torch.cat([columns[name].reshape(len(x), -1) for name in free], dim=1)
