"""Kolmogorov-Arnold network: every edge carries a learnable function of one variable.

Liu et al. 2024, "KAN: Kolmogorov-Arnold Networks", arXiv:2404.19756. The function of an edge is

    phi(x) = scale_base silu(x) + scale_sp sum_i coef_i B_i(x)        (eq. 2.10 and 2.11)

with B-splines B_i of degree k on a grid of G intervals. The parameters are those of pykan 0.2.8's ``MultKAN``, layer by
layer and with the same shapes; the computation is not: all edges of a layer are one matrix product.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from harness.config import KANConfig

Activations = Float[Tensor, "points nodes"]
Knots = Float[Tensor, "inputs knots"]
Scores = Float[Tensor, "outputs inputs"]


def bspline_basis(x: Float[Tensor, "points inputs"], knots: Knots, k: int) -> Float[Tensor, "points inputs bases"]:
    """The G + k B-splines of degree ``k`` at ``x``, by the recursion of Cox and de Boor.

    ``knots`` holds the G + 1 knots of the grid and k more at each end. Outside of all knots every spline is zero; a NaN
    stays NaN. An interval of width zero contributes nothing (the convention 0/0 = 0 of de Boor 1978, chapter IX).
    """
    x = x.unsqueeze(-1)
    basis = ((x >= knots[:, :-1]) & (x < knots[:, 1:])).to(x.dtype)
    for degree in range(1, k + 1):
        span = knots[:, degree:] - knots[:, :-degree]
        inverse = torch.where(span > 0, 1 / span, torch.zeros_like(span))
        rising = (x - knots[:, : -degree - 1]) * inverse[:, :-1]
        falling = (knots[:, degree + 1 :] - x) * inverse[:, 1:]
        basis = rising * basis[..., :-1] + falling * basis[..., 1:]
    return basis


def fit_coefficients(
    x: Float[Tensor, "points inputs"], y: Float[Tensor, "points inputs outputs"], knots: Knots, k: int
) -> Float[Tensor, "inputs outputs bases"]:
    """Least-squares spline coefficients of the curves ``y`` through the points ``x``; of several solutions the smallest.

    Raises FloatingPointError when an input is not finite or the solver finds no finite solution.
    """
    basis = bspline_basis(x, knots, k).transpose(0, 1)
    if not (basis.isfinite().all() and y.isfinite().all()):
        raise FloatingPointError("a spline can't be fitted to points that are not finite")
    # By singular values, which also takes grids with more splines than points.
    driver = "gelsd" if x.device.type == "cpu" else "gels"
    solution: Tensor = torch.linalg.lstsq(basis, y.transpose(0, 1), driver=driver).solution.transpose(1, 2)
    if not solution.isfinite().all():
        raise FloatingPointError("the least-squares fit of a spline is not finite")
    return solution


def extend(grid: Knots, k: int) -> Knots:
    """The grid with k knots more at each end, at its mean spacing (pykan's ``extend_grid``)."""
    step = (grid[:, -1:] - grid[:, :1]) / (grid.shape[1] - 1)
    outward = step * torch.arange(1, k + 1, dtype=grid.dtype, device=grid.device)
    return torch.cat([grid[:, :1] - outward.flip(1), grid, grid[:, -1:] + outward], dim=1)


class KANLayer(nn.Module):
    """One layer: ``y_j = sum_i mask_ij phi_ij(x_i)``, with the parameters and shapes of pykan's ``KANLayer``."""

    grid: Tensor
    mask: Tensor

    def __init__(self, n_in: int, n_out: int, grid: int, k: int, noise: float, generator: torch.Generator) -> None:
        super().__init__()
        self.k = k

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        interior = torch.linspace(-1, 1, grid + 1, dtype=torch.float64).expand(n_in, -1)
        values = (uniform(grid + 1, n_in, n_out) - 0.5) * noise / grid
        self.register_buffer("grid", extend(interior, k).contiguous())
        self.register_buffer("mask", torch.ones(n_in, n_out, dtype=torch.float64))
        self.coef = nn.Parameter(fit_coefficients(interior.T, values, self.grid, k).contiguous())
        self.scale_base = nn.Parameter((2 * uniform(n_in, n_out) - 1) / math.sqrt(n_in))
        self.scale_sp = nn.Parameter(torch.full((n_in, n_out), 1 / math.sqrt(n_in), dtype=torch.float64))

    @property
    def intervals(self) -> int:
        """G, the number of grid intervals."""
        return self.grid.shape[1] - 1 - 2 * self.k

    def forward(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """Sum of the edges into each output node."""
        splines = (self.coef * (self.scale_sp * self.mask).unsqueeze(-1)).transpose(1, 2).flatten(0, 1)
        return silu(x) @ (self.scale_base * self.mask) + bspline_basis(x, self.grid, self.k).flatten(1) @ splines

    def edges(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points inputs outputs"]:
        """The value of each edge by itself (pykan's ``postacts``)."""
        splines = torch.einsum("pib,iob->pio", bspline_basis(x, self.grid, self.k), self.coef)
        return self.mask * (self.scale_base * silu(x).unsqueeze(-1) + self.scale_sp * splines)

    def set_grid(self, interior: Knots) -> None:
        """Move to a new grid, any number of intervals, and fit the coefficients to the curves as they were."""
        k, old = self.k, self.grid
        # Where the new grid reaches beyond the old one the old curves go on as they were defined there: to zero.
        ratio = torch.linspace(0, 1, 4 * (interior.shape[1] - 1) + k + 1, dtype=interior.dtype, device=interior.device)
        position = ratio * (interior.shape[1] - 1)
        left = position.floor().long().clamp(max=interior.shape[1] - 2)
        points = torch.lerp(interior[:, left], interior[:, left + 1], position - left).T
        curves = torch.einsum("pib,iob->pio", bspline_basis(points, old, k), self.coef.detach())
        knots = extend(interior, k).contiguous()
        coef = fit_coefficients(points, curves, knots, k).contiguous()
        self.grid, self.coef = knots, nn.Parameter(coef)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # A grid stage changes shapes; a state of another stage is loaded by taking its shapes.
        for name in ("grid", "coef"):
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            if saved is not None and saved.shape[:-1] == own.shape[:-1]:
                own.data = own.data.new_empty(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


class KAN(nn.Module):
    """Layers of B-spline edges, ``[d, width, ..., 1]``. Inputs of the first layer are expected in [-1, 1].

    ``grid``, ``mask`` and, after :meth:`refine`, the shape of ``coef`` belong to the state: a state dict of any stage
    can be loaded into a network of any other.
    """

    layers: nn.ModuleList

    def __init__(self, sizes: Sequence[int], grid: int, k: int, noise: float, generator: torch.Generator) -> None:
        super().__init__()
        self.k = k
        self.layers = nn.ModuleList(
            KANLayer(n_in, n_out, grid, k, noise, generator) for n_in, n_out in itertools.pairwise(sizes)
        )

    def __iter__(self) -> Iterator[KANLayer]:
        return iter(self.layers)  # type: ignore[arg-type]  # ModuleList does not know its element type

    @property
    def grid(self) -> int:
        """G, the number of grid intervals of every layer."""
        return next(iter(self)).intervals

    def forward(self, x: Activations) -> Activations:
        """Outputs of shape ``(points, outputs)`` for inputs of shape ``(points, inputs)``."""
        for layer in self:
            x = layer(x)
        return x

    def active_edges(self) -> int:
        """Edges that the mask leaves alive."""
        return sum(int((layer.mask != 0).sum()) for layer in self)

    def active_parameters(self) -> int:
        """Live edges x (grid + k + 2): the coefficients of the spline and the two scales."""
        return self.active_edges() * (self.grid + self.k + 2)

    @torch.no_grad()
    def refine(self, grid: int) -> None:
        """Extend every layer's grid to ``grid`` intervals; the network stays the same function up to the spline fit.

        The new knots divide the old ones as evenly as they stand (section 2.4). Parameters are new objects afterwards.
        """
        for layer in self:
            old = layer.grid[:, layer.k : layer.grid.shape[1] - layer.k]
            position = torch.linspace(0, old.shape[1] - 1, grid + 1, dtype=old.dtype, device=old.device)
            left = position.floor().long().clamp(max=old.shape[1] - 2)
            layer.set_grid(torch.lerp(old[:, left], old[:, left + 1], position - left))

    @torch.no_grad()
    def update_grid(self, x: Activations, uniform: float = 0.02, margin: float = 0.01) -> None:
        """Fit the grids of the hidden layers to the activations that the points ``x`` cause (section 2.4).

        Knots are the quantiles of the activations, blended with the part ``uniform`` of an even grid (pykan's
        ``grid_eps``), and reach ``margin`` of the range beyond the extremes, so that unseen points stay inside. The first
        layer keeps its grid: its inputs fill [-1, 1] evenly. An input that hardly varies keeps its grid too, since
        quantiles of a constant are no grid.
        """
        for index, layer in enumerate(self):
            if index > 0:
                low, high = x.amin(dim=0), x.amax(dim=0)
                span = high - low
                ratio = torch.linspace(0, 1, layer.intervals + 1, dtype=x.dtype, device=x.device)
                quantiles = torch.quantile(x, ratio, dim=0).T
                even = low[:, None] + span[:, None] * ratio
                grid = uniform * even + (1 - uniform) * quantiles
                grid[:, 0], grid[:, -1] = low - margin * span, high + margin * span
                varies = span > 1e-6 * (1 + low.abs() + high.abs())
                old = layer.grid[:, layer.k : layer.grid.shape[1] - layer.k]
                layer.set_grid(torch.where(varies[:, None], grid, old))
            x = layer(x)

    @torch.no_grad()
    def attribute(self, x: Activations) -> tuple[list[Float[Tensor, " nodes"]], list[Scores]]:
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
            scale = (edges.std(dim=0) / (x.std(dim=0) + 0.1)[:, None]).T
            total = total + scale.sum()
            for dim in (1, 0):
                share = scale / (scale.sum(dim=dim, keepdim=True) + 1)
                total = total - lamb_entropy * (share * torch.log2(share + 1e-4)).sum(dim=dim).mean()
            x = edges.sum(dim=1)
        return total


def kan(config: KANConfig, dimension: int, generator: torch.Generator) -> KAN:
    """The network of a configuration, on its first grid."""
    return KAN([dimension, *[config.width] * config.depth, 1], config.grids[0], config.k, config.noise, generator)
