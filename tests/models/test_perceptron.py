"""At points that stay the same, perceptrons have an evaluation of their own: the same numbers and gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.models import Regressor
from tests.support import parts, small


def gradients(model: Regressor, outputs: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 2, outputs.numel()).to(outputs).view_as(outputs)
    return list(torch.autograd.grad((weights * outputs).sum(), list(model.parameters())))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("mlp", {}),
        ("mlp", {"depth": 1, "width": 1}),
        ("mlp", {"depth": 5}),
        ("mlp", {"activation": "relu"}),
        ("mlp", {"activation": "silu"}),
        ("mlp_fourier", {"depth": 2}),
        ("siren", {}),
        ("siren", {"problem": "poisson_1d_sin", "depth": 1}),
        ("wire", {}),
        ("finer", {"depth": 1}),
        ("gauss", {"depth": 3}),
        ("mlp_bspline", {"noise": 20.0}),
    ],
    ids=str,
)
def test_outputs_and_gradients_are_autograd_s(name: str, fields: dict[str, Any]) -> None:
    model, data = parts(small(name, **fields))
    at = model.at(data.train.x)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        expected, found = model(data.train.x), at()
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12 * expected.abs().max().item())
        for one, other in zip(gradients(model, found), gradients(model, expected), strict=True):
            assert (one - other).abs().max() <= 1e-12 * other.abs().max().clamp(min=1)


@pytest.mark.parametrize("name", ["mlp", "siren", "wire", "finer", "gauss", "mlp_bspline"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_parameter_that_is_not_finite_gives_what_the_model_gives(name: str, value: float) -> None:
    model, data = parts(small(name))
    at = model.at(data.train.x)
    with torch.no_grad():
        next(model.parameters())[0, 0] = value
    torch.testing.assert_close(at(), model(data.train.x), rtol=1e-12, atol=1e-12, equal_nan=True)
