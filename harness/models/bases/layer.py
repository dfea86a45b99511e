"""Edges that are fixed functions of one variable times coefficients: ``phi_ij(x) = sum_m coef_ijm B_m(s(x))``.

A family gives the functions B with their derivatives (:class:`Basis`). Most of them live on [-1, 1] and nowhere else. The inputs
of a network are there; what goes into a hidden layer is brought there by s = tanh (Sidharth and Gokul 2024, arXiv:2405.07200,
who have it in the first layer too, where it would spoil what polynomials are exact for). A norm over the nodes of a
layer (FastKAN, arXiv:2405.06721) would do as well, but then no edge is a function of one variable.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from harness.models.activations import silu_derivative
from harness.models.bases.network import BasisKAN, BasisLayer, Factors, NodeMajor, Sums
from harness.models.edges import OfEdges, take_shapes
from harness.models.elementary import bell, tanh

Features = Float[Tensor, "inputs functions points"]


@runtime_checkable
class Basis(Protocol):
    """Fixed functions of one variable."""

    @property
    def squash(self) -> bool:
        """Whether hidden layers bring their inputs into [-1, 1]."""

    @property
    def base(self) -> bool:
        """Whether silu of the input, as it is, comes last among the functions."""

    @property
    def nested(self) -> bool:
        """Whether a finer basis begins with the functions of a coarser one."""

    def functions(self, grid: int) -> int:
        """How many there are, without silu."""

    def grid(self, functions: int) -> int:
        """The other way round."""

    def __call__(self, u: NodeMajor, grid: int, order: int) -> list[Features]:
        """All of them at ``u``, then their derivatives up to ``order``, at most 3."""


class FixedLayer(BasisLayer):
    """One layer; its coefficients are normal numbers that keep the mean square of what goes through it."""

    def __init__(self, n_in: int, n_out: int, grid: int, basis: Basis, inner: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.basis = basis
        self.inner = inner and basis.squash
        count = basis.functions(grid) + basis.base
        normal = torch.randn(n_in, n_out, count, generator=generator, dtype=torch.float64)
        self.register_buffer("mask", torch.ones(n_in, n_out, dtype=torch.float64))
        self.coef = nn.Parameter(normal)
        with torch.no_grad():
            # The mean square of an output is 1 for even inputs, as Rigas et al. 2025, arXiv:2509.03417, have it for splines.
            even = torch.linspace(-1, 1, 1001, dtype=torch.float64).unsqueeze(0)
            self.coef.div_((n_in * self.prepared(even, 0)[0].square().mean(dim=2).sum()).sqrt())

    @property
    def grid(self) -> int:
        """The stage that it is on."""
        return self.basis.grid(self.coef.shape[2] - self.basis.base)

    @property
    def per_edge(self) -> int:
        """A coefficient of each function."""
        return self.coef.shape[2]

    def weights(self) -> Float[Tensor, "inputs outputs functions"]:
        """The coefficients of the edges that are left."""
        return self.coef * self.mask.unsqueeze(-1)

    def prepared(self, x: NodeMajor, order: int) -> list[Features]:
        """The functions at ``x``, then their derivatives up to ``order``."""
        u = tanh(x) if self.inner else x
        found = self.basis(u, self.grid, order)
        if self.inner and order > 0:
            found = _within_tanh(found, u)
        if self.basis.base:
            found = [
                torch.cat([each, (silu_derivative(x, n) if n else silu(x)).unsqueeze(1)], dim=1)
                for n, each in enumerate(found)
            ]
        return found

    def evaluate(self, prepared: list[Features], order: int) -> tuple[Sums, list[OfEdges], list[Features]]:
        """The sums in one product of matrices; of the derivatives each edge."""
        weights = self.weights()
        value = weights.transpose(0, 1).flatten(1) @ prepared[0].flatten(0, 1)
        return value, [torch.bmm(weights, each) for each in prepared[1 : order + 1]], prepared

    def values(self, prepared: list[Features]) -> OfEdges:
        """Each edge by itself."""
        return torch.bmm(self.weights(), prepared[0])

    def forward(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """Sum of the edges into each output node."""
        return (self.weights().transpose(0, 1).flatten(1) @ self.prepared(x.T, 0)[0].flatten(0, 1)).T

    def gradient(self, known: list[Features], factors: Factors) -> Float[Tensor, " parameters"]:
        """Factors times functions, in products of matrices."""
        found = factors[0] @ known[0].transpose(1, 2)
        for factor, each in zip(factors[1:], known[1:], strict=False):
            found = torch.baddbmm(found, factor, each.transpose(1, 2))
        return (found * self.mask.unsqueeze(-1)).flatten()

    def jacobian(self, known: list[Features], factors: Factors, out: Float[Tensor, "parameters points"]) -> None:
        """Factors times functions at each point."""
        rows = out.view(*self.coef.shape, -1)
        torch.mul((factors[0] * self.mask.unsqueeze(-1)).unsqueeze(2), known[0].unsqueeze(1), out=rows)
        for factor, each in zip(factors[1:], known[1:], strict=False):
            rows.addcmul_((factor * self.mask.unsqueeze(-1)).unsqueeze(2), each.unsqueeze(1))

    @torch.no_grad()
    def refine(self, grid: int) -> None:
        """Go over to a finer basis: exactly, where that begins with the same functions, else by least squares on [-1, 1]."""
        count = self.basis.functions(grid)
        own, base = self.coef.split([self.coef.shape[2] - self.basis.base, int(self.basis.base)], dim=2)
        if self.basis.nested:
            coef = torch.cat([own, own.new_zeros(*own.shape[:2], count - own.shape[2])], dim=2)
        else:
            u = torch.linspace(-1, 1, 4 * count + 1, dtype=own.dtype, device=own.device).unsqueeze(0)
            old, new = (self.basis(u, each, 0)[0][0].T for each in (self.grid, grid))
            driver = "gelsd" if u.device.type == "cpu" else "gels"
            curves = (old @ own.flatten(0, 1).T).contiguous()
            coef = torch.linalg.lstsq(new, curves, driver=driver).solution.T.unflatten(0, own.shape[:2])
        self.coef = nn.Parameter(torch.cat([coef, base], dim=2).contiguous())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        take_shapes(self, state_dict, prefix, ("coef",))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _within_tanh(found: list[Features], t: NodeMajor) -> list[Features]:
    """Derivatives of f(tanh(x)) in x from those of f: the rule of Faa di Bruno, up to the third."""
    t = t.unsqueeze(1)
    first = 1 - t * t
    result = [found[0], found[1] * first]
    if len(found) > 2:
        second = -2 * t * first
        result.append(found[2] * first**2 + found[1] * second)
    if len(found) > 3:
        third = first * (6 * t * t - 2)
        result.append(found[3] * first**3 + 3 * found[2] * (first * second) + found[1] * third)
    return result


def network(
    basis: Basis, sizes: Sequence[int], grid: int, generator: torch.Generator, fineness: str = "degree"
) -> BasisKAN:
    """Layers of these functions, ``[d, width, ..., outputs]``, on the first stage."""
    layers = [
        FixedLayer(n_in, n_out, grid, basis, number > 0, generator)
        for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes))
    ]
    return BasisKAN(layers, fineness)


class Polynomials:
    """What bases of polynomials, one of each degree, have in common."""

    squash, base, nested = True, False, True

    def functions(self, grid: int) -> int:
        """One of each degree."""
        return grid + 1

    def grid(self, functions: int) -> int:
        """The highest degree."""
        return functions - 1


def by_recurrence(u: NodeMajor, degree: int, order: int, factors: Sequence[tuple[float, float]]) -> list[Features]:
    """Polynomials p_0 = 1, p_1 = u, p_{n+1} = a_n u p_n - b_n p_{n-1} up to a degree, and their derivatives; ``factors`` are
    (a_n, b_n) from n = 1 on.
    """
    one = torch.ones_like(u)
    zero = torch.zeros_like(u)
    found = [[one, u], [zero, one], [zero, zero], [zero, zero]][: order + 1]
    for n in range(1, degree):
        a, b = factors[n - 1]
        for m in range(order, -1, -1):
            rising = u * found[m][n] + m * found[m - 1][n] if m else u * found[0][n]
            found[m].append(a * rising - b * found[m][n - 1])
    return [torch.stack(each[: degree + 1], dim=1) for each in found]


def hermite_functions(v: Tensor, count: int) -> list[Tensor]:
    """He_n(v) exp(-v^2/2) with the Hermite polynomials of the probabilists, the first ``count``; the derivative of each is
    the next one with its sign turned.
    """
    found = [bell(v, 0.5)]
    found.append(v * found[0])
    for n in range(1, count - 1):
        found.append((v * found[n]).sub_(found[n - 1], alpha=n))
    return found[:count]
