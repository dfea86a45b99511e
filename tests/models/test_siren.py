"""The sine network starts as the paper and the document have it."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from harness.config import SirenConfig
from harness.models.activations import Sine
from harness.models.siren import siren
from harness.presets import resolve


def build(dimension: int = 2, **fields: object) -> nn.Sequential:
    config = resolve({"model": "siren", **fields})
    assert isinstance(config, SirenConfig)
    return siren(config, dimension, torch.Generator().manual_seed(0))


def linears(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("omega0", [5.0, 30.0])
@pytest.mark.parametrize("dimension", [1, 2])
def test_weights_are_uniform_within_the_paper_s_bounds(dimension: int, omega0: float) -> None:
    layers = linears(build(dimension, width=300, depth=3, omega0=omega0))
    for index, layer in enumerate(layers):
        n_in = layer.in_features
        bound = 1 / n_in if index == 0 else math.sqrt(6 / n_in) / omega0
        weight = layer.weight.detach()
        assert weight.abs().max().item() <= bound
        # The largest of n uniform draws is within 10/n of the bound but for one time in e^10.
        assert weight.abs().max().item() >= bound * (1 - 10 / weight.numel())
        assert weight.var().item() == pytest.approx(bound**2 / 3, rel=3.6 / math.sqrt(weight.numel()))


def test_biases_are_zero() -> None:
    for layer in linears(build(width=5)):
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))


def test_it_has_depth_sine_layers_and_a_linear_output() -> None:
    network = build(width=7, depth=3, omega0=4.0)
    assert [(layer.in_features, layer.out_features) for layer in linears(network)] == list(pairwise([2, 7, 7, 7, 1]))
    sines = [layer for layer in network if isinstance(layer, Sine)]
    assert [sine.omega0 for sine in sines] == [4.0, 4.0, 4.0]
    assert isinstance(network[-1], nn.Linear)


def test_a_sine_layer_is_the_sine_of_omega0_times_its_input() -> None:
    x = torch.tensor([[0.1, -2.0]], dtype=torch.float64)
    assert Sine(30.0)(x)[0].tolist() == pytest.approx([math.sin(3.0), math.sin(-60.0)], abs=1e-14)
