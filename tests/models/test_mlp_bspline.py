"""A unit's activation is a spline with coefficients of its own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor

from harness.models import compiled, piecewise
from harness.models.mlp_bspline import Splines


def splines(k: int = 3, noise: float = 5.0, units: int = 4, grid: int = 5, span: float = 1.5) -> Splines:
    return Splines(units, grid, span, k, noise, torch.Generator().manual_seed(0))


def points(units: int, count: int = 300) -> Tensor:
    """Inside, and on both sides of all knots."""
    return 12 * torch.rand(count, units, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 6


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_values_are_scipy_s_and_zero_beyond_the_knots(k: int) -> None:
    activation = splines(k)
    x, found = points(4), activation(points(4)).detach()
    for unit in range(4):
        knots, coef = activation.grid[unit].numpy(), activation.coef[unit].detach().numpy()
        expected = np.nan_to_num(BSpline(knots, coef, k, extrapolate=False)(x[:, unit].numpy()))
        # Where not all k + 1 splines exist, scipy has no base interval, and only those that exist count here.
        inside = (x[:, unit] >= knots[k]) & (x[:, unit] < knots[-k - 1])
        np.testing.assert_allclose(found[inside, unit], expected[inside], rtol=0, atol=1e-12)
        outside = (x[:, unit] < knots[0]) | (x[:, unit] >= knots[-1])
        assert outside.any()
        assert (found[outside, unit] == 0).all()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_way_that_is_exported_gives_the_same_values(k: int) -> None:
    activation, x = splines(k), points(4)
    traced = torch.func.vmap(lambda point: activation(point.unsqueeze(0)).squeeze(0))(x)
    torch.testing.assert_close(activation(x), traced, rtol=0, atol=1e-12)


def test_it_starts_as_small_noise_at_the_knots() -> None:
    activation = splines(noise=0.1, units=200, grid=5)
    at_knots = activation(torch.linspace(-1.5, 1.4999999, 6).double().unsqueeze(1).expand(-1, 200)).detach()
    bound = 0.1 / 5 / 2
    assert at_knots.abs().max() <= bound * (1 + 1e-5)
    assert at_knots.abs().max() >= 0.95 * bound
    assert at_knots.var().item() == pytest.approx(bound**2 / 3, rel=0.15)


def test_a_copy_follows_its_own_grid() -> None:
    activation, x = splines(), points(4)
    activation(x)
    other = copy.deepcopy(activation)
    other.grid.mul_(2)
    assert torch.equal(other(2 * x), activation(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_the_compiled_loops_are_the_operations(k: int, dtype: torch.dtype) -> None:
    activation = splines(k).to(dtype)
    odd = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30], dtype=dtype).expand(4, -1)
    x = torch.cat([points(4).T.to(dtype), activation.grid, odd], dim=1).contiguous()
    coef, pieces = activation.coef, activation.pieces()
    found = compiled.units(coef, pieces, x)
    expected = piecewise.edges_and_slopes(x, activation.weights(), pieces, k, 1)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    for one, other in zip(found[:2], expected, strict=True):
        torch.testing.assert_close(one, other.squeeze(0), rtol=tolerance, atol=tolerance, equal_nan=True)

    inside, factors = x[:, : -odd.shape[1]].contiguous(), torch.randn(4, x.shape[1] - odd.shape[1], dtype=dtype)
    slopes = compiled.units_gradient(coef, pieces, compiled.units(coef, pieces, inside), factors)
    wanted = piecewise.gradient(inside, activation.weights(), pieces, k, [factors.unsqueeze(0)])[0, :, :-1]
    torch.testing.assert_close(slopes, wanted, rtol=tolerance, atol=tolerance)
