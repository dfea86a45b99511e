"""Products of functions of one input each, of which some are chosen: by a row of numbers for each product."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from harness.models.classical.expansion import Features, LeastSquares
from harness.models.classical.product import Weights, along_axes
from harness.models.interface import Inputs

Indices = Int[Tensor, "products dimension"]


class Truncated(LeastSquares):
    """``sum_n c_n prod_j B_(i_nj)(x_j)``, with the same functions B along each axis, of which B_0 is 1."""

    indices: Indices

    def __init__(self, dimension: int, outputs: int) -> None:
        super().__init__(1, outputs)
        self.hold(indices=torch.zeros(1, dimension, dtype=torch.int64))

    @abc.abstractmethod
    def basis(self, x: Inputs, order: int) -> list[Weights]:
        """The functions along each axis, followed by their derivatives up to ``order``."""

    def features(self, x: Inputs, order: int) -> Features:
        """Of each product value, slopes and curvatures."""
        return products(self.basis(x, order), self.indices)

    def choose(self, indices: Indices) -> None:
        """Take these products, with coefficients of 0."""
        self.hold(indices=indices)
        self.set(self.coefficients.new_zeros(len(indices), self.outputs))


def products(weights: Sequence[Weights], indices: Indices) -> Features:
    """The products that ``indices`` say of functions along the axes, and their derivatives as far as there are weights."""
    where = indices.T.unsqueeze(0).expand(weights[0].shape[0], -1, -1)
    chosen = [each.gather(2, where) for each in weights]
    ones = torch.ones_like(chosen[0][:, 0])
    value, slopes, curvatures = along_axes((ones, [], []), torch.mul, chosen)
    return Features(value, *(torch.stack(part) if part else None for part in (slopes, curvatures)))


def of_degree(dimension: int, degree: int, *, tensor: bool) -> Indices:
    """Those whose numbers add up to ``degree`` at most; ``tensor``: of which none is larger."""
    if tensor:
        return _table(itertools.product(range(degree + 1), repeat=dimension), dimension)
    # A multiset of axes for each product, where an axis that there is none of takes what is left of the degree.
    multisets = itertools.combinations_with_replacement(range(dimension + 1), degree)
    return _table(sorted(tuple(map(each.count, range(dimension))) for each in multisets), dimension)


def of_interactions(dimension: int, functions: int, order: int) -> Indices:
    """Those in which ``order`` inputs at most take part, each by one of ``functions`` besides the constant."""
    found = []
    for taking in range(order + 1):
        for axes in itertools.combinations(range(dimension), taking):
            for numbers in itertools.product(range(1, functions + 1), repeat=taking):
                row = [0] * dimension
                for axis, number in zip(axes, numbers, strict=True):
                    row[axis] = number
                found.append(tuple(row))
    return _table(found, dimension)


def _table(rows: Iterable[tuple[int, ...]], dimension: int) -> Indices:
    return torch.tensor(list(rows), dtype=torch.int64).view(-1, dimension)
