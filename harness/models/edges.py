"""What all networks of edges share: masks, scores, the sparsity penalty, and the chain rule through a layer of sums.

The edges of a layer are functions of one variable, ``y_j = sum_i mask_ij phi_ij(x_i)``: splines (:mod:`harness.models.kan`) or
others (:mod:`harness.models.bases`). Plans, cuts and figures know a network by this class alone.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.models.channels import Along, Channels
from harness.models.sparsity import plain_sparsity

Activations = Float[Tensor, "points nodes"]
Scores = Float[Tensor, "_outputs _inputs"]  # of any layer: a list of them holds several shapes
OfEdges = Float[Tensor, "inputs outputs points"]


@runtime_checkable
class Penalised(Protocol):
    """A network at points that stay the same, as :meth:`EdgeNetwork.at` gives it."""

    def __call__(self) -> Float[Tensor, "points outputs"]:
        """Outputs, with a graph in the parameters."""

    def penalised(self, lamb_entropy: float) -> tuple[Float[Tensor, "points outputs"], Float[Tensor, ""]]:
        """Outputs, and :meth:`EdgeNetwork.penalty` from the same values of the edges."""


class EdgeLayer(nn.Module, abc.ABC):
    """One layer: sums of edges into each output node."""

    mask: Tensor
    """Of the shape ``(inputs, outputs)``; an edge at 0 is cut."""

    @property
    @abc.abstractmethod
    def per_edge(self) -> int:
        """Trainable numbers of a live edge."""

    @abc.abstractmethod
    def edges(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points inputs outputs"]:
        """The value of each edge by itself."""


class EdgeNetwork(nn.Module, abc.ABC):
    """Layers of edges. ``grid`` says how fine they are, and :meth:`refine` makes them finer where the basis has that."""

    layers: nn.ModuleList
    fineness = "G"
    """What a figure calls ``grid``."""

    def __iter__(self) -> Iterator[EdgeLayer]:
        return iter(self.layers)  # type: ignore[arg-type]  # ModuleList does not know its element type

    @property
    def grid(self) -> int:
        """How fine every layer is: grid intervals, or the degree; 1 for a basis that knows no such thing."""
        return 1

    @abc.abstractmethod
    def refine(self, grid: int) -> None:
        """Make every layer finer; the network stays the same function, as far as the finer basis can be it."""

    def update_grid(self, x: Activations) -> None:
        """Fit the layers to the activations that the points ``x`` cause; nothing unless a family has more to do."""

    @abc.abstractmethod
    def at(self, x: Activations) -> Penalised:
        """The network at points that stay the same, for many evaluations."""

    def measures(self) -> dict[str, float]:
        """Of each epoch: the grid and the edges that are alive."""
        return {"kan/grid": float(self.grid), "kan/active_edges": float(self.active_edges())}

    def active_edges(self) -> int:
        """Edges that the mask leaves alive."""
        return sum(int((layer.mask != 0).sum()) for layer in self)

    def active_parameters(self) -> int:
        """Live edges x the trainable numbers of one."""
        return sum(int((layer.mask != 0).sum()) * layer.per_edge for layer in self)

    def masks(self) -> list[Tensor]:
        """A copy of the mask of each layer, of the shape ``(inputs, outputs)``."""
        return [layer.mask.clone() for layer in self]

    @torch.no_grad()
    def set_masks(self, masks: list[Tensor]) -> None:
        """Keep the edges that the masks leave; see :mod:`harness.training.pruning` for masks that leave a network."""
        for layer, mask in zip(self, masks, strict=True):
            layer.mask.copy_(mask)

    @torch.no_grad()
    def attribute(self, x: Activations) -> tuple[list[Float[Tensor, " _nodes"]], list[Scores]]:
        """Attribution scores of nodes (inputs and hidden layers) and of edges, as pykan's ``MultKAN.attribute``.

        The output has score 1; an edge gets its node's score in proportion to its standard deviation over ``x``, and a
        node the sum over the edges that leave it. Edge scores have the shape ``(outputs, inputs)``.
        """
        edge_stds, node_stds = [], []
        for layer in self:
            edges = layer.edges(x)
            x = edges.sum(dim=1)
            edge_stds.append(edges.std(dim=0).T)
            node_stds.append(x.std(dim=0))
        # One row an output of the network; the scores are the mean over the rows.
        score = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        nodes, edges_ = [], []
        for edge_std, node_std in zip(reversed(edge_stds), reversed(node_stds), strict=True):
            edge = (score / (node_std + 1e-4))[:, :, None] * edge_std
            score = edge.sum(dim=1)
            nodes.append(score.mean(dim=0))
            edges_.append(edge.mean(dim=0))
        return nodes[::-1], edges_[::-1]

    def penalty(self, x: Activations, lamb_entropy: float) -> Float[Tensor, ""]:
        """Sparsity penalty: L1 norm of the edges' scales plus ``lamb_entropy`` x their entropy (eq. 2.17 to 2.20).

        The scale of an edge is that of pykan's ``edge_forward_spline_n``: its standard deviation over ``x``, divided by
        that of its input plus 0.1. The entropy is taken over the rows and the columns of each layer's scales.
        """
        total = x.new_zeros(())
        for layer in self:
            edges = layer.edges(x)
            total = total + plain_sparsity(x.T, edges.permute(2, 1, 0), lamb_entropy)
            x = edges.sum(dim=1)
        return total

    def refuse_not_finite(self, done: str) -> None:
        """Raise FloatingPointError when a parameter is not finite, before the grid is ``done`` anything to."""
        for name, parameter in self.named_parameters():
            if not parameter.isfinite().all():
                raise FloatingPointError(f"The grid can't be {done}: the parameter {name} is not finite.")


def take_shapes(module: nn.Module, state: dict[str, Tensor], prefix: str, names: tuple[str, ...]) -> None:
    """Give these tensors of a layer the shapes that a state has but for the last dimension: that of another stage fits, too."""
    for name in names:
        saved, own = state.get(prefix + name), getattr(module, name)
        if saved is not None and saved.shape != own.shape and saved.shape[:-1] == own.shape[:-1]:
            # A new object: a graph that is still alive remembers the old shape of the old one.
            new = own.detach().new_empty(saved.shape)
            setattr(module, name, nn.Parameter(new) if isinstance(own, nn.Parameter) else new)


def summed(value: Float[Tensor, "outputs points"], edges: list[OfEdges], h: Channels) -> Channels:
    """Sums of edges with their derivatives along the axes, by the chain rule in each edge.

    ``value`` are the sums themselves; ``edges`` are the derivatives of the edges at ``h``, from the first on.
    """
    slopes = curvatures = None
    if h.slopes is not None:
        slopes = _over_edges(edges[0], h.slopes)
        if h.curvatures is not None:
            curvatures = _over_edges(edges[0], h.curvatures) + _over_edges(edges[1], h.slopes.square())
    return Channels(value, slopes, curvatures)


def back(h: Channels, edges: list[OfEdges], adjoint: Channels) -> Channels:
    """The same chain rule, the other way; the edges' derivatives go one further."""
    value = adjoint.value * edges[0]
    for factor, edge in zip(in_edges(h, adjoint), edges[1:], strict=False):
        value.addcmul_(factor, edge)
    slopes, curvatures = ((None if p is None else (p.unsqueeze(1) * edges[0]).sum(dim=2)) for p in adjoint[1:])
    if slopes is not None and h.slopes is not None and adjoint.curvatures is not None:
        slopes.addcmul_((adjoint.curvatures.unsqueeze(1) * edges[1]).sum(dim=2), h.slopes, value=2)
    return Channels(value.sum(dim=1), slopes, curvatures)


def in_edges(h: Channels, adjoint: Channels) -> list[OfEdges]:
    """What the adjoints put on the first and the second derivative of each edge: b h_i + c h_ii, and c h_i^2."""
    found = []
    for ours, theirs in zip(adjoint[1:], h[1:], strict=True):
        if ours is not None and theirs is not None:
            found.append((ours.unsqueeze(1) * theirs.unsqueeze(2)).sum(dim=0))
    if adjoint.curvatures is not None and h.slopes is not None:
        squares = (adjoint.curvatures.unsqueeze(1) * h.slopes.square().unsqueeze(2)).sum(dim=0)
        found = [found[0] + found[1], squares]
    return found


def _over_edges(edges: OfEdges, h: Along) -> Float[Tensor, "axes outputs points"]:
    """Sums over the inputs of edge times input."""
    return (h.unsqueeze(2) * edges).sum(dim=1)
