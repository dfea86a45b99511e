"""Networks of linear layers with an activation between each two."""

from __future__ import annotations

import math
from typing import Literal

from harness.config.run import RunConfig
from harness.fields import DOCUMENT, field


def linear(inputs: int, width: int, depth: int, outputs: int) -> int:
    """Weights and biases of ``depth`` hidden layers and the outputs."""
    return (inputs + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * outputs


class MLPConfig(RunConfig):
    """Fully connected network (:mod:`harness.models.mlp`)."""

    width: int = field(32, "Units of a hidden layer.", unit="units", ge=1, le=100_000)
    depth: int = field(3, "Hidden layers.", unit="layers", ge=1, le=100)
    activation: Literal["tanh", "relu", "silu"] = field("tanh", "Activation function.", source="original benchmark")
    initialisation: Literal["auto", "he", "xavier"] = field(
        "auto",
        "Normal weights after He et al. or Glorot and Bengio, zero biases; `auto`: he for relu, silu; xavier for tanh.",
        source="original benchmark; He et al. 2015, eq. 10; Glorot and Bengio 2010, eq. 12",
    )

    def smoothness(self) -> float:
        """Pieces of relu are straight."""
        return 1 if self.activation == "relu" else math.inf

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases."""
        return linear(dimension, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers."""
        return self.width * self.depth


class FourierMLPConfig(MLPConfig):
    """Fully connected network on random Fourier features (:mod:`harness.models.fourier`)."""

    features: int = field(
        16, "Random frequencies; each gives a cosine and a sine.", unit="frequencies", ge=1, le=100_000
    )
    sigma: float = field(
        1.0,
        "Standard deviation of the frequencies.",
        unit="cycles a unit of the input, scaled to [-1, 1]",
        source="Tancik et al. 2020, section 6",
        gt=0,
    )

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases; the frequencies are not trained."""
        return linear(2 * self.features, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The features and the units of the hidden layers."""
        return 2 * self.features + super().kept(dimension)


class SirenConfig(RunConfig):
    """Network with sine activations (:mod:`harness.models.siren`)."""

    optimizer: str = field("adam", "Optimizer.", source=DOCUMENT)
    width: int = field(64, "Units of a hidden layer.", unit="units", ge=1, le=100_000)
    depth: int = field(3, "Hidden (sine) layers.", unit="layers", ge=1, le=100)
    omega0: float = field(
        30.0, "Frequency factor omega_0 of every sine layer.", source="Sitzmann et al. 2020, section 3.2", gt=0
    )

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases."""
        return linear(dimension, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers."""
        return self.width * self.depth


class MLPBSplineConfig(RunConfig):
    """Fully connected network whose activations are trained splines (:mod:`harness.models.mlp_bspline`)."""

    width: int = field(8, "Units of a hidden layer.", unit="units", ge=1, le=100_000)
    depth: int = field(2, "Hidden layers.", unit="layers", ge=1, le=100)
    k: int = field(3, "Degree of the splines.", source="KANbeFair's code, default", ge=1, le=10)
    grid: int = field(
        5, "Grid intervals of each spline.", unit="intervals", source="KANbeFair's code, default", ge=1, le=10_000
    )
    grid_range: float = field(
        1.0,
        "The grid spans [-grid_range, grid_range]; beyond it and k intervals more an activation is zero.",
        source="KANbeFair's code, default",
        gt=0,
        le=1e6,
    )
    noise: float = field(0.1, "Scale of the random splines at initialisation.", source="KANbeFair's code", ge=0)

    def smoothness(self) -> float:
        """Splines of degree k have k - 1 derivatives without jumps, and one more with jumps."""
        return self.k

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases, and the coefficients of each unit's spline."""
        return linear(dimension, self.width, self.depth, outputs) + self.width * self.depth * (self.grid + self.k)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers, before and after their splines, and the slopes of these."""
        return 3 * self.width * self.depth
