"""Networks of linear layers with an activation between each two."""

from __future__ import annotations

import math
from typing import Literal

from harness.config.run import RunConfig
from harness.fields import DOCUMENT, field


def _linear(inputs: int, width: int, depth: int, outputs: int) -> int:
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
        return _linear(dimension, self.width, self.depth, outputs)

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
        return _linear(2 * self.features, self.width, self.depth, outputs)

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
        return _linear(dimension, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers."""
        return self.width * self.depth
