"""The compiled loops are the operations that they replace."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.models import compiled
from harness.models.kan import KAN


def network(sizes: list[int], grid: int, dtype: torch.dtype, seed: int = 0, k: int = 3) -> tuple[KAN, Tensor]:
    """On uneven grids, one edge cut, with points of which some lie outside of the grid."""
    generator = torch.Generator().manual_seed(seed)
    made = KAN(sizes, grid, k, 0.5, generator)
    made.update_grid(2 * torch.rand(40, sizes[0], generator=generator, dtype=torch.float64) - 1, uniform=0.3)
    next(iter(made)).mask[0, 0] = 0
    x = torch.randn(300, sizes[0], generator=generator, dtype=torch.float64)  # more points than a block
    return made.to(dtype), x.to(dtype)


ANY = st.builds(
    network,
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    grid=st.integers(1, 30),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    seed=st.integers(0, 99),
    k=st.integers(0, 5),
)


def by_operations(network: KAN, x: Tensor) -> Tensor:
    h = x.T.contiguous()
    for layer in network:
        h = layer.functions(h).sum(dim=1)
    return h.T


@settings(max_examples=30, deadline=None)
@given(ANY)
def test_outputs_and_gradients_are_those_of_the_operations(made: tuple[KAN, Tensor]) -> None:
    own, x = made
    x.requires_grad_()
    wanted = [x, *own.parameters()]
    assert compiled.serves(list(own), x)
    found, expected = own(x), by_operations(own, x)
    slopes = [torch.autograd.grad(outputs.square().sum(), wanted) for outputs in (found, expected)]
    # The slope of a straight spline has jumps, which a rounding of a hidden node may cross: no such point is likely.
    tolerance = 1e-10 if x.dtype == torch.float64 else 1e-3
    for one, other in zip((found, *slopes[0]), (expected, *slopes[1]), strict=True):
        assert (one - other).norm() <= tolerance * (1 + other.norm())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_any_number_of_edges_that_leave_an_input_is_taken(dtype: torch.dtype) -> None:
    for outputs in (1, 2, 3, 7, 8, 13, 16, 21, 31, 32, 37):  # a register takes 16 at most
        own, x = network([2, outputs, 1], 3, dtype)
        x.requires_grad_()
        found, expected = own(x), by_operations(own, x)
        slopes = [torch.autograd.grad(each.sum(), [x, *own.parameters()]) for each in (found, expected)]
        tolerance = 1e-12 if dtype == torch.float64 else 1e-4
        for one, other in zip((found, *slopes[0]), (expected, *slopes[1]), strict=True):
            assert (one - other).norm() <= tolerance * (1 + other.norm())


@settings(max_examples=30, deadline=None)
@given(ANY)
def test_the_jacobian_is_that_of_the_operations(made: tuple[KAN, Tensor]) -> None:
    own, x = made
    found, expected = own.jacobian(x), own.dense_jacobian(x)
    assert found.shape == expected.shape
    tolerance = 1e-10 if x.dtype == torch.float64 else 1e-3
    assert (found - expected).norm() <= tolerance * (1 + expected.norm())


def test_a_nan_among_the_points_is_in_its_row_alone() -> None:
    own, x = network([2, 3, 1], 5, torch.float64)
    x[7, 1] = torch.nan
    of_rows = own.jacobian(x).isnan().any(dim=1)
    assert of_rows.nonzero().flatten().tolist() == [7]


def test_a_parameter_changed_between_the_ways_forward_and_back_is_noticed() -> None:
    own, x = network([2, 3, 1], 5, torch.float64)
    outputs = own(x).sum()
    with torch.no_grad():
        list(own)[1].coef.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.backward()


def test_a_frozen_parameter_gets_no_gradient() -> None:
    own, x = network([2, 3, 1], 5, torch.float64)
    first, second = own
    first.coef.requires_grad_(False)
    own(x).sum().backward()
    assert first.coef.grad is None
    assert second.coef.grad is not None
    assert x.grad is None


def test_the_same_numbers_give_the_same_bits() -> None:
    own, x = network([3, 8, 8, 2], 12, torch.float64)
    slopes = [torch.cat([g.flatten() for g in torch.autograd.grad(own(x).sum(), list(own.parameters()))]) for _ in "ab"]
    assert torch.equal(own(x), own(x))
    assert torch.equal(*slopes)


def test_other_types_and_a_network_in_two_types_go_by_the_operations() -> None:
    own, x = network([2, 3, 1], 5, torch.float64)
    assert not compiled.serves(list(own), x.half())
    assert not compiled.serves(list(own), x.float())
    first, _ = own
    first.coef.data = first.coef.data.float()
    assert not compiled.serves(list(own), x)


def test_derivatives_of_another_shape_than_the_outputs_are_refused() -> None:
    own, x = network([2, 20, 3], 5, torch.float64)
    found = own.at(x).vjp()
    assert found is not None
    with pytest.raises(ValueError, match="another shape than the outputs"):
        found.pull_back(torch.ones(len(x), 1, dtype=x.dtype))


def test_another_default_device_of_torch_is_none_of_the_loops_business() -> None:
    own, x = network([2, 20, 1], 5, torch.float64)
    with torch.device("meta"):
        assert own(x).is_cpu


def test_no_points_give_no_outputs() -> None:
    own, x = network([2, 3, 1], 5, torch.float64)
    outputs = own(x[:0])
    assert outputs.shape == (0, 1)
    outputs.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in own.parameters())
