"""A function as a tensor product: one coefficient for each combination of a basis function along each axis."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.models.classical.collocation import Grid
from harness.models.interface import Inputs, Outputs
from harness.models.jets import Jacobian, Seeds
from harness.problems.equation import Bounds, Equation
from harness.problems.rows import Jet

MOST = 2**23
"""Numbers that an evaluation holds at once (64 MiB); of more points it takes as many at a time as that allows."""
Weights = Float[Tensor, "points dimension functions"]
Times = Callable[[Tensor, Tensor], Tensor]
Channels = tuple[Tensor, list[Tensor], list[Tensor]]
"""A value, and its slopes and curvatures along the axes."""


class Product(nn.Module, abc.ABC):
    """``u(x) = sum_ij.. c_ij.. B_i(x_1) B_j(x_2) ..`` on [-1, 1]^d, with the same basis along each axis.

    A state dict of any size can be loaded into a product of any other.
    """

    what: ClassVar[str]
    """What a stage of its solving is called after, with the number of intervals between the nodes of an axis."""

    @abc.abstractmethod
    def solve(self, equation: Equation, intervals: int, bounds: Bounds) -> int:
        """Become the solution of an equation that has so many intervals along each axis; gives the systems that were solved."""

    @classmethod
    @abc.abstractmethod
    def needs(cls, equation: Equation, intervals: int, bounds: Bounds) -> float:
        """Bytes that :meth:`solve` takes. Allocates nothing that grows with the intervals."""

    def __init__(self, dimension: int, size: int) -> None:
        super().__init__()
        self.set(torch.zeros((size,) * dimension, dtype=torch.float64))

    @abc.abstractmethod
    def basis(self, x: Inputs, order: int) -> tuple[Int[Tensor, "points dimension functions"] | None, list[Weights]]:
        """The basis functions along each axis that are not zero at the points: which ones, None for all; and their values,
        followed by their derivatives up to ``order``.
        """

    def set(self, coefficients: Tensor) -> None:
        """Become the function of these coefficients, of the shape ``(size,) * dimension``."""
        self.coefficients = nn.Parameter(coefficients)

    @property
    def size(self) -> int:
        """The basis functions along an axis."""
        return self.coefficients.shape[0]

    def forward(self, x: Inputs) -> Outputs:
        """Values ``(points, 1)``."""
        parts = x.split(self._at_once(1)) if len(x) else [x]
        if len(parts) == 1:
            return self._value(x)
        # What a part keeps for its gradient is made again when that is wanted.
        return torch.cat([checkpoint(self._value, part, use_reentrant=False) for part in parts])

    def at_nodes(self, grid: Grid) -> Float[Tensor, " nodes"]:
        """Its values at the nodes of another grid than its own."""
        with torch.no_grad():
            x = grid.scaled.to(self.coefficients.device)
            return torch.cat([self._value(part) for part in x.split(self._at_once(1))]).flatten().cpu()

    def _value(self, x: Inputs) -> Outputs:
        which, weights = self.basis(x, 0)
        return self._channels(which, weights)[0]

    def _at_once(self, channels: int) -> int:
        """Points."""
        dimension = self.coefficients.ndim
        return max(1, MOST // (channels * int(self.size ** (dimension - dimension // 2))))

    def _channels(self, which: Tensor | None, weights: Sequence[Weights]) -> Channels:
        """Value, slopes and curvatures, as far as there are weights.

        Where all coefficients belong to each point, those of the first half of the axes are summed by one product of matrices.
        """
        if which is not None:
            block = self.coefficients.flatten()[self._columns(which)]
            return along_axes((block, [], []), _contract, weights)
        half = max(1, self.coefficients.ndim // 2)
        ones = torch.ones_like(weights[0][:, 0, :1])
        matrix = self.coefficients.reshape(self.size**half, -1)
        value, slopes, curvatures = along_axes((ones, [], []), _outer, [each[:, :half] for each in weights])
        summed = value @ matrix, [each @ matrix for each in slopes], [each @ matrix for each in curvatures]
        return along_axes(summed, _contract, [each[:, half:] for each in weights])

    def _columns(self, which: Int[Tensor, "points dimension functions"]) -> Int[Tensor, "points coefficients"]:
        """The numbers of the coefficients that belong to each point."""
        columns = torch.zeros_like(which[:, 0, :1])
        for axis in range(which.shape[1]):
            columns = (columns.unsqueeze(2) * self.size + which[:, axis].unsqueeze(1)).flatten(1)
        return columns

    def jet(self, x: Inputs, order: int) -> Jet:
        """Value and derivatives up to ``order`` (1 or 2) along each axis, with a graph in the coefficients."""
        jets = [self._jet(part, order) for part in (x.split(self._at_once(1 + order)) if len(x) else [x])]
        if len(jets) == 1:
            return jets[0]
        slopes, curvatures = (
            [part for part in parts if part is not None] for parts in list(zip(*jets, strict=True))[1:]
        )
        value = torch.cat([each.value for each in jets])
        return Jet(value, torch.cat(slopes), torch.cat(curvatures) if curvatures else None)

    def _jet(self, x: Inputs, order: int) -> Jet:
        which, weights = self.basis(x, order)
        value, slopes, curvatures = self._channels(which, weights)
        return Jet(value, *(torch.stack(part, dim=2) if part else None for part in (slopes, curvatures)))

    @torch.no_grad()
    def jet_jacobian(self, x: Inputs, seeds: Seeds) -> Jacobian:
        """Derivative at each point in each coefficient of the combination of the jet that ``seeds`` say."""
        which, weights = self.basis(x, seeds.order())
        found = along_axes((x.new_ones(len(x), 1), [], []), _outer, weights)
        total = seeds.a * found[0]
        for factors, parts in zip(seeds[1:], found[1:], strict=True):
            for axis, part in enumerate(parts):
                assert factors is not None
                total += factors[:, :, axis] * part
        if which is None:
            return total
        return total.new_zeros(len(x), self.coefficients.numel()).scatter_(1, self._columns(which), total)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        given = state_dict.get(f"{prefix}coefficients")
        if given is not None and given.shape != self.coefficients.shape and given.ndim == self.coefficients.ndim:
            self.set(torch.empty_like(given, device=self.coefficients.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def exported(self) -> nn.Module:
        """The same function without parts, which an exported program can't decide on."""
        return _Exported(self)


class _Exported(nn.Module):
    """All points at once."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self.product = product

    def forward(self, x: Inputs) -> Outputs:
        return self.product._value(x)


def along_axes(start: Channels, times: Times, weights: Sequence[Weights]) -> Channels:
    """The product of ``start`` with the basis along each axis; what is common to several derivatives is computed once."""
    value, slopes, curvatures = start
    for axis in range(weights[0].shape[1]):
        of_axis = [each[:, axis] for each in weights]
        slopes = [times(each, of_axis[0]) for each in slopes]
        curvatures = [times(each, of_axis[0]) for each in curvatures]
        if len(weights) > 1:
            slopes.append(times(value, of_axis[1]))
        if len(weights) > 2:
            curvatures.append(times(value, of_axis[2]))
        value = times(value, of_axis[0])
    return value, slopes, curvatures


def _contract(rows: Float[Tensor, "points coefficients"], weights: Float[Tensor, "points functions"]) -> Tensor:
    """Sum over the first axis that is left of the coefficients."""
    points, functions = weights.shape
    return torch.bmm(weights.unsqueeze(1), rows.view(points, functions, -1)).squeeze(1)


def _outer(rows: Float[Tensor, "points products"], weights: Float[Tensor, "points functions"]) -> Tensor:
    """Each product so far times each function of the next axis."""
    return (rows.unsqueeze(2) * weights.unsqueeze(1)).flatten(1)
