"""Edges with parameters inside: each is a function of its input and of a few numbers of its own.

A family gives the derivatives of its edges in the input, up to the third, and those of each of them in each number, up to the
second (:meth:`InsideLayer.look`). All are written out; the rest is in products and sums.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from harness.models.bases.network import BasisLayer, Factors, NodeMajor, Sums
from harness.models.edges import OfEdges


class Looked(NamedTuple):
    """Edges at their inputs."""

    edges: list[OfEdges]
    """Value and derivatives in the input."""
    numbers: list[list[Float[Tensor, "inputs outputs own points"]]]
    """For each parameter of the layer, the derivative of the value in each of its numbers, then that of the first derivative,
    and of the second."""


class InsideLayer(BasisLayer):
    """A layer of such edges; its parameters have the shape ``(inputs, outputs, numbers)``."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(n_in, n_out, dtype=torch.float64))

    @abc.abstractmethod
    def look(self, x: NodeMajor, order: int, numbers: bool) -> Looked:
        """Edges without the mask, with derivatives up to ``order``; ``numbers`` asks for those in the parameters too, of all but
        the highest of these: that is there for the way back only.
        """

    def refine(self, grid: int) -> None:
        """There is nothing finer: it has one stage."""

    @property
    def per_edge(self) -> int:
        """Its numbers."""
        return sum(parameter.shape[2] for parameter in self.parameters())

    def evaluate(self, prepared: NodeMajor, order: int) -> tuple[Sums, list[OfEdges], list[list[Tensor]]]:
        """All of it at once; the mask is in. Without a derivative there is no way back, and the numbers are not asked for."""
        looked = self.look(prepared, order, numbers=order > 0)
        mask = self.mask.unsqueeze(-1)
        value, *edges = (mask * each for each in looked.edges)
        return value.sum(dim=0), edges, looked.numbers

    def values(self, prepared: NodeMajor) -> OfEdges:
        """Each edge by itself."""
        return self.mask.unsqueeze(-1) * self.look(prepared, 0, numbers=False).edges[0]

    def gradient(self, known: list[list[Tensor]], factors: Factors) -> Float[Tensor, " parameters"]:
        """Factors times derivatives, summed over the points."""
        mask, parts = self.mask.unsqueeze(-1), []
        for of_parameter in known:
            first, *others = (
                torch.mul(factor.unsqueeze(2), each).sum(dim=3)
                for factor, each in zip(factors, of_parameter, strict=False)
            )
            parts.append((mask * sum(others, start=first)).flatten())
        return torch.cat(parts)

    def jacobian(self, known: list[list[Tensor]], factors: Factors, out: Float[Tensor, "parameters points"]) -> None:
        """Factors times derivatives at each point."""
        masked = [(self.mask.unsqueeze(-1) * factor).unsqueeze(2) for factor in factors]
        parameters = list(self.parameters())
        rows = out.split([parameter.numel() for parameter in parameters])
        for of_parameter, parameter, row in zip(known, parameters, rows, strict=True):
            own = row.view(*parameter.shape, -1)
            torch.mul(masked[0], of_parameter[0], out=own)
            for factor, each in zip(masked[1:], of_parameter[1:], strict=False):
                own.addcmul_(factor, each)
