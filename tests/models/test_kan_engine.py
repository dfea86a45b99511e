"""The three ways to evaluate a KAN are one function, which is pykan's, whatever has happened to the network before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, grad, vmap

from harness.evaluation import predict_with_gradient
from harness.models import Regressor
from harness.models.bspline import bspline_basis
from harness.models.kan import KAN
from harness.models.piecewise import evaluate, interval_of, pieces
from harness.models.sparsity import plain_sparsity, sparsity

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.fixture
def default_dtype() -> Iterator[Callable[[torch.dtype], None]]:
    yield torch.set_default_dtype
    torch.set_default_dtype(torch.float32)


def points(count: int = 400, dimension: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    x = 2 * torch.rand(count, dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    return x.to(dtype)


def network(
    grid: int = 5, k: int = 3, sizes: tuple[int, ...] = (2, 4, 3, 1), masked: bool = False, seed: int = 0
) -> KAN:
    """Random parameters of order 1 on adapted, uneven grids."""
    generator = torch.Generator().manual_seed(seed)
    made = KAN(sizes, grid, k, 0.3, generator)
    made.update_grid(points(dimension=sizes[0]))
    with torch.no_grad():
        for layer in made:
            # The size of a random walk, so that slopes do not grow with the number of intervals.
            steps = torch.randn(layer.coef.shape, generator=generator, dtype=torch.float64)
            layer.coef.copy_(steps.cumsum(-1) / layer.coef.shape[-1] ** 0.5)
            layer.scale_sp.copy_(torch.randn(layer.scale_sp.shape, generator=generator, dtype=torch.float64))
        made.update_grid(points(dimension=sizes[0]))
        if masked:
            next(iter(made)).mask[0, 1] = 0
            list(made)[1].mask[:, 2] = 0
            list(made)[1].mask[1, 0] = 0
    return made


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def gradients(outputs: Tensor, parameters: list[Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad((outputs**2).sum(), parameters, retain_graph=True)])


def named(model: Any) -> list[Tensor]:
    layers = model.act_fun if hasattr(model, "act_fun") else model.layers
    return [tensor for layer in layers for tensor in (layer.coef, layer.scale_base, layer.scale_sp)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("grid", "k"), [(3, 3), (5, 3), (20, 3), (100, 3), (5, 1), (7, 2), (4, 5), (1, 3)])
def test_outputs_gradients_scores_and_penalty_are_those_of_multkan(
    grid: int,
    k: int,
    masked: bool,
    dtype: torch.dtype,
    default_dtype: Callable[[torch.dtype], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("kan")
    monkeypatch.chdir(tmp_path)
    default_dtype(dtype)
    own = network(grid, k, masked=masked).to(dtype)
    x, theirs = points(dtype=dtype), own.to_multkan()
    expected, tolerance = theirs(x), TOLERANCE[dtype]
    expected_gradient = gradients(expected, named(theirs))
    # Rough functions amplify the rounding of hidden activations in float32: nobody can be nearer to pykan than pykan is to
    # its own exact result.
    exact = own.to(torch.float64).dense(x.double())
    rounding = error(expected_gradient, gradients(exact, named(own)).to(dtype)) if dtype == torch.float32 else 0.0
    own.to(dtype)
    bound = max(tolerance, 3 * rounding)
    fixed = own.at(x)
    for outputs in (own(x), fixed(), fixed.penalised(1.0)[0], own.dense(x)):
        assert error(outputs, expected) < tolerance
        assert error(gradients(outputs, named(own)), expected_gradient) < bound
    theirs.attribute()
    nodes, edges = own.attribute(x)
    for found, scores in zip([*nodes, *edges], [*theirs.node_scores[:-1], *theirs.edge_scores], strict=True):
        torch.testing.assert_close(found, scores.detach(), rtol=tolerance, atol=tolerance)
    for mu in (1.0, 2.0):  # the paper's, and the default of pykan's fit
        penalty = theirs.reg("edge_forward_spline_n", 1.0, mu, 0.0, 0.0)
        slope = gradients(penalty, named(theirs))
        for found in (own.penalty(x, mu), fixed.penalised(mu)[1]):
            assert error(found, penalty) < tolerance
            assert error(gradients(found, named(own)), slope) < 3 * bound


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_polynomials_are_the_splines_on_any_knots_also_repeated_ones(data: st.DataObject) -> None:
    k = data.draw(st.integers(0, 5))
    steps = data.draw(st.lists(st.sampled_from([0.0, 1e-3, 0.1, 0.5, 1.0]), min_size=2 * k + 2, max_size=30))
    knots = torch.tensor([steps], dtype=torch.float64).cumsum(1) - 1
    count = knots.shape[1] - k - 1
    x = torch.cat([knots[0], torch.linspace(-1.5, knots[0, -1].item() + 0.5, 97, dtype=torch.float64)]).unsqueeze(0)
    table = pieces(knots, k)
    interval = interval_of(x, table.bins)
    assert torch.equal(interval, torch.searchsorted(knots, x, right=True).flatten())
    weights = torch.cat([torch.eye(count), torch.zeros(count, 1)], dim=1).double().unsqueeze(1)
    values, _, _ = evaluate(x, weights, interval, table, k)
    torch.testing.assert_close(values[:, 0].T, bspline_basis(x.T, knots, k)[:, 0], rtol=1e-11, atol=1e-12)


def test_infinity_is_after_the_last_knot_of_its_input() -> None:
    knots = torch.tensor([[-1.0, 0.0, 1.0], [-1.0, 0.5, 1.0]], dtype=torch.float64)
    x = torch.tensor([[torch.inf, -torch.inf], [torch.inf, 2.0]], dtype=torch.float64)
    assert interval_of(x, pieces(knots, 1).bins).tolist() == [3, 0, 7, 7]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_gradients_are_right_to_second_order(k: int) -> None:
    own = network(5, k, (2, 3, 1))
    x = points(6).requires_grad_()
    assert torch.autograd.gradcheck(own, (x,))
    if k > 1:
        assert torch.autograd.gradgradcheck(own, (x,))
    parameters = {name: p.detach().requires_grad_() for name, p in own.named_parameters()}

    def by_parameters(*values: Tensor) -> Tensor:
        made = copy.deepcopy(own)
        outputs: Tensor = functional_call(made, dict(zip(parameters, values, strict=True)), (x.detach(),))
        return outputs

    assert torch.autograd.gradcheck(by_parameters, tuple(parameters.values()))
    assert torch.autograd.gradgradcheck(by_parameters, tuple(parameters.values()))


def test_the_gradient_of_the_penalty_is_right_also_for_dead_and_constant_edges() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 40, generator=generator, dtype=torch.float64, requires_grad=True)
    edges = torch.randn(4, 3, 40, generator=generator, dtype=torch.float64)
    edges[1, 1], edges[2, 0] = 0, 2.5
    edges.requires_grad_()
    found = torch.autograd.grad(sparsity(x, edges, 2.0), (x, edges))
    expected = torch.autograd.grad(plain_sparsity(x, edges, 2.0), (x, edges))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_points_outside_on_the_last_knot_and_not_finite() -> None:
    own = network(5, sizes=(1, 1))
    layer = next(iter(own))
    last = layer.grid[0, -1].item()
    x = torch.tensor([[-9.0], [9.0], [last], [1e300], [torch.nan], [torch.inf], [-torch.inf]], dtype=torch.float64)
    base = layer.scale_base.squeeze() * torch.nn.functional.silu(x)
    for outputs in (own(x), own.at(x)(), own.dense(x)):
        torch.testing.assert_close(outputs[:4], base[:4])
        assert outputs[4:].isnan().all()


def test_a_nan_weight_gives_nan() -> None:
    own = network(sizes=(2, 3, 1))
    with torch.no_grad():
        list(own)[1].coef[0] = torch.nan
    for outputs in (own(points()), own.at(points())(), own.dense(points())):
        assert outputs.isnan().any()


def test_predict_with_gradient_gives_the_gradient_in_the_inputs() -> None:
    model = Regressor(network(sizes=(2, 3, 1)), -1.0, 1.0, 0.5, 2.0)
    x = points(50)
    _, slope = predict_with_gradient(model, x)
    h = 1e-6
    for axis in range(2):
        step = h * torch.eye(2, dtype=torch.float64)[axis]
        with torch.no_grad():
            difference = (model(x + step) - model(x - step)).squeeze() / (2 * h)
        torch.testing.assert_close(slope[:, 0, axis], difference, rtol=1e-5, atol=1e-6)


def test_per_sample_gradients_by_vmap() -> None:
    model = Regressor(network(sizes=(2, 3, 2, 1)), -1.0, 1.0, 0.5, 2.0)
    x, parameters = points(20), {name: p.detach() for name, p in model.named_parameters()}

    def one(values: dict[str, Tensor], point: Tensor) -> Tensor:
        output: Tensor = functional_call(model, values, (point.unsqueeze(0),))
        return output.squeeze()

    jacobian = vmap(grad(one), in_dims=(None, 0))(parameters, x)
    for index in (0, 7, 19):
        expected = torch.autograd.grad(model(x[index : index + 1]).squeeze(), list(model.parameters()))
        for name, row in zip(parameters, expected, strict=True):
            torch.testing.assert_close(jacobian[name][index], row, rtol=1e-10, atol=1e-12)


def test_the_exported_program_is_the_same_function(tmp_path: Path) -> None:
    model = Regressor(network(sizes=(2, 3, 1)), -1.0, 1.0)
    model(points())  # what this leaves behind must not get in the way
    batch = torch.export.Dim("points", min=2)
    program = torch.export.export(model, (points(10),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "kan.pt2")
    loaded = torch.export.load(tmp_path / "kan.pt2").module()
    torch.testing.assert_close(loaded(points(33)), model(points(33)), rtol=1e-12, atol=1e-13)


# What can happen to a network between two evaluations. A fixed point evaluator has to notice all of it.
def _refine(own: KAN) -> None:
    own.refine(own.grid + 2 if own.grid < 12 else 3)


def _update(own: KAN) -> None:
    own.update_grid(points(dtype=next(own.parameters()).dtype))


def _load(own: KAN) -> None:
    own.load_state_dict(network(4, sizes=(2, 3, 1), seed=9).state_dict())


def _move_a_knot_in_place(own: KAN) -> None:
    for layer in own:
        layer.grid[:, 5] += 0.01


def _move_a_knot_behind_autograds_back(own: KAN) -> None:
    for layer in own:
        layer.grid.data[:, 5] -= 0.01


def _replace_data(own: KAN) -> None:
    for layer in own:
        layer.grid.data = layer.grid.data * 1.1


def _change_dtype(own: KAN) -> None:
    own.to(torch.float32 if next(own.parameters()).dtype == torch.float64 else torch.float64)


def _mask(own: KAN) -> None:
    next(iter(own)).mask[0, 0] = 0


def _step(own: KAN) -> None:
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.add_(0.01)


def _evaluate_elsewhere(own: KAN) -> None:
    own(points(7, dtype=next(own.parameters()).dtype))


def _evaluate_in_inference_mode(own: KAN) -> None:
    with torch.inference_mode():
        own(points(7, dtype=next(own.parameters()).dtype))


HAPPENINGS = [
    _refine,
    _update,
    _load,
    _move_a_knot_in_place,
    _move_a_knot_behind_autograds_back,
    _replace_data,
    _change_dtype,
    _mask,
    _step,
    _evaluate_elsewhere,
    _evaluate_in_inference_mode,
]


@given(st.lists(st.sampled_from(HAPPENINGS), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_nothing_kept_is_ever_stale(happenings: list[Callable[[KAN], None]]) -> None:
    own, x = network(5, sizes=(2, 3, 1)), points(60)
    fixed = own.at(x)
    fixed()
    for happen in happenings:
        happen(own)
        dtype = next(own.parameters()).dtype
        same = x.to(torch.float32).to(dtype) if _change_dtype in happenings else x
        tolerance = 1e-10 if _change_dtype not in happenings else 2e-3
        expected = own.dense(same.to(dtype))
        for outputs in (fixed(), own(same.to(dtype)), fixed.penalised(1.0)[0]):
            torch.testing.assert_close(outputs, expected, rtol=tolerance, atol=tolerance)
            outputs.sum().backward()


def test_nothing_kept_enters_the_state_or_hinders_a_copy() -> None:
    own = network(sizes=(2, 3, 1))
    names = set(own.state_dict())
    own.at(points())().sum().backward()
    own(points())
    assert set(own.state_dict()) == names
    twin = copy.deepcopy(own)
    assert torch.equal(twin(points()), own(points()))


def test_the_model_at_fixed_points_is_the_model() -> None:
    x = 3 * points()
    model = Regressor(network(sizes=(2, 3, 1)), -3.0, 3.0, 1.5, 4.0)
    torch.testing.assert_close(model.at(x)(), model(x), rtol=1e-12, atol=1e-13)
    plain = Regressor(torch.nn.Linear(2, 1, dtype=torch.float64), -3.0, 3.0, 1.5, 4.0)
    assert torch.equal(plain.at(x)(), plain(x))


# Bad input and faults.
def test_a_grid_finer_than_the_data_and_duplicate_points_give_a_finite_smallest_fit() -> None:
    own, x = network(3, sizes=(2, 3, 1)), points(5).repeat(4, 1)
    own.refine(60)
    own.update_grid(x)
    assert own(x).isfinite().all()
    own.refine(7)
    assert own(points()).isfinite().all()


def test_a_singular_fit_keeps_the_curve_where_it_can_be_seen() -> None:
    own = network(5, sizes=(1, 1))
    layer = next(iter(own))
    x = points(200, 1)
    before = own(x).detach()
    with torch.no_grad():
        # All but the outer knots coincide: the splines between them are linearly dependent.
        interior = torch.tensor([[-1.0, 0.0, 0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
        layer.set_grid(interior)
    assert own(x).isfinite().all()
    assert (own(x) - before).abs().max() < before.abs().max()


@pytest.mark.parametrize("name", ["coef", "scale_base", "scale_sp"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_grids_can_not_be_moved_with_a_parameter_that_is_not_finite(name: str, value: float) -> None:
    changes: list[Callable[[KAN], None]] = [lambda own: own.refine(8), lambda own: own.update_grid(points())]
    for change in changes:
        own = network(sizes=(2, 3, 1))
        with torch.no_grad():
            getattr(next(iter(own)), name)[0, 0] = value
        with pytest.raises(FloatingPointError, match="not finite"):
            change(own)


def test_a_constant_hidden_activation_keeps_its_grid() -> None:
    own = network(sizes=(2, 3, 1))
    with torch.no_grad():
        next(iter(own)).mask[:, 1] = 0
    before = list(own)[1].grid[1].clone()
    own.update_grid(points())
    assert torch.equal(list(own)[1].grid[1], before)
    assert own(points()).isfinite().all()
    assert all(scores.isfinite().all() for scores in own.attribute(points())[0])
    own.at(points()).penalised(2.0)[1].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.parameters())


@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (2, 1, 1), (1, 3, 1)])
def test_width_and_depth_of_one(sizes: tuple[int, ...]) -> None:
    own = network(4, sizes=sizes)
    x = points(dimension=sizes[0])
    torch.testing.assert_close(own.at(x)(), own.dense(x), rtol=1e-12, atol=1e-13)
    own.refine(9)
    own.update_grid(x)
    assert own.grid == 9
    assert own(x).shape == (len(x), 1)


def test_one_point_and_no_points() -> None:
    own = network(sizes=(2, 3, 1))
    torch.testing.assert_close(own(points(1)), own.dense(points(1)))
    assert own(points(0)).shape == (0, 1)
