"""What a network may tell besides its values.

A family's network is any ``torch.nn.Module`` that maps ``(points, dimension)`` to ``(points, outputs)``. Each method here
is optional, and here is what holds for a network without it. Derivatives: :mod:`harness.models.jets`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

Inputs = Float[Tensor, "points dimension"]
Outputs = Float[Tensor, "points outputs"]


class VJP(NamedTuple):
    """Outputs at fixed points without a graph, to be read only, and their vector-Jacobian product."""

    outputs: Outputs
    parameters: Sequence[Tensor]
    pull_back: Callable[[Outputs], Iterable[Tensor]]
    """From derivatives of a number in the outputs to those in each parameter; to be called before a parameter changes."""


@runtime_checkable
class _At(Protocol):
    def at(self, x: Inputs) -> Callable[[], Outputs]: ...


@runtime_checkable
class _VJP(Protocol):
    def vjp(self) -> VJP | None: ...


@runtime_checkable
class _Measures(Protocol):
    def measures(self) -> dict[str, float]: ...


@runtime_checkable
class _ActiveParameters(Protocol):
    def active_parameters(self) -> int: ...


@runtime_checkable
class _Exported(Protocol):
    def exported(self) -> nn.Module: ...


def at(network: nn.Module, x: Inputs) -> Callable[[], Outputs]:
    """The network at points that stay the same, for many evaluations: it may prepare what depends on them alone.

    Follows whatever happens to the parameters. Differentiable once, and in the parameters only.
    """
    return network.at(x) if isinstance(network, _At) else partial(network, x)


def vjp(outputs: Callable[[], Outputs]) -> Callable[[], VJP | None]:
    """What gives the outputs of :func:`at` with their vector-Jacobian product, since the gradient of a small network spends half
    of its time in autograd. It gives None where only autograd can tell, as for most modules.
    """
    return outputs.vjp if isinstance(outputs, _VJP) else lambda: None


def measures(network: nn.Module) -> dict[str, float]:
    """What it measures of itself after each epoch, by metric name; else nothing."""
    return network.measures() if isinstance(network, _Measures) else {}


def parameters(model: nn.Module) -> int:
    """Trainable numbers of a model; those that a mask switches off are counted."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def active_parameters(network: nn.Module) -> int:
    """Trainable numbers that the output depends on; else all trainable ones."""
    return network.active_parameters() if isinstance(network, _ActiveParameters) else parameters(network)


def exported(network: nn.Module) -> nn.Module:
    """The same function in operations that can be exported and differentiated in the inputs; else the network itself."""
    return network.exported() if isinstance(network, _Exported) else network
