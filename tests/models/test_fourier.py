"""Random Fourier features before a fully connected network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness.config import FourierMLPConfig
from harness.models.fourier import FourierFeatures, fourier_mlp
from harness.presets import resolve
from tests.support import parts, small


def test_features_are_cosines_and_sines_of_the_frequencies() -> None:
    features = FourierFeatures(2, 3, 1.0, torch.Generator().manual_seed(0))
    x = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    out = features(x)
    assert out.shape == (5, 6)
    for point in range(5):
        for row in range(3):
            phase = (
                2 * math.pi * sum(x[point, axis].item() * features.frequencies[row, axis].item() for axis in range(2))
            )
            assert out[point, row].item() == pytest.approx(math.cos(phase), abs=1e-13)
            assert out[point, 3 + row].item() == pytest.approx(math.sin(phase), abs=1e-13)


def test_frequencies_are_normal_with_standard_deviation_sigma() -> None:
    features = FourierFeatures(2, 50_000, 7.0, torch.Generator().manual_seed(0))
    assert features.frequencies.std().item() == pytest.approx(7.0, rel=0.01)
    assert abs(features.frequencies.mean().item()) < 4 * 7.0 / 100_000**0.5


def test_the_network_sees_all_features_and_nothing_else() -> None:
    config = resolve({"model": "mlp_fourier", "features": 9, "width": 4, "depth": 2})
    assert isinstance(config, FourierMLPConfig)
    network = fourier_mlp(config, 2, torch.Generator().manual_seed(0))
    first = next(layer for layer in network if isinstance(layer, nn.Linear))
    assert first.in_features == 18


def test_frequencies_are_no_parameters_and_belong_to_the_state() -> None:
    model, _ = parts(small("mlp_fourier"))
    assert "network.0.frequencies" in model.state_dict()
    assert not any("frequencies" in name for name, _ in model.named_parameters())
