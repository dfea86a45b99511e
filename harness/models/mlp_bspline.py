"""Fully connected network whose activations are trained splines.

Yu et al. 2024, "KAN or MLP: A Fairer Comparison", arXiv:2407.16674: what of a KAN's success is due to its splines. As in the
paper's code each unit has a spline of its own, sum_i coef_i B_i(x), on a grid that stays; there is no silu beside it, and
beyond the knots it is zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from harness.config import MLPBSplineConfig
from harness.models import compiled, piecewise
from harness.models.bspline import bspline_basis, extend, fit_coefficients
from harness.models.channels import Channels, Units
from harness.models.jets import plain
from harness.models.mlp import initialised_by_torch, linear
from harness.models.perceptron import Dense, Perceptron, activated, through_activation
from harness.models.piecewise import Pieces, Weights
from harness.models.sweep import Kept, Layer, Sweep, same


class Splines(nn.Module):
    """A spline of degree ``k`` for each unit. It starts as the fit of noise at the knots, U(-noise / 2G, noise / 2G)."""

    grid: Tensor

    def __init__(self, units: int, grid: int, span: float, k: int, noise: float, generator: torch.Generator) -> None:
        super().__init__()
        self.k = k
        interior = torch.linspace(-span, span, grid + 1, dtype=torch.float64).expand(units, -1)
        values = (torch.rand(grid + 1, units, generator=generator, dtype=torch.float64) - 0.5) * noise / grid
        self.register_buffer("grid", extend(interior, k).contiguous())
        self.coef = nn.Parameter(
            fit_coefficients(interior.T, values.unsqueeze(-1), self.grid, k).squeeze(1).contiguous()
        )
        self._pieces: Pieces | None = None

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Each unit's spline."""
        if plain():
            return piecewise.edges(x.T.contiguous(), self.weights(), self.pieces(), self.k).squeeze(0).T
        return (bspline_basis(x, self.grid, self.k) * self.coef).sum(dim=-1)

    def weights(self) -> Weights:
        """For :mod:`harness.models.piecewise`: edges from each unit into one node, in which silu has no part."""
        return pad(self.coef, (0, 1)).unsqueeze(0)

    def pieces(self) -> Pieces:
        """The polynomials between the knots, computed anew when the knots are not those of the last time."""
        if self._pieces is None or not same(self._pieces.knots, self.grid):
            self._pieces = piecewise.pieces(self.grid, self.k)
        return self._pieces


class _Activations(NamedTuple):
    """Splines of the units: a layer of :class:`harness.models.sweep.Sweep`."""

    splines: Splines

    def parameters(self) -> list[nn.Parameter]:
        """The coefficients."""
        return [self.splines.coef]

    @torch.no_grad()
    def warm_up(self) -> None:
        """Have the loops compiled, or loaded from where they were kept, before anybody's clock runs."""
        one = Channels(torch.zeros_like(self.splines.coef[:, :1]))
        self.gradient(self.through(one, 1)[1], one)

    def through(self, z: Channels, order: int) -> tuple[Channels, _Known]:
        """Each unit's spline, its derivatives by the chain rule; values and first derivatives by compiled loops."""
        splines = self.splines
        if order <= 1 and compiled.takes(z.value) and splines.grid.dtype == z.value.dtype:
            known = compiled.units(splines.coef, splines.pieces(), z.value)
            f = [known.value, known.slope]
            return activated(f, z), (f, z, known)
        found = piecewise.edges_and_slopes(z.value, splines.weights(), splines.pieces(), splines.k, order)
        f = [each.squeeze(0) for each in found]
        return activated(f, z), (f, z, None)

    def back(self, known: _Known, adjoint: Channels) -> Channels:
        """Through the activation."""
        return through_activation(known[0], known[1], adjoint)

    def gradient(self, known: _Known, adjoint: Channels) -> Float[Tensor, " parameters"]:
        """What the adjoints put on each derivative of a spline, times that of each B-spline, summed over the points."""
        _, z, located = known
        splines, factors = self.splines, _on_derivatives(z, adjoint)
        if located is not None and len(factors) == 1:
            return compiled.units_gradient(splines.coef, splines.pieces(), located, factors[0]).flatten()
        factors = [each.unsqueeze(0) for each in factors]
        found = piecewise.gradient(z.value, splines.weights(), splines.pieces(), splines.k, factors)
        return found[0, :, :-1].flatten()

    def jacobian(self, known: _Known, adjoint: Channels, out: Float[Tensor, "parameters points"]) -> None:
        """The same at each point."""
        z, splines = known[1], self.splines
        factors = _on_derivatives(z, adjoint)
        features = piecewise.features(z.value, splines.pieces(), splines.k, len(factors) - 1)
        of_coef = out.view(*splines.coef.shape, -1)
        torch.mul(factors[0].unsqueeze(1), features[0][:, :-1], out=of_coef)
        for factor, each in zip(factors[1:], features[1:], strict=True):
            of_coef.addcmul_(factor.unsqueeze(1), each[:, :-1])


_Known = tuple[list[Units], Channels, compiled.OfUnits | None]
"""Of a layer: its splines with their derivatives, the units that they were taken of, and what compiled loops know of these."""


def _on_derivatives(z: Channels, adjoint: Channels) -> list[Units]:
    """The adjoints of f, f' and f'' in ``activated(f, z)``: a, b z_i + c z_ii, and c z_i^2, summed over the axes."""
    value, b, c = adjoint
    if b is None or z.slopes is None:
        return [value]
    first = (b * z.slopes).sum(dim=0)
    if c is None or z.curvatures is None:
        return [value, first]
    return [value, first + (c * z.curvatures).sum(dim=0), (c * z.slopes.square()).sum(dim=0)]


class SplinePerceptron(Perceptron):
    """Linear layers with trained splines between each two."""

    def at(self, x: Float[Tensor, "points inputs"]) -> Callable[[], Float[Tensor, "points outputs"]]:
        """The network at points that stay the same, differentiable once and in the parameters only."""
        return self.jets_at(x, 0)

    def jets_at(self, x: Float[Tensor, "points inputs"], order: int) -> Sweep:
        """The jets at points that stay the same."""
        layers: list[Layer] = []
        for each in self:
            if isinstance(each, nn.Linear):
                layers.append(Dense(each, None))
            elif isinstance(each, Splines):
                layers.append(activations := _Activations(each))
                activations.warm_up()
        return Sweep(self, layers, Kept(list, lambda: Channels.of_inputs(x, order)), order)


def mlp_bspline(
    config: MLPBSplineConfig, dimension: int, generator: torch.Generator, outputs: int = 1
) -> SplinePerceptron:
    """``depth`` hidden layers of ``width`` units and a linear output; linear layers start as torch has them, as in the code."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise([dimension, *[config.width] * config.depth, outputs]):
        layers += [
            initialised_by_torch(linear(n_in, n_out), generator),
            Splines(n_out, config.grid, config.grid_range, config.k, config.noise, generator),
        ]
    return SplinePerceptron(*layers[:-1])
