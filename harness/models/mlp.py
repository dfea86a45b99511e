"""Fully connected network."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from harness.config import MLPConfig
from harness.models.perceptron import Perceptron

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU}


def linear(n_in: int, n_out: int) -> nn.Linear:
    """A float64 linear layer with zero bias whose weights wait for their initialisation; no generator is touched."""
    layer = nn.Linear(n_in, n_out, device="meta")
    # Not by nn.utils.skip_init: its to_empty loads sympy, for half a second, to find out the strides of a matrix.
    layer.weight = nn.Parameter(torch.empty(n_out, n_in, dtype=torch.float64))
    layer.bias = nn.Parameter(torch.zeros(n_out, dtype=torch.float64))
    return layer


def initialised_by_torch(layer: nn.Linear, generator: torch.Generator) -> nn.Linear:
    """The layer, with weights and biases U(-1/sqrt(n_in), 1/sqrt(n_in)): the start of ``nn.Linear``."""
    bound = 1 / math.sqrt(layer.in_features)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def mlp(config: MLPConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Perceptron:
    """``depth`` hidden layers of ``width`` units and a linear output.

    Weights are normal with variance 2 / n_in (He et al. 2015, eq. 10) for relu and silu, 2 / (n_in + n_out) (Glorot and
    Bengio 2010, eq. 12) for tanh, as in the original benchmark; biases are zero.
    """
    he = config.initialisation == "he" or (config.initialisation == "auto" and config.activation != "tanh")
    sizes = [dimension, *[config.width] * config.depth, outputs]
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layer = linear(n_in, n_out)
        if he:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        else:
            nn.init.xavier_normal_(layer.weight, generator=generator)
        layers += [layer, ACTIVATIONS[config.activation]()]
    return Perceptron(*layers[:-1])
