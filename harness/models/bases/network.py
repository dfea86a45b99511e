"""A network of edges that are no splines: everything that a family of :mod:`harness.models.bases` does not say itself.

A layer tells the values and derivatives of its edges, and how they change with its parameters; the sums, the derivatives along
the axes and the way back are the same for all of them (:mod:`harness.models.edges`).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.models.channels import Channels
from harness.models.edges import Activations, EdgeLayer, EdgeNetwork, OfEdges, back, in_edges, summed
from harness.models.elementary import warm_up
from harness.models.interface import VJP
from harness.models.sparsity import sparsity
from harness.models.sweep import Kept, Sweep

NodeMajor = Float[Tensor, "nodes points"]
Sums = Float[Tensor, "outputs points"]
Factors = Sequence[Float[Tensor, "_one_or_inputs outputs points"]]
"""What the value of each edge counts, then its first derivative, and so on; those of all inputs may be one."""


class BasisLayer(EdgeLayer):
    """What a layer tells. ``known`` is whatever it wants to find again."""

    @property
    def grid(self) -> int:
        """How fine its basis is."""
        return 1

    def stamp(self) -> Tensor:
        """A number that stands for all that :meth:`prepared` depends on besides the inputs."""
        return next(self.parameters()).new_tensor(float(self.grid))

    def prepared(self, x: NodeMajor, order: int) -> Any:
        """What can be known of the inputs without the parameters, with derivatives up to ``order``."""
        return x

    @abc.abstractmethod
    def evaluate(self, prepared: Any, order: int) -> tuple[Sums, list[OfEdges], Any]:
        """The sums of the edges, the derivatives of the edges from the first up to ``order``, and ``known``."""

    @abc.abstractmethod
    def values(self, prepared: Any) -> OfEdges:
        """Each edge by itself."""

    @abc.abstractmethod
    def gradient(self, known: Any, factors: Factors) -> Float[Tensor, " parameters"]:
        """In all parameters, of the edges and their derivatives times ``factors``, summed over the points."""

    @abc.abstractmethod
    def jacobian(self, known: Any, factors: Factors, out: Float[Tensor, "parameters points"]) -> None:
        """Likewise, at each point."""

    def forward(self, x: Activations) -> Float[Tensor, "points outputs"]:
        """Sum of the edges into each output node, in operations that torch.func can transform, and that can be exported."""
        return self.values(self.prepared(x.T, 0)).sum(dim=0).T

    def edges(self, x: Activations) -> Float[Tensor, "points inputs outputs"]:
        """The value of each edge by itself."""
        return self.values(self.prepared(x.T, 0)).permute(2, 0, 1)

    @abc.abstractmethod
    def refine(self, grid: int) -> None:
        """Make the basis finer."""


class BasisKAN(EdgeNetwork):
    """Layers of edges ``[d, width, ..., outputs]``. Inputs of the first layer are expected in [-1, 1]."""

    def __init__(self, layers: Sequence[BasisLayer], fineness: str = "G") -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.fineness = fineness

    @property
    def grid(self) -> int:
        """How fine every layer is."""
        return self.own()[0].grid

    def own(self) -> list[BasisLayer]:
        """The layers."""
        return list(self.layers)  # type: ignore[arg-type]  # ModuleList does not know its element type

    def forward(self, x: Activations) -> Float[Tensor, "points outputs"]:
        """Outputs of shape ``(points, outputs)`` for inputs of shape ``(points, inputs)``."""
        for layer in self.own():
            x = layer(x)
        return x

    def jets_at(self, x: Activations, order: int) -> Sweep:
        """The jets at points that stay the same; what the first layer makes of them is prepared once a grid."""
        first, *others = self.own()
        warm_up(x.dtype)

        def here() -> list[Tensor]:
            return [first.stamp()]

        inputs = Kept(here, lambda: Channels.of_inputs(x.to(first.stamp()), order))
        prepared = Kept(here, lambda: first.prepared(inputs().value, order + 1))
        return Sweep(self, [_Row(first, prepared), *(_Row(layer) for layer in others)], inputs, order)

    def at(self, x: Activations) -> AtPoints:
        """The network at points that stay the same, for many evaluations."""
        return AtPoints(self, x)

    @torch.no_grad()
    def refine(self, grid: int) -> None:
        """As :meth:`harness.models.edges.EdgeNetwork.refine`. Parameters are new objects afterwards.

        Raises FloatingPointError when a parameter is not finite; then nothing has changed.
        """
        self.refuse_not_finite("refined")
        for layer in self.own():
            layer.refine(grid)


class AtPoints:
    """A network at points that stay the same. Follows whatever happens to it."""

    def __init__(self, network: BasisKAN, x: Activations) -> None:
        self._network = network
        self._x = x.detach().clone()
        self._jets = network.jets_at(self._x, 0)
        first = network.own()[0]
        self._prepared = Kept(
            lambda: [first.stamp()], lambda: first.prepared(self._x.to(first.stamp()).T.contiguous(), 1)
        )

    def __call__(self) -> Float[Tensor, "points outputs"]:
        """Outputs, as ``network(x)`` with a gradient in the parameters only."""
        return self._jets()

    def vjp(self) -> VJP:
        """See :func:`harness.models.interface.vjp`."""
        return self._jets.vjp()

    def penalised(self, lamb_entropy: float) -> tuple[Float[Tensor, "points outputs"], Float[Tensor, ""]]:
        """Outputs, and the penalty from the same values of the edges."""
        x = self._x.to(self._network.own()[0].stamp()).T.contiguous()
        total, prepared = x.new_zeros(()), self._prepared
        for number, layer in enumerate(self._network.own()):
            make = prepared if number == 0 else None
            values = _Values.apply(layer, make, x, *layer.parameters())  # type: ignore[no-untyped-call]
            total = total + sparsity(x, values, lamb_entropy)
            x = values.sum(dim=1)
        return x.T, total


class _Row(NamedTuple):
    """A layer of :class:`harness.models.sweep.Sweep`. ``prepared`` is what is known of inputs that stay the same."""

    layer: BasisLayer
    prepared: Callable[[], Any] | None = None

    def parameters(self) -> list[nn.Parameter]:
        """Of the layer."""
        return list(self.layer.parameters())

    def through(self, h: Channels, order: int) -> tuple[Channels, _Known]:
        """Sums of edges; those of derivatives by the chain rule in each edge."""
        prepared = self.prepared() if self.prepared else self.layer.prepared(h.value, order)
        value, edges, known = self.layer.evaluate(prepared, order)
        return summed(value, edges, h), (h, edges, known)

    def back(self, known: _Known, adjoint: Channels) -> Channels:
        """The same chain rule, the other way."""
        return back(known[0], known[1], adjoint)

    def gradient(self, known: _Known, adjoint: Channels) -> Float[Tensor, " parameters"]:
        """What the adjoints put on the edges and their derivatives, summed over the points."""
        return self.layer.gradient(known[2], [adjoint.value.unsqueeze(0), *in_edges(known[0], adjoint)])

    def jacobian(self, known: _Known, adjoint: Channels, out: Float[Tensor, "parameters points"]) -> None:
        """The same at each point."""
        self.layer.jacobian(known[2], [adjoint.value.unsqueeze(0), *in_edges(known[0], adjoint)], out)


_Known = tuple[Channels, list[OfEdges], Any]
"""Of a layer: its inputs, the derivatives of its edges there, and what it wants to find again."""


class _Values(torch.autograd.Function):
    """The edges of a layer by themselves, points last and outputs first, as one step of the gradient."""

    @staticmethod
    def forward(
        ctx: Any, layer: BasisLayer, make: Callable[[], Any] | None, x: Tensor, *parameters: Tensor
    ) -> Float[Tensor, "outputs inputs points"]:
        prepared = make() if make else layer.prepared(x, 1)
        _, edges, known = layer.evaluate(prepared, 1)
        ctx.save_for_backward(*parameters)
        ctx.rest = layer, edges, known
        return layer.values(prepared).transpose(0, 1).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        parameters = ctx.saved_tensors  # raises where they were changed in the meantime
        layer, edges, known = ctx.rest
        grad = grad.transpose(0, 1)
        of_x = (grad * edges[0]).sum(dim=1) if ctx.needs_input_grad[2] else None
        parts = layer.gradient(known, [grad]).split([p.numel() for p in parameters])
        return (None, None, of_x, *(part.view_as(p) for part, p in zip(parts, parameters, strict=True)))
