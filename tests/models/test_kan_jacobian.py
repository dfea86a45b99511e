"""The Jacobian that a KAN knows of itself is that of one gradient a point."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.models.bspline import bspline_basis, extend
from harness.models.jets import jacobian, jacobian_of_any
from harness.models.kan import KAN
from harness.models.piecewise import features, pieces
from tests.models.test_kan_engine import error, network, points


def made(grid: int, k: int, depth: int, masked: bool = False, dimension: int = 2) -> KAN:
    result = network(grid, k, (dimension, *[4] * depth, 1))
    if masked:
        generator = torch.Generator().manual_seed(2)
        for layer in result:
            layer.mask.copy_(torch.rand(layer.mask.shape, generator=generator) > 0.4)
        list(result)[-1].mask[0] = 1  # something has to arrive
        list(result)[-1].mask[1] = 0.5
    return result


def by_gradients(network: KAN, x: Tensor) -> Tensor:
    return jacobian_of_any(network, x, list(network.parameters()))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("grid", [3, 5, 20])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_it_is_that_of_one_gradient_a_point(grid: int, k: int, depth: int, masked: bool) -> None:
    own, x = made(grid, k, depth, masked), points(100)
    found, expected = own.jacobian(x), by_gradients(own, x)
    assert found.isfinite().all()
    assert not found.requires_grad
    assert error(found, expected) < 1e-12
    sizes = [parameter.numel() for parameter in own.parameters()]
    for part, wanted in zip(found.split(sizes, dim=1), expected.split(sizes, dim=1), strict=True):
        assert (part - wanted).norm() <= 1e-12 * wanted.norm()


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_in_float32_it_is_as_near_to_the_exact_one(k: int, depth: int) -> None:
    own, x = made(5, k, depth), points(100, dtype=torch.float32)
    own.float()
    exact = by_gradients(copy.deepcopy(own).double(), x.double())
    found = own.jacobian(x)
    assert found.dtype == torch.float32
    assert error(found, exact) < max(1e-5, 3 * error(by_gradients(own, x), exact))


@pytest.mark.parametrize("dimension", [1, 3])
def test_it_has_any_number_of_inputs_and_no_hidden_layer_too(dimension: int) -> None:
    own, x = made(5, 3, 0, dimension=dimension), points(50, dimension)
    assert error(own.jacobian(x), by_gradients(own, x)) < 1e-12


def test_it_follows_a_new_grid_and_points_outside_of_it() -> None:
    own, x = made(3, 3, 2), 3 * points(100)
    own.jacobian(x)
    own.refine(7)
    own.update_grid(points())
    assert error(own.jacobian(x), by_gradients(own, x)) < 1e-12


def test_of_no_points_it_has_no_rows() -> None:
    own = made(3, 3, 1)
    assert own.jacobian(points(0)).shape == (0, sum(p.numel() for p in own.parameters()))


def test_a_nan_stays_in_its_row() -> None:
    own, x = made(5, 3, 2), points(10)
    whole = own.jacobian(x)
    x[3, 1] = math.nan
    broken = own.jacobian(x)
    assert broken[3].isnan().any()
    others = torch.arange(10) != 3
    assert torch.equal(broken[others], whole[others])


def test_where_a_parameter_is_frozen_the_others_come_from_gradients() -> None:
    own, x = made(5, 3, 1), points(20)
    first, *others = own.parameters()
    everything = own.jacobian(x)
    assert error(jacobian(own, x, [first, *others]), everything) == 0
    assert error(jacobian(own, x, others), everything[:, first.numel() :]) < 1e-12


@given(st.data())
@settings(max_examples=40)
def test_splines_and_their_slopes_are_those_of_the_recursion(data: st.DataObject) -> None:
    """At every knot as well, and beyond the last."""
    k = data.draw(st.integers(0, 5))
    steps = data.draw(st.lists(st.sampled_from([0.1, 0.5, 1.0]), min_size=2, max_size=12))
    interior = torch.tensor([[0.0, *steps], [0.0, *reversed(steps)]], dtype=torch.float64).cumsum(1) - 1
    knots = extend(interior, k)
    ends = knots.amin().item() - 0.5, knots.amax().item() + 0.5
    x = torch.cat([knots, torch.linspace(*ends, 41, dtype=torch.float64).expand(2, -1)], dim=1)
    values, slopes = features(x, pieces(knots, k), k, 1)
    free = x.clone().requires_grad_()
    basis = bspline_basis(free.T, knots, k)
    expected = torch.cat([basis, torch.nn.functional.silu(free.T).unsqueeze(-1)], dim=-1)
    torch.testing.assert_close(values, expected.permute(1, 2, 0).detach(), rtol=1e-10, atol=1e-10)
    for number in range(expected.shape[-1]):
        (slope,) = torch.autograd.grad(expected[..., number].sum(), free, retain_graph=True, materialize_grads=True)
        torch.testing.assert_close(slopes[:, number], slope, rtol=1e-10, atol=1e-9)
