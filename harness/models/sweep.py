"""Layers in a row whose derivatives are written out: one way forward, one way back, for gradient and Jacobian alike.

Forward each layer maps its inputs with their derivatives along the axes (:class:`harness.models.channels.Channels`) to its
outputs. Back go the adjoints of these (Griewank and Walther 2008, chapters 3 and 13), from which each layer has the
derivatives in its parameters: summed over the points for the gradient of a loss, point by point for the Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.models.channels import Channels
from harness.models.interface import VJP, Outputs
from harness.models.jets import Jacobian, Seeds
from harness.problems.rows import Jet

T = TypeVar("T")


@runtime_checkable
class Layer(Protocol):
    """What a layer tells. ``known`` is whatever it wants to find again on the way back."""

    def parameters(self) -> Sequence[nn.Parameter]:
        """In the order of the network's."""

    def through(self, h: Channels, order: int) -> tuple[Channels, Any]:
        """The outputs, and ``known``. ``order`` is the highest derivative of the layer's own functions that is wanted: that
        of the channels, and one more where the way back is wanted too.
        """

    def back(self, known: Any, adjoint: Channels) -> Channels:
        """From the adjoints of the outputs to those of the inputs."""

    def gradient(self, known: Any, adjoint: Channels) -> Float[Tensor, " parameters"]:
        """In all its parameters, summed over the points."""

    def jacobian(self, known: Any, adjoint: Channels, out: Float[Tensor, "parameters points"]) -> None:
        """In all its parameters, at each point."""


class Kept(Generic[T]):
    """An answer that is found again for as long as the numbers that it depends on are the same.

    They are compared one by one, which takes microseconds: nothing that changes them has to remember to say so.
    """

    def __init__(self, numbers: Callable[[], Sequence[Tensor]], make: Callable[[], T]) -> None:
        self._numbers = numbers
        self._make = make
        self._kept: tuple[list[Tensor], T] | None = None

    def __call__(self) -> T:
        """The answer for the numbers as they are now."""
        found = self.found()
        if found is None:
            # What is kept outlives the mode it is made in, and an inference tensor could not take part in a gradient.
            with torch.inference_mode(False), torch.no_grad():
                found = self._make()
                self._kept = [each.clone() for each in self._numbers()], found
        return found

    def found(self) -> T | None:
        """The answer if it is kept."""
        if self._kept is None:
            return None
        before, answer = self._kept
        now = self._numbers()
        return answer if len(now) == len(before) and all(map(same, now, before)) else None


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers, in the same precision and place."""
    return a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)


class Sweep:
    """The jets of a network of layers at points that stay the same.

    The last way forward that a gradient asked for is kept: at the same parameters the residuals and their Jacobian find it.
    """

    def __init__(self, network: nn.Module, layers: Sequence[Layer], inputs: Callable[[], Channels], order: int) -> None:
        self._network = network
        self._layers = layers
        self._inputs = inputs
        self._order = order
        self._forward = Kept(self._state, lambda: self._through(order + 1))

    def __call__(self) -> Outputs:
        """The values of the jet."""
        return self.jet().value

    def jet(self) -> Jet:
        """The network and its derivatives up to the order, with a graph in the parameters; differentiable once."""
        if torch.is_grad_enabled():
            parameters = [parameter for layer in self._layers for parameter in layer.parameters()]
            if any(parameter.requires_grad for parameter in parameters):
                found = _Jet.apply(self, *parameters)  # type: ignore[no-untyped-call]
                return Jet(*found)
        with torch.no_grad():
            outputs, _ = self._forward.found() or self._through(self._order)
            return outputs.as_jet()

    @torch.no_grad()
    def jet_jacobian(self, seeds: Seeds) -> Jacobian:
        """Derivative at each point in each parameter of the combination of the jet that ``seeds`` say."""
        _, known = self._forward()
        sizes = [sum(p.numel() for p in layer.parameters()) for layer in self._layers]
        result = seeds.a.new_empty(sum(sizes), len(seeds.a))
        parts = zip(reversed(result.split(sizes)), self._back(known, Channels.of_jet(seeds)), strict=True)
        for out, (layer, its, adjoint) in parts:
            layer.jacobian(its, adjoint, out)
        return result.T

    @torch.no_grad()
    def vjp(self) -> VJP:
        """See :func:`harness.models.interface.vjp`. Nothing is kept: the parameters are others when it is asked again."""
        outputs, known = self._through(self._order + 1)
        parameters = [parameter for layer in self._layers for parameter in layer.parameters()]
        return VJP(outputs.as_jet().value, parameters, lambda grad: self.gradient(known, Channels.of_jet(Seeds(grad))))

    def gradient(self, known: list[Any], adjoint: Channels) -> list[Tensor]:
        """Of a loss in each parameter, from its derivatives in the jet."""
        found: list[Tensor] = []
        for layer, its, ours in self._back(known, adjoint):
            parameters = layer.parameters()
            parts = layer.gradient(its, ours).split([p.numel() for p in parameters])
            found[:0] = [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]
        return found

    def forward(self) -> tuple[Channels, list[Any]]:
        """The outputs, and what is known of each layer."""
        return self._forward()

    def _state(self) -> list[Tensor]:
        return [*self._network.parameters(), *self._network.buffers()]

    def _through(self, order: int) -> tuple[Channels, list[Any]]:
        h, known = self._inputs(), []
        for layer in self._layers:
            h, its = layer.through(h, order)
            known.append(its)
        return h, known

    def _back(self, known: list[Any], adjoint: Channels) -> Iterator[tuple[Layer, Any, Channels]]:
        """The layers from the last to the first, with what is known of each and the adjoints of its outputs."""
        for index in range(len(known) - 1, -1, -1):
            yield self._layers[index], known[index], adjoint
            if index > 0:
                adjoint = self._layers[index].back(known[index], adjoint)


class _Jet(torch.autograd.Function):
    """A jet as one step of the gradient."""

    @staticmethod
    def forward(ctx: Any, sweep: Sweep, *parameters: Tensor) -> tuple[Tensor | None, ...]:
        outputs, known = sweep.forward()
        ctx.save_for_backward(*parameters)
        ctx.rest = sweep, known
        return tuple(None if part is None else part.clone() for part in outputs.as_jet())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, a: Tensor, b: Tensor | None, c: Tensor | None) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises where they were changed in the meantime
        sweep, known = ctx.rest
        return (None, *sweep.gradient(known, Channels.of_jet(Seeds(a, b, c))))
