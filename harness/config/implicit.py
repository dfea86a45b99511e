"""Implicit representations: perceptrons whose activations are waves or bumps."""

from __future__ import annotations

from harness.config.perceptrons import linear
from harness.config.run import RunConfig
from harness.fields import field


class ImplicitConfig(RunConfig):
    """What these networks share: their shape. Defaults are those of presets lm and tuned, where they were chosen."""

    width: int = field(24, "Units of a hidden layer.", unit="units", ge=1, le=100_000)
    depth: int = field(2, "Hidden layers.", unit="layers", ge=1, le=100)

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases."""
        return linear(dimension, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers, and the slopes of their activations."""
        return 2 * self.width * self.depth


class WireConfig(ImplicitConfig):
    """Network of Gabor wavelets (:mod:`harness.models.wire`)."""

    omega0: float = field(
        4.0, "Frequency omega_0 of the wavelet.", source="preset tuned; the code of Saragadam et al. 2023: 30", gt=0
    )
    s0: float = field(
        0.5, "Reciprocal width s_0 of its envelope.", source="preset tuned; the code of Saragadam et al. 2023: 10", gt=0
    )


class FinerConfig(ImplicitConfig):
    """Network of sines whose frequency grows with their argument (:mod:`harness.models.finer`)."""

    omega0: float = field(
        10.0, "Frequency factor omega_0 of every layer.", source="preset tuned; the code of Liu et al. 2024: 30", gt=0
    )
    bias_range: float = field(
        1.0,
        "Biases of the first layer are uniform in (-bias_range, bias_range) at the start: the larger, the higher the "
        "frequencies.",
        source="preset tuned; k of Liu et al. 2024",
        gt=0,
    )

    def smoothness(self) -> float:
        """The second derivative of |x| x jumps at zero."""
        return 2


class GaussConfig(ImplicitConfig):
    """Network of Gaussian bumps (:mod:`harness.models.gauss`)."""

    a: float = field(
        0.35, "Standard deviation of the bump.", source="preset tuned; a of Ramasinghe and Lucey 2022", gt=0
    )
