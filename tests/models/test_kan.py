"""The KAN layer is pykan's function, with its own computation; refining and adapting the grid keep that function."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from torch import Tensor

from harness.models.bspline import bspline_basis, extend, fit_coefficients
from harness.models.kan import KAN

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kan.MultKAN import MultKAN
    from kan.spline import B_batch


def network(sizes: list[int], grid: int = 5, k: int = 3, seed: int = 0, noise: float = 0.5) -> KAN:
    return KAN(sizes, grid, k, noise, torch.Generator().manual_seed(seed))


def inputs(nodes: int, points: int = 200, seed: int = 1) -> Tensor:
    unit = torch.rand(points, nodes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 2 * unit - 1


def uneven_grid(intervals: int, k: int, seed: int = 0) -> Tensor:
    steps = 0.1 + torch.rand(1, intervals, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    interior = torch.cat([torch.zeros(1, 1, dtype=torch.float64), steps.cumsum(dim=1)], dim=1)
    return extend(2 * interior / interior[:, -1:] - 1, k)


# --- the basis


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("intervals", [1, 5, 20])
def test_the_basis_is_scipy_s(intervals: int, k: int) -> None:
    knots = uneven_grid(intervals, k)
    x = torch.linspace(-1, 1 - 1e-9, 400, dtype=torch.float64)
    reference = BSpline.design_matrix(x.numpy(), knots[0].numpy(), k).toarray()
    np.testing.assert_allclose(bspline_basis(x[:, None], knots, k)[:, 0].numpy(), reference, rtol=0, atol=1e-12)


def test_the_basis_is_pykan_s_outside_of_the_grid_too() -> None:
    knots = torch.cat([uneven_grid(5, 3, seed) for seed in (0, 1)])
    x = 3 * inputs(2, 500)
    torch.testing.assert_close(bspline_basis(x, knots, 3), B_batch(x, knots, k=3), rtol=0, atol=1e-13)


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 1000), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_the_basis_is_a_partition_of_unity_inside_the_grid(intervals: int, k: int, seed: int, x: list[float]) -> None:
    basis = bspline_basis(torch.tensor(x, dtype=torch.float64)[:, None], uneven_grid(intervals, k, seed), k)
    assert basis.shape == (len(x), 1, intervals + k)
    assert (basis >= -1e-12).all()
    torch.testing.assert_close(basis.sum(dim=-1), torch.ones(len(x), 1, dtype=torch.float64), rtol=0, atol=1e-11)


def test_the_basis_vanishes_beyond_all_knots_and_keeps_a_nan() -> None:
    knots = uneven_grid(4, 3)
    far = torch.tensor([[knots.min().item() - 1e-9], [knots.max().item()], [1e6]], dtype=torch.float64)
    assert (bspline_basis(far, knots, 3) == 0).all()
    assert bspline_basis(torch.tensor([[math.nan]], dtype=torch.float64), knots, 3).isnan().any()


def test_knots_that_coincide_give_no_nan() -> None:
    interior = torch.tensor([[-1.0, 0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    basis = bspline_basis(inputs(1), extend(interior, 3), 3)
    assert basis.isfinite().all()
    torch.testing.assert_close(basis.sum(dim=-1), torch.ones(200, 1, dtype=torch.float64), rtol=0, atol=1e-12)


def test_fitting_gives_a_spline_its_own_coefficients_back_and_refuses_what_is_not_finite() -> None:
    knots, x = uneven_grid(6, 3), inputs(1, 300)
    coef = torch.rand(1, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    curves = torch.einsum("pib,iob->pio", bspline_basis(x, knots, 3), coef)
    torch.testing.assert_close(fit_coefficients(x, curves, knots, 3), coef, rtol=0, atol=1e-9)
    curves[3, 0, 1] = math.nan
    with pytest.raises(FloatingPointError):
        fit_coefficients(x, curves, knots, 3)


def test_a_fit_is_the_same_bit_for_bit_whatever_the_memory_held_before() -> None:
    knots = extend(torch.linspace(-1, 1, 4, dtype=torch.float64).expand(2, -1), 3)
    x = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None].expand(-1, 2)
    y = torch.rand(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    solutions = set()
    for size in range(1, 300):
        torch.full((size,), 7, dtype=torch.int32)  # freed at once: the allocator hands its content on
        solutions.add(fit_coefficients(x, y, knots, 3).numpy().tobytes())
    assert len(solutions) == 1


# --- pykan as the reference


def pykan_with_the_parameters_of(own: KAN, sizes: list[int]) -> Any:
    torch.set_default_dtype(torch.float64)
    try:
        reference = MultKAN(width=list(sizes), grid=own.grid, k=own.k, auto_save=False, symbolic_enabled=True, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    for theirs, ours in zip(reference.act_fun, own, strict=True):
        theirs.grid.data = ours.grid.clone()
        theirs.coef.data = ours.coef.detach().clone()
        theirs.scale_base.data = ours.scale_base.detach().clone()
        theirs.scale_sp.data = ours.scale_sp.detach().clone()
        theirs.mask.data = ours.mask.clone()
    return reference


@pytest.fixture
def generators_kept() -> Any:
    """Pykan's constructor seeds the global generators; other tests must not notice."""
    state, numpy_state = torch.get_rng_state(), np.random.get_state()
    yield
    torch.set_rng_state(state)
    np.random.set_state(numpy_state)


SIZES = [[2, 5, 1], [1, 3, 1], [2, 3, 4, 1], [1, 1, 1]]


@pytest.mark.usefixtures("generators_kept")
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_output_scores_and_penalty_are_pykan_s(sizes: list[int], masked: bool) -> None:
    own = network(sizes)
    x = inputs(sizes[0])
    own.refine(8)
    own.update_grid(x)  # an adapted grid is the harder case
    if masked and sizes[1] > 1:
        next(iter(own)).mask[0, 0] = 0
        list(own)[-1].mask[1, 0] = 0
    reference = pykan_with_the_parameters_of(own, sizes)

    torch.testing.assert_close(own(x), reference(x), rtol=1e-12, atol=1e-12)

    reference.attribute(plot=False)
    nodes, edges = own.attribute(x)
    for ours, theirs in zip(nodes, reference.node_scores[:-1], strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(edges, reference.edge_scores, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-10, atol=1e-12)

    for lamb_entropy in (1.0, 2.0):
        theirs = reference.reg("edge_forward_spline_n", 1.0, lamb_entropy, 0.0, 0.0)
        torch.testing.assert_close(own.penalty(x, lamb_entropy), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("generators_kept")
def test_gradients_are_pykan_s() -> None:
    own = network([2, 4, 1])
    x = inputs(2)
    reference = pykan_with_the_parameters_of(own, [2, 4, 1])
    (own(x).square().mean() + 0.1 * own.penalty(x, 2.0)).backward()
    (reference(x).square().mean() + 0.1 * reference.reg("edge_forward_spline_n", 1.0, 2.0, 0.0, 0.0)).backward()
    for ours, theirs in zip(own, reference.act_fun, strict=True):
        for name in ("coef", "scale_base", "scale_sp"):
            torch.testing.assert_close(getattr(ours, name).grad, getattr(theirs, name).grad, rtol=1e-9, atol=1e-12)


# --- the function of a layer


def test_a_layer_is_the_sum_of_its_edges() -> None:
    (layer,) = network([3, 2])
    layer.mask[1, 0] = 0
    x = inputs(3)
    edges = layer.edges(x)
    assert edges.shape == (200, 3, 2)
    assert (edges[:, 1, 0] == 0).all()
    torch.testing.assert_close(edges.sum(dim=1), layer(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_nan_input_gives_a_nan_output_for_that_point_alone(sizes: list[int]) -> None:
    x = inputs(sizes[0], 4)
    x[2, 0] = math.nan
    assert network(sizes)(x).isnan().flatten().tolist() == [False, False, True, False]


# --- refine and update_grid


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_refining_by_a_whole_factor_keeps_the_function(sizes: list[int]) -> None:
    # The finer splines contain the coarser ones, so nothing but rounding is lost as long as activations stay inside.
    own = network(sizes, grid=4)
    x = inputs(sizes[0])
    own.update_grid(x)
    before = own(x).detach()
    own.refine(12)
    assert own.grid == 12
    torch.testing.assert_close(own(x).detach(), before, rtol=0, atol=1e-8)
    assert all(layer.coef.requires_grad for layer in own)


@pytest.mark.parametrize("sizes", [[2, 5, 1], [2, 3, 4, 1]], ids=str)
def test_adapting_the_grid_keeps_the_function_approximately_and_covers_all_activations(sizes: list[int]) -> None:
    own = network(sizes, grid=20)
    x = inputs(sizes[0], 1000)
    before = own(x).detach()
    own.update_grid(x)
    spread = before.std().item()
    assert (own(x).detach() - before).square().mean().sqrt().item() < 0.05 * spread
    activations = x
    for index, layer in enumerate(own):
        if index > 0:
            # The output of the layers before has moved a little with their grids, by less than the margin.
            interior = layer.grid[:, layer.k : -layer.k]
            assert (interior[:, 0] <= activations.amin(dim=0)).all()
            assert (interior[:, -1] >= activations.amax(dim=0)).all()
            assert (interior.diff(dim=1) > 0).all()
        activations = layer(activations).detach()


def test_adapted_knots_are_quantiles_of_the_activations_blended_with_an_even_grid() -> None:
    own = network([2, 3, 1], grid=6)
    first, second = own
    x = inputs(2, 400) ** 3  # crowded around zero, so that quantiles are far from even
    hidden = first(x).detach().numpy()
    own.update_grid(x, uniform=0.02, margin=0.01)
    for node in range(3):
        values = hidden[:, node]
        span = np.ptp(values)
        even, quantiles = np.linspace(values.min(), values.max(), 7), np.quantile(values, np.linspace(0, 1, 7))
        expected = 0.02 * even + 0.98 * quantiles
        expected[[0, -1]] = values.min() - 0.01 * span, values.max() + 0.01 * span
        np.testing.assert_allclose(second.grid[node, 3:-3].numpy(), expected, rtol=0, atol=1e-12)


def test_the_first_layer_keeps_its_grid() -> None:
    own = network([2, 3, 1])
    before = next(iter(own)).grid.clone()
    own.update_grid(0.1 * inputs(2))
    assert torch.equal(next(iter(own)).grid, before)


def test_a_constant_hidden_activation_keeps_its_grid_and_everything_stays_finite() -> None:
    own = network([2, 3, 1])
    x = inputs(2)
    next(iter(own)).mask[:, 1] = 0  # the second hidden node is now 0 everywhere
    before = list(own)[1].grid[1].clone()
    own.update_grid(x)
    assert torch.equal(list(own)[1].grid[1], before)
    own.refine(10)
    own.update_grid(x)
    assert own(x).isfinite().all()
    assert own.penalty(x, 2.0).isfinite()
    assert all(score.isfinite().all() for scores in own.attribute(x) for score in scores)


def test_a_nan_is_never_hidden_by_an_adapted_grid() -> None:
    own = network([2, 3, 1])
    with torch.no_grad():
        next(iter(own)).coef[0, 0, :] = math.nan
    with pytest.raises(FloatingPointError, match=r"layers\.0\.coef is not finite"):
        own.update_grid(inputs(2))
    assert list(own)[1].grid.isfinite().all()

    own = network([2, 3, 1])
    with torch.no_grad():
        list(own)[1].coef[0, 0, 0] = math.nan
    with pytest.raises(FloatingPointError):
        own.update_grid(inputs(2))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_state_of_another_grid_loads_and_gives_the_same_function(sizes: list[int]) -> None:
    fine, coarse = network(sizes, grid=3), network(sizes, grid=3, seed=9)
    x = inputs(sizes[0])
    fine.refine(11)
    fine.update_grid(x)
    next(iter(fine)).mask[0, 0] = 0
    coarse.load_state_dict(fine.state_dict())
    assert coarse.grid == 11
    assert torch.equal(coarse(x), fine(x))
    coarse(x).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in coarse.parameters())


def test_a_state_of_another_width_does_not_load() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        network([2, 3, 1]).load_state_dict(network([2, 4, 1]).state_dict())


def test_active_parameters_are_live_edges_times_grid_plus_k_plus_2() -> None:
    own = network([2, 5, 1], grid=10)
    assert own.active_edges() == 15
    assert own.active_parameters() == 15 * (10 + 3 + 2)
    next(iter(own)).mask[:, 2] = 0
    assert own.active_parameters() == 13 * 15
