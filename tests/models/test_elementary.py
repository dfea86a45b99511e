"""Elementary functions in compiled loops: against those of numpy and torch, to units in the last place."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu

from harness.models.elementary import bell, silu_and_slope, sine_and_cosine, tanh

SIZES = 10.0 ** np.linspace(-300, 4.9, 20001)
EVERYWHERE = torch.from_numpy(np.concatenate([SIZES, -SIZES, [0.0]]))
NOT_FINITE = torch.tensor([math.inf, -math.inf, math.nan], dtype=torch.float64)


def units(found: Tensor, expected: Tensor) -> float:
    """The largest difference in units of the last place."""
    spacing = torch.from_numpy(np.spacing(expected.abs().clamp(min=1e-300).numpy()))
    return float(((found - expected).abs() / spacing).max())


def test_tanh_is_exact_to_two_units_in_the_last_place_everywhere() -> None:
    assert units(tanh(EVERYWHERE), torch.from_numpy(np.tanh(EVERYWHERE.numpy()))) <= 2


def test_sine_and_cosine_are_exact_to_two_units_of_one_and_small_ones_to_their_own() -> None:
    for omega in (1.0, 30.0):
        x = EVERYWHERE[(omega * EVERYWHERE).abs() < 1e5]
        sine, cosine = sine_and_cosine(x, omega)
        assert (sine - torch.sin(omega * x)).abs().max() <= 2 * np.spacing(0.5)
        assert (cosine - torch.cos(omega * x)).abs().max() <= 2 * np.spacing(0.5)
        near = x[(omega * x).abs() < 0.7]
        assert units(sine_and_cosine(near, omega)[0], torch.sin(omega * near)) <= 2


def test_far_from_zero_sines_are_torch_s() -> None:
    x = torch.tensor([0.5, 1e5 + 1, 1e9, 1e300], dtype=torch.float64)
    sine, cosine = sine_and_cosine(x)
    assert torch.equal(sine, torch.sin(x))
    assert torch.equal(cosine, torch.cos(x))


def test_silu_and_its_slope_are_those_of_torch() -> None:
    x = EVERYWHERE[EVERYWHERE.abs() < 700]
    value, slope = silu_and_slope(x)
    torch.testing.assert_close(value, silu(x), rtol=2e-15, atol=1e-300)
    expected = torch.sigmoid(x) * (1 + x * torch.sigmoid(-x))
    torch.testing.assert_close(slope, expected, rtol=0, atol=2e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_below_zero_silu_and_its_slope_are_zero(dtype: torch.dtype) -> None:
    for found in silu_and_slope(torch.tensor([-1e3, -1e15, -1e38], dtype=dtype)):
        assert found.abs().max().item() < 1e-200


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_above_zero_silu_is_the_identity(dtype: torch.dtype) -> None:
    x = torch.tensor([1e3, 1e15, 1e38], dtype=dtype)
    value, slope = silu_and_slope(x)
    assert torch.equal(value, x)
    assert torch.equal(slope, torch.ones_like(x))


def test_silu_in_single_precision_is_exact_to_four_units_in_the_last_place_where_torch_s_is_to_three() -> None:
    x = torch.cat([torch.linspace(-80, 80, 200_001), torch.linspace(-1, 1, 10_001), torch.tensor([1e5, 1e10])])
    value, slope = silu_and_slope(x)
    exact = silu(x.double())
    spacing = torch.from_numpy(np.spacing(exact.float().abs().clamp(min=1e-30).numpy()))
    assert ((value.double() - exact).abs() / spacing).max() <= 4
    wide = x.double()
    of_exact = torch.sigmoid(wide) * (1 + wide * torch.sigmoid(-wide))
    torch.testing.assert_close(slope.double(), of_exact, rtol=0, atol=3e-7)
    single = NOT_FINITE.float()
    assert not any(each[~single.isfinite()].isfinite().any() for each in silu_and_slope(single)[:1])


def test_a_bell_is_a_bell_down_to_where_it_is_zero() -> None:
    found, expected = bell(EVERYWHERE, 0.5), torch.exp(-0.5 * EVERYWHERE**2)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-300)
    assert (found[EVERYWHERE.abs() > 40] == 0).all()


def test_what_is_not_finite_is_what_torch_makes_of_it() -> None:
    assert torch.equal(tanh(NOT_FINITE)[:2], torch.tensor([1.0, -1.0], dtype=torch.float64))
    assert bell(NOT_FINITE, 1.0)[:2].tolist() == [0, 0]
    for found in (tanh(NOT_FINITE)[2], bell(NOT_FINITE, 1.0)[2], *(each[2] for each in silu_and_slope(NOT_FINITE))):
        assert found.isnan()
    assert all(each.isnan().all() for each in sine_and_cosine(NOT_FINITE))


FUNCTIONS: list[Callable[[Tensor], Tensor]] = [
    tanh,
    lambda x: sine_and_cosine(x, 3.0)[0],
    lambda x: silu_and_slope(x)[0],
    lambda x: bell(x, 2.0),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=["tanh", "sine", "silu", "bell"])
def test_every_shape_and_layout_and_type_is_taken(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-2, 2, 60, dtype=torch.float64)
    flat = function(x)
    for other in (x.view(3, 20), x.view(3, 4, 5), x.view(3, 20).T, torch.stack([x, x], dim=1)[:, 0]):
        before = other.clone()
        found = function(other)
        assert found.shape == other.shape
        assert torch.equal(other, before)
    torch.testing.assert_close(function(x.view(3, 4, 5)).flatten(), flat, rtol=0, atol=0)
    torch.testing.assert_close(function(x.view(3, 20).T).T.flatten(), flat, rtol=1e-14, atol=1e-15)
    rounded = function(x.float())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, function(x.float().double()).float(), rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("function", FUNCTIONS, ids=["tanh", "sine", "silu", "bell"])
def test_gradients_and_transforms_go_by_torch(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.linspace(-2, 2, 7, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    transformed = torch.func.vmap(torch.func.grad(function))(x.detach())
    torch.testing.assert_close(transformed, slope, rtol=1e-14, atol=1e-15)
