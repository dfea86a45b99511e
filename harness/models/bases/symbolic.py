"""Edges that are known functions: ``c f(a x + b) + d`` with f by its name and four numbers, what pykan calls ``affine``.

Liu et al. 2024, section 2.5.1. pykan's own layer evaluates edge by edge; here those of a name are one operation, and their
derivatives are written out, so that all numbers of a formula are trained like any other network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.models.bases.inside import InsideLayer, Looked
from harness.models.bases.network import BasisKAN

Derivatives = Callable[[Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]
"""A function of one variable and its derivatives up to the third."""


def _power(n: int) -> Derivatives:
    def derivatives(v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        found, factor = [], 1.0
        for exponent in range(n, n - 4, -1):
            found.append(factor * v ** max(exponent, 0))
            factor *= max(exponent, 0)
        return found[0], found[1], found[2], found[3]

    return derivatives


def _exp(v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    e = torch.exp(v)
    return e, e, e, e


def _tanh(v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    t = torch.tanh(v)
    first = 1 - t * t
    return t, first, -2 * t * first, first * (6 * t * t - 2)


def _sin(v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sine, cosine = torch.sin(v), torch.cos(v)
    return sine, cosine, -sine, -cosine


def _gaussian(v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g, square = torch.exp(-v * v), v * v
    return g, -2 * v * g, (4 * square - 2) * g, (12 - 8 * square) * v * g


FUNCTIONS: dict[str, tuple[str, Derivatives]] = {
    "x": ("x", _power(1)),
    "x^2": ("x**2", _power(2)),
    "x^3": ("x**3", _power(3)),
    "x^4": ("x**4", _power(4)),
    "exp": ("exp(x)", _exp),
    "tanh": ("tanh(x)", _tanh),
    "sin": ("sin(x)", _sin),
    "gaussian": ("exp(-x**2)", _gaussian),
}
"""By pykan's names, each as sympy reads it, and to compute with. Smooth, and defined everywhere, so that no training of their
parameters leads out of a domain; pykan's own library has 20 more, with poles, jumps and square roots."""


class SymbolicEdges(NamedTuple):
    """What a layer consists of."""

    functions: Sequence[Sequence[str]]
    """Names, of the shape ``(inputs, outputs)``; that of an edge that is cut counts for nothing."""
    affine: Tensor
    """a, b, c and d, of the shape ``(inputs, outputs, 4)``."""
    mask: Tensor
    """Of the shape ``(inputs, outputs)``."""


class SymbolicLayer(InsideLayer):
    """One layer of known functions."""

    def __init__(self, edges: SymbolicEdges) -> None:
        n_in, n_out = edges.mask.shape
        super().__init__(n_in, n_out)
        self.mask.copy_(edges.mask)
        self.affine = nn.Parameter(edges.affine.detach().clone())
        self.functions = edges.functions
        names = [name for of_input in edges.functions for name in of_input]
        self._places = {name: [n for n, each in enumerate(names) if each == name] for name in dict.fromkeys(names)}
        self._back = torch.tensor([place for places in self._places.values() for place in places]).argsort()

    def look(self, x: Tensor, order: int, numbers: bool) -> Looked:
        """The n-th derivative is c a^n f_n(v), v = a x + b; that in a is c (a^n f_{n+1} x + n a^{n-1} f_n)."""
        a, b, c, d = self.affine.unsqueeze(-2).unbind(-1)
        x = x.unsqueeze(1)
        f = self._derivatives(a * x + b)
        edges = [c * f[0] + d, *((c * a**n) * f[n] for n in range(1, order + 1))]
        if not numbers:
            return Looked(edges, [])
        of = []
        for n in range(order):
            grown = (c * a**n) * f[n + 1]
            of_a = grown * x + (n * c * a ** (n - 1)) * f[n] if n else grown * x
            of_d = torch.ones_like(f[0]) if n == 0 else torch.zeros_like(f[0])
            of.append(torch.stack([of_a, grown, a**n * f[n], of_d], dim=2))
        return Looked(edges, [of])

    def _derivatives(self, v: Tensor) -> list[Tensor]:
        """Name by name, then in the order of the edges again."""
        flat = v.flatten(0, 1)
        parts = [FUNCTIONS[name][1](flat[places]) for name, places in self._places.items()]
        return [torch.cat(each)[self._back].view_as(v) for each in zip(*parts, strict=True)]


def symbolic_kan(layers: Sequence[SymbolicEdges]) -> BasisKAN:
    """The network of such layers, in float64."""
    return BasisKAN([SymbolicLayer(each) for each in layers])
