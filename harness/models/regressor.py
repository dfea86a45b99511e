"""The model that every family shares: a network between an affine input and an affine output, in raw units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.models import interface, jets
from harness.models.interface import Inputs, Outputs
from harness.models.jets import Jacobian, Seeds
from harness.problems.rows import Jet

CHUNK = 2**14
"""Points that a model takes at once, where there are many: a network keeps up to ten kB of each, more with a graph."""


class Regressor(nn.Module):
    """``y = mean + std * network((x - centre) / half_width)``.

    Inputs of any floating dtype are taken in the units of the problem and answered in those of its target; the network
    sees inputs in [-1, 1] and, with ``mean`` and ``std`` of the training targets, learns standardised ones. ``low`` and
    ``high`` are numbers, or have one for each input; ``mean`` and ``std`` likewise for the outputs. The four statistics are
    fixed and belong to the state. A NaN input gives a NaN output.
    """

    centre: Tensor
    half_width: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        low: float | Sequence[float],
        high: float | Sequence[float],
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.network = network
        lows, highs = (torch.tensor(bound, dtype=torch.float64) for bound in (low, high))
        statistics = {"centre": (lows + highs) / 2, "half_width": (highs - lows) / 2, "mean": mean, "std": std}
        for name, value in statistics.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64).to(dtype))

    def forward(self, x: Inputs) -> Outputs:
        """Predictions of shape ``(points, outputs)`` for inputs of shape ``(points, dimension)``."""
        return self.raw(self.network(self.scaled(x)))

    @torch.no_grad()
    def predict(self, x: Inputs) -> Outputs:
        """As :meth:`forward`, without a graph, and in parts, so that memory does not grow with what happens in the layers."""
        return torch.cat([self(part) for part in x.split(CHUNK)])

    def raw(self, outputs: Outputs) -> Outputs:
        """The network's outputs in the units of the target."""
        return self.mean + self.std * outputs

    def scaled(self, x: Inputs) -> Inputs:
        """The inputs as the network sees them."""
        return (x.to(self.mean.dtype) - self.centre) / self.half_width

    def unscaled(self, z: Inputs) -> Inputs:
        """The points that the network sees as ``z``; those of the domain it sees in [-1, 1]."""
        return self.centre + self.half_width * z

    def at(self, x: Inputs) -> Callable[[], Outputs]:
        """The model at points that stay the same, see :func:`harness.models.interface.at`."""
        outputs = interface.at(self.network, self.scaled(x))
        return lambda: self.raw(outputs())

    def jets_at(self, x: Inputs, order: int) -> JetsAt:
        """Its jets at points that stay the same, see :class:`harness.models.jets.At`."""
        return JetsAt(self, jets.At(self.network, self.scaled(x), order))

    def jet(self, x: Inputs, order: int) -> Jet:
        """Value and derivatives up to ``order`` (0, 1 or 2) along each axis, in raw units, with a graph in the parameters."""
        return self.in_raw_units(jets.jet(self.network, self.scaled(x), order))

    def jacobian(self, x: Inputs, parameters: list[nn.Parameter], seeds: Seeds) -> Jacobian:
        """Derivative in each parameter of a combination of the jet, in raw units, at each point."""
        return jets.jacobian(self.network, self.scaled(x), parameters, self.seen_by_the_network(seeds))

    def in_raw_units(self, jet: Jet) -> Jet:
        """The network's jet in the units of inputs and target."""
        by = self._of_slopes()
        return Jet(
            self.raw(jet.value),
            None if jet.slopes is None else by * jet.slopes,
            None if jet.curvatures is None else by / self.half_width * jet.curvatures,
        )

    def seen_by_the_network(self, seeds: Seeds) -> Seeds:
        """The combination of the network's jet that is this one of the jet in raw units."""
        by = self._of_slopes()
        return Seeds(
            self.std * seeds.a,
            None if seeds.b is None else by * seeds.b,
            None if seeds.c is None else by / self.half_width * seeds.c,
        )

    def _of_slopes(self) -> Tensor:
        """From slopes of the network to those of the model, for ``(points, outputs, dimension)``."""
        return (self.std if self.std.ndim == 0 else self.std.unsqueeze(-1)) / self.half_width


class JetsAt(NamedTuple):
    """The jets of a model at points that stay the same, in raw units."""

    model: Regressor
    network: jets.At

    def jet(self) -> Jet:
        """As :meth:`Regressor.jet`."""
        return self.model.in_raw_units(self.network.jet())

    def jacobian(self, parameters: list[nn.Parameter], seeds: Seeds) -> Jacobian:
        """As :meth:`Regressor.jacobian`."""
        return self.network.jacobian(parameters, self.model.seen_by_the_network(seeds))
