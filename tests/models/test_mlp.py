"""The fully connected network starts as the cited papers have it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from harness.config import MLPConfig
from harness.models.mlp import ACTIVATIONS, mlp
from harness.presets import resolve


def build(seed: int = 0, **fields: object) -> nn.Sequential:
    config = resolve({"model": "mlp", **fields})
    assert isinstance(config, MLPConfig)
    return mlp(config, 2, torch.Generator().manual_seed(seed))


def linears(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
def test_it_has_depth_hidden_layers_of_width_units_and_a_linear_output(activation: str) -> None:
    network = build(width=7, depth=3, activation=activation)
    sizes = [2, 7, 7, 7, 1]
    assert [(layer.in_features, layer.out_features) for layer in linears(network)] == list(pairwise(sizes))
    assert sum(isinstance(layer, ACTIVATIONS[activation]) for layer in network) == 3
    assert isinstance(network[-1], nn.Linear)


@pytest.mark.parametrize(
    ("activation", "initialisation", "he"),
    [
        ("tanh", "auto", False),
        ("relu", "auto", True),
        ("silu", "auto", True),
        ("tanh", "he", True),
        ("relu", "xavier", False),
    ],
)
def test_weights_are_normal_with_the_variance_of_he_or_of_glorot(
    activation: str, initialisation: str, he: bool
) -> None:
    hidden = linears(build(width=400, depth=3, activation=activation, initialisation=initialisation))[1:-1]
    for layer in hidden:
        weight = layer.weight.detach()
        variance = 2 / 400 if he else 2 / 800
        # 160,000 draws: the sample variance is within 1.5% (4 standard errors), the mean within 4 of its own.
        assert weight.var().item() == pytest.approx(variance, rel=0.015)
        assert abs(weight.mean().item()) < 4 * (variance / 160_000) ** 0.5
        # Normal, not uniform: about 4.6% lie beyond two standard deviations, of a uniform law none.
        beyond = (weight.abs() > 2 * variance**0.5).double().mean().item()
        assert 0.04 < beyond < 0.05


def test_the_variance_of_the_first_layer_follows_its_own_fan_in_and_fan_out() -> None:
    first = linears(build(width=20_000, depth=1))[0]
    assert first.weight.var().item() == pytest.approx(2 / 20_002, rel=0.03)


def test_biases_are_zero_and_everything_is_float64() -> None:
    for layer in linears(build(width=5, depth=4)):
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))
        assert layer.weight.dtype == layer.bias.dtype == torch.float64
