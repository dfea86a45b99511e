"""Kolmogorov-Arnold network: every edge carries a learnable function of one variable.

Liu et al. 2024, "KAN: Kolmogorov-Arnold Networks", arXiv:2404.19756. The function of an edge is

    phi(x) = scale_base silu(x) + scale_sp sum_i coef_i B_i(x)        (eq. 2.10 and 2.11)

with B-splines B_i of degree k on a grid of G intervals. The parameters are those of pykan 0.2.8's ``MultKAN``, layer by
layer and with the same shapes; the computation is not. It goes one of four ways, all the same function:

- ``KANLayer.dense``: all splines at all points, plain operations, which torch.func can transform.
- ``KANLayer.forward``: only the polynomial that each point lies on (:mod:`harness.models.piecewise`).
- ``KAN.forward``: the same in compiled loops, on a processor (:mod:`harness.models.compiled`), else layer by layer;
  :class:`FixedPoints` likewise, for points that stay the same, which are put in their intervals once a grid.
- ``KAN.jacobian``: the splines of each layer from its polynomials, for the derivative at each point in each parameter;
  ``KAN.jets_at`` likewise, for derivatives along the axes as well.

What is kept between calls is kept with the knots that it was computed from and compared with those in force, number by
number (a microsecond), so nothing that changes a grid, by whatever means, has to remember to say so.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from harness.config import KANConfig
from harness.models import compiled, piecewise
from harness.models.bspline import Knots, bspline_basis, extend, fit_coefficients
from harness.models.channels import Channels
from harness.models.edges import Activations, EdgeLayer, EdgeNetwork, back, in_edges, summed, take_shapes
from harness.models.interface import VJP
from harness.models.jets import plain
from harness.models.piecewise import Edges, Features, Pieces, Weights, edges, pieces, weigh
from harness.models.sparsity import sparsity
from harness.models.sweep import Kept, Sweep, same

NodeMajor = Float[Tensor, "nodes points"]


class KANLayer(EdgeLayer):
    """One layer: ``y_j = sum_i mask_ij phi_ij(x_i)``, with the parameters and shapes of pykan's ``KANLayer``."""

    grid: Tensor

    def __init__(
        self,
        n_in: int,
        n_out: int,
        grid: int,
        k: int,
        noise: float,
        generator: torch.Generator,
        initialisation: str = "pykan",
    ) -> None:
        super().__init__()
        self.k = k
        self._pieces: Pieces | None = None

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        interior = torch.linspace(-1, 1, grid + 1, dtype=torch.float64).expand(n_in, -1)
        values = (uniform(grid + 1, n_in, n_out) - 0.5) * noise / grid
        self.register_buffer("grid", extend(interior, k).contiguous())
        self.register_buffer("mask", torch.ones(n_in, n_out, dtype=torch.float64))
        self.coef = nn.Parameter(fit_coefficients(interior.T, values, self.grid, k).contiguous())
        self.scale_base = nn.Parameter((2 * uniform(n_in, n_out) - 1) / math.sqrt(n_in))
        self.scale_sp = nn.Parameter(torch.full((n_in, n_out), 1 / math.sqrt(n_in), dtype=torch.float64))
        if initialisation == "power_law":
            self._by_power_law(generator)

    @torch.no_grad()
    def _by_power_law(self, generator: torch.Generator) -> None:
        """Rigas et al. 2025, arXiv:2509.03417: normal numbers of the deviation (n_in (G + k + 1))^-p, where p is 1.75 for the
        coefficients and 0.25 for silu, the pair that its code (github.com/srigas/KAN_Initialization_Schemes) takes for every
        problem; all splines have the scale 1.
        """
        terms = self.coef.shape[0] * (self.coef.shape[2] + 1)
        for parameter, power in ((self.coef, 1.75), (self.scale_base, 0.25)):
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / terms**power)
        self.scale_sp.fill_(1)

    @property
    def intervals(self) -> int:
        """G, the number of grid intervals."""
        return self.grid.shape[1] - 1 - 2 * self.k

    @property
    def per_edge(self) -> int:
        """The coefficients of the spline and the two scales."""
        return self.intervals + self.k + 2

    def forward(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """Sum of the edges into each output node."""
        return self.functions(x.T.contiguous()).sum(dim=1).T if plain() else self.dense(x)

    def edges(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points inputs outputs"]:
        """The value of each edge by itself (pykan's ``postacts``)."""
        if plain():
            return self.functions(x.T.contiguous()).permute(2, 1, 0)
        return torch.einsum("pif,oif->pio", self.features(x), self.weights())

    def dense(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """As :meth:`forward`, by all splines at all points and without a decision that depends on a value."""
        return self.features(x).flatten(1) @ self.weights().flatten(1).T

    def functions(self, x: NodeMajor) -> Edges:
        """As :meth:`edges`, with the points as the last dimension, along which the operations run fastest."""
        return edges(x, self.weights(), self.pieces(), self.k)

    def weights(self) -> Weights:
        """The factors of all splines and, last, of silu in each edge, with scales and mask multiplied in."""
        return weigh(self.coef, self.scale_base, self.scale_sp, self.mask)

    def features(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points inputs features"]:
        """All splines and, last, silu at ``x``: what the weights are the factors of."""
        return torch.cat([bspline_basis(x, self.grid, self.k), silu(x).unsqueeze(-1)], dim=-1)

    def jacobian(self, features: Features, slope: NodeMajor, out: Float[Tensor, "parameters points"]) -> None:
        """The chain rule: ``out``, one row a parameter in their order, from the derivative ``slope`` in each output node.

        Written in place: in a training, fresh memory for intermediate copies took as long as the arithmetic.
        """
        rows = self.rows(out)
        splines, base = features[:, :-1], features[:, -1:]
        masked = self.mask.unsqueeze(-1) * slope
        scaled = self.scale_sp.unsqueeze(-1) * masked
        torch.mul(scaled.unsqueeze(2), splines.unsqueeze(1), out=rows["coef"])
        torch.mul(masked, base, out=rows["scale_base"])
        torch.mul(masked, torch.bmm(self.coef, splines), out=rows["scale_sp"])

    def rows(self, out: Float[Tensor, "parameters points"]) -> dict[str, Tensor]:
        """Views of ``out`` by the name of the parameter, in its shape."""
        parts = out.split([p.numel() for p in self.parameters()])
        named = zip(self.named_parameters(), parts, strict=True)
        return {name: part.view(*parameter.shape, out.shape[1]) for (name, parameter), part in named}

    def pieces(self) -> Pieces:
        """The polynomials between the knots, computed anew when the knots are not those of the last time."""
        if self._pieces is None or not same(self._pieces.knots, self.grid):
            self._pieces = pieces(self.grid, self.k)
        return self._pieces

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
        take_shapes(self, state_dict, prefix, ("grid", "coef"))
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Splines(NamedTuple):
    """A layer of :class:`harness.models.sweep.Sweep`. ``prepared`` gives the features at inputs that stay the same."""

    layer: KANLayer
    prepared: Callable[[], list[Features]] | None = None

    def parameters(self) -> list[nn.Parameter]:
        """Of the layer."""
        return list(self.layer.parameters())

    def through(self, h: Channels, order: int) -> tuple[Channels, _Known]:
        """Sums of edges; those of derivatives by the chain rule in each edge.

        An edge is a product of features where these are there anyway; else its polynomials take a quarter of the time.
        """
        weights, pieces, k = self.layer.weights(), self.layer.pieces(), self.layer.k
        features = self.prepared or functools.cache(lambda: piecewise.features(h.value, pieces, k, order))
        if self.prepared or (h.slopes is None and order > 0):
            edges = [torch.bmm(weights.transpose(0, 1), each) for each in features()[1 : order + 1]]
            value = weights.flatten(1) @ features()[0].flatten(0, 1)
        else:
            values, *found = piecewise.edges_and_slopes(h.value, weights, pieces, k, order)
            value, edges = values.sum(dim=1), [each.transpose(0, 1) for each in found]
        return summed(value, edges, h), (h, features, edges)

    def back(self, known: _Known, adjoint: Channels) -> Channels:
        """The same chain rule, the other way; the edges' derivatives go one further."""
        h, _, edges = known
        return back(h, edges, adjoint)

    def gradient(self, known: _Known, adjoint: Channels) -> Float[Tensor, " parameters"]:
        """The factors of the features, summed over the points: in products of matrices, or interval by interval."""
        h, layer = known[0], self.layer
        factors = in_edges(h, adjoint)
        if self.prepared or h.slopes is None:
            features = known[1]()
            of_weights = adjoint.value @ features[0].transpose(1, 2)  # inputs, outputs, features
            for factor, each in zip(factors, features[1:], strict=False):
                of_weights.baddbmm_(factor, each.transpose(1, 2))
        else:
            all_ = [
                adjoint.value.unsqueeze(1).expand(-1, len(h.value), -1),
                *(each.transpose(0, 1) for each in factors),
            ]
            of_weights = piecewise.gradient(h.value, layer.weights(), layer.pieces(), layer.k, all_).transpose(0, 1)
        found = adjoint.value.new_empty(sum(p.numel() for p in layer.parameters()), 1)
        self._of_weights(of_weights.unsqueeze(-1), found)
        return found.squeeze(1)

    def jacobian(self, known: _Known, adjoint: Channels, out: Float[Tensor, "parameters points"]) -> None:
        """The factors of the features at each point."""
        h, features = known[0], known[1]()
        of_weights = adjoint.value.unsqueeze(1) * features[0].unsqueeze(1)  # inputs, outputs, features, points
        for factor, each in zip(in_edges(h, adjoint), features[1:], strict=False):
            of_weights.addcmul_(factor.unsqueeze(2), each.unsqueeze(1))
        self._of_weights(of_weights, out)

    def _of_weights(
        self, of_weights: Float[Tensor, "inputs outputs features any"], out: Float[Tensor, "parameters any"]
    ) -> None:
        """From derivatives in the weights to those in the parameters; the first are overwritten."""
        layer, rows = self.layer, self.layer.rows(out)
        splines = of_weights.mul_(layer.mask[:, :, None, None])[:, :, :-1]
        torch.mul(layer.scale_sp[:, :, None, None], splines, out=rows["coef"])
        rows["scale_base"].copy_(of_weights[:, :, -1])
        torch.sum(layer.coef.unsqueeze(-1) * splines, dim=2, out=rows["scale_sp"])


_Known = tuple[Channels, Callable[[], list[Features]], list[Tensor]]
"""Of a layer: its inputs, the features there with their derivatives, computed when they are asked for, and the derivatives
of the edges ``(inputs, outputs, points)``, from the first on."""


class KAN(EdgeNetwork):
    """Layers of B-spline edges, ``[d, width, ..., 1]``. Inputs of the first layer are expected in [-1, 1].

    ``grid``, ``mask`` and, after :meth:`refine`, the shape of ``coef`` belong to the state: a state dict of any stage
    can be loaded into a network of any other.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        grid: int,
        k: int,
        noise: float,
        generator: torch.Generator,
        initialisation: str = "pykan",
    ) -> None:
        super().__init__()
        self.k = k
        self.layers = nn.ModuleList(
            KANLayer(n_in, n_out, grid, k, noise, generator, initialisation)
            for n_in, n_out in itertools.pairwise(sizes)
        )

    def __iter__(self) -> Iterator[KANLayer]:
        return iter(self.layers)  # type: ignore[arg-type]  # ModuleList does not know its element type

    @property
    def grid(self) -> int:
        """G, the number of grid intervals of every layer."""
        return next(iter(self)).intervals

    def forward(self, x: Activations) -> Float[Tensor, "points outputs"]:
        """Outputs of shape ``(points, outputs)`` for inputs of shape ``(points, inputs)``."""
        if not plain():
            return self.dense(x)
        if compiled.serves(list(self), x):
            return compiled.outputs(list(self), x)
        x = x.T.contiguous()
        for layer in self:
            x = layer.functions(x).sum(dim=1)
        return x.T

    def dense(self, x: Activations) -> Float[Tensor, "points outputs"]:
        """As :meth:`forward`, by all splines at all points and without a decision that depends on a value."""
        for layer in self:
            x = layer.dense(x)
        return x

    @torch.no_grad()
    def jacobian(self, x: Activations) -> Float[Tensor, "points parameters"]:
        """Derivative of the output (of their sum, if there are several) in each parameter, in the order of these.

        Exact, by the chain rule from the last layer to the first: the derivative in a parameter is the one in the node
        that its edge leads to, times a feature of the edge's input. A NaN input gives NaN in its row.
        """
        if plain() and compiled.serves(list(self), x):
            return compiled.jacobian(list(self), x)
        return self.dense_jacobian(x)

    @torch.no_grad()
    def dense_jacobian(self, x: Activations) -> Float[Tensor, "points parameters"]:
        """As :meth:`jacobian`, by all splines at all points."""
        x = x.T.contiguous()
        known = []
        for layer in self:
            weights = layer.weights().transpose(0, 1)
            values, slopes = piecewise.features(x, layer.pieces(), layer.k, 1)
            x = torch.bmm(weights, values).sum(dim=0)
            known.append((layer, weights, values, slopes))
        sizes = [sum(p.numel() for p in layer.parameters()) for layer in self]
        result, slope = x.new_empty(sum(sizes), x.shape[1]), torch.ones_like(x)
        for (layer, weights, values, slopes), out in zip(reversed(known), reversed(result.split(sizes)), strict=True):
            layer.jacobian(values, slope, out)
            slope = (torch.bmm(weights, slopes) * slope).sum(dim=1)
        return result.T

    def jets_at(self, x: Activations, order: int) -> Sweep:
        """The jets at points that stay the same; what the first layer makes of them is prepared once a grid."""
        first, *others = self
        inputs = Kept(lambda: [first.grid], lambda: Channels.of_inputs(x.to(first.grid), order))
        features = Kept(
            lambda: [first.grid], lambda: piecewise.features(inputs().value, first.pieces(), first.k, order + 1)
        )
        return Sweep(self, [_Splines(first, features), *map(_Splines, others)], inputs, order)

    @staticmethod
    def from_multkan(multkan: Any) -> KAN:
        """See :func:`harness.models.multkan.from_multkan`."""
        from harness.models.multkan import from_multkan

        return from_multkan(multkan)

    def to_multkan(self) -> Any:
        """See :func:`harness.models.multkan.to_multkan`."""
        from harness.models.multkan import to_multkan

        return to_multkan(self)

    def at(self, x: Activations) -> FixedPoints:
        """The network at points that stay the same, for many evaluations."""
        return FixedPoints(self, x)

    def exported(self) -> nn.Module:
        """See :func:`harness.models.frozen.frozen`."""
        from harness.models.frozen import frozen

        return frozen(self)

    @torch.no_grad()
    def refine(self, grid: int) -> None:
        """Extend every layer's grid to ``grid`` intervals; the network stays the same function up to the spline fit.

        The new knots divide the old ones as evenly as they stand (section 2.4). Parameters are new objects afterwards.
        Raises FloatingPointError when a parameter is not finite; then nothing has changed.
        """
        self.refuse_not_finite("refined")
        for layer in self:
            old = layer.grid[:, layer.k : layer.grid.shape[1] - layer.k]
            position = torch.linspace(0, old.shape[1] - 1, grid + 1, dtype=old.dtype, device=old.device)
            left = position.floor().long().clamp(max=old.shape[1] - 2)
            layer.set_grid(torch.lerp(old[:, left], old[:, left + 1], position - left))

    @torch.no_grad()
    def update_grid(self, x: Activations, uniform: float = 1.0, margin: float = 0.2) -> None:
        """Fit the grids of the hidden layers to the activations that the points ``x`` cause (section 2.4).

        Knots are the quantiles of the activations, blended with the part ``uniform`` of an even grid (pykan's
        ``grid_eps``), and reach ``margin`` of the range beyond the extremes, so that unseen points stay inside. pykan's
        0.02 and 0 leave the test error to the few points beyond the last knot once G is 50 or more
        (``benchmarks/pykan_example1.py``). Even grids with room were picked by hand on the validation and the dense errors
        of the Poisson problems, seeds 0 to 2. The first
        layer keeps its grid: its inputs fill [-1, 1] evenly. An input that hardly varies keeps its grid too, since
        quantiles of a constant are no grid. Raises FloatingPointError when a parameter or an activation is not finite.
        """
        self.refuse_not_finite("updated")
        for index, layer in enumerate(self):
            if index > 0:
                if not x.isfinite().all():
                    raise FloatingPointError(f"The grid can't be updated: an input of layer {index} is not finite.")
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


class FixedPoints:
    """A KAN at points that stay the same: what depends on points and grid only is computed once a grid.

    Follows whatever happens to the network, a move to another dtype or device included. Not for torch.func.
    """

    def __init__(self, network: KAN, x: Activations) -> None:
        self.network = network
        self._x = x.detach().clone()
        first, *_ = layers = list(network)
        if compiled.serves(layers, self._x):
            compiled.warm_up(layers, self._x)
        self._located = Kept(lambda: [first.grid], lambda: compiled.locate(self._x.numpy(), first.pieces()))
        self._grid: Tensor | None = None
        self._features = x

    def __call__(self) -> Float[Tensor, "points outputs"]:
        """Outputs of shape ``(points, outputs)``, as ``network(x)`` with a gradient in the parameters only."""
        first, *others = layers = list(self.network)
        self._x = self._x.to(first.grid)
        if compiled.serves(layers, self._x):
            return compiled.outputs(layers, self._x, self._located())
        x = first.weights().flatten(1) @ self.features(first).flatten(0, 1)
        for layer in others:
            x = layer.functions(x).sum(dim=1)
        return x.T

    def vjp(self) -> VJP | None:
        """See :func:`harness.models.interface.vjp`."""
        layers = list(self.network)
        self._x = self._x.to(layers[0].grid)
        if not compiled.serves(layers, self._x):
            return None
        return compiled.vjp(layers, self._located())

    def penalised(self, lamb_entropy: float) -> tuple[Float[Tensor, "points outputs"], Float[Tensor, ""]]:
        """Outputs, and :meth:`KAN.penalty` from the same values of the edges."""
        first, *others = self.network
        features = self.features(first)
        values = torch.bmm(first.weights().transpose(0, 1), features).transpose(0, 1)
        x, total = values.sum(dim=1), sparsity(self._x.T, values, lamb_entropy)
        for layer in others:
            values = layer.functions(x)
            total = total + sparsity(x, values, lamb_entropy)
            x = values.sum(dim=1)
        return x.T, total

    def features(self, layer: KANLayer) -> Float[Tensor, "inputs features points"]:
        """All splines and silu at the points: an edge is a combination of these, and they depend on no parameter."""
        if self._grid is None or not same(self._grid, layer.grid):
            self._compute_features(layer)
        return self._features

    # Features outlive the mode they are made in, and an inference tensor could not be saved for a backward pass.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _compute_features(self, layer: KANLayer) -> None:
        self._grid = layer.grid.clone()
        self._x = self._x.to(self._grid)
        self._features = layer.features(self._x).permute(1, 2, 0).contiguous()


def kan(config: KANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> KAN:
    """The network of a configuration, on its first grid."""
    sizes = config.sizes(dimension, outputs)
    return KAN(sizes, config.grids[0], config.k, config.noise, generator, config.initialisation)
