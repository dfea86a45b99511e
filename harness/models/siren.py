"""Network with sine activations.

Sitzmann et al. 2020, "Implicit Neural Representations with Periodic Activation Functions", arXiv:2006.09661.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from harness.config import SirenConfig
from harness.models.activations import Sine
from harness.models.mlp import linear
from harness.models.perceptron import Perceptron


def siren(config: SirenConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Perceptron:
    """``depth`` sine layers of ``width`` units and a linear output.

    First layer U(-1/n_in, 1/n_in), all others U(-sqrt(6/n_in)/omega0, sqrt(6/n_in)/omega0) (supplement, section 1.5);
    biases zero, as the seed document has them (Problem 1).
    """
    sizes = [dimension, *[config.width] * config.depth, outputs]
    layers: list[nn.Module] = []
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layer = linear(n_in, n_out)
        bound = 1 / n_in if index == 0 else math.sqrt(6 / n_in) / config.omega0
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        layers += [layer, Sine(config.omega0)]
    return Perceptron(*layers[:-1])
