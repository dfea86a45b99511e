"""Blocks of residuals, one below the other: the objective is their weighted mean squares, and the Jacobian is theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from harness.data import Sample
from harness.errors import BadInput
from harness.methods.vectors import flat, move
from harness.models import Regressor
from harness.models import network as untrained
from harness.models.interface import at, vjp
from harness.problems import Jet, Rows
from harness.training import train
from harness.training.loop import Training
from harness.training.rows import Fit, Objective
from tests.support import MODELS, SMALL, parts, small


def values(x: Tensor, jet: Jet) -> Tensor:
    return (jet.value - x[:, :1] ** 2)[:, 0]


def nonlinear(x: Tensor, jet: Jet) -> Tensor:
    """Of a value, a slope and a curvature together."""
    assert jet.slopes is not None
    assert jet.curvatures is not None
    return jet.value[:, 0] * jet.slopes[:, 0, 0] - 0.1 * jet.curvatures[:, 0, 1] + x[:, 1]


def points(count: int) -> Any:
    return lambda generator: 1.8 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.9


ROWS = (
    Rows(name="values", points=points(7), residual=values, weight=10.0),
    Rows(name="nonlinear", points=points(20), residual=nonlinear, order=2),
)


def lowered(model: str, rows: tuple[Rows, ...] = ROWS) -> Objective:
    config = small(model)
    regressor, data = parts(config)
    at = tuple(each.points(torch.Generator().manual_seed(i)) for i, each in enumerate(rows))
    return Training(regressor, replace(data, declared=rows, at_declared=at), config)._objective(None)


def along_a_line(objective: Objective) -> tuple[Tensor, Tensor]:
    """A direction of the parameters, and the difference quotient of the residuals along it."""
    theta, h = flat(objective.parameters), 1e-6
    direction = torch.randn(len(theta), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ends = []
    for step in (h, -h):
        move(objective.parameters, theta + step * direction)
        ends.append(objective.attempt()[0])
    return direction, (ends[0] - ends[1]) / (2 * h)


@pytest.mark.parametrize("model", MODELS)
def test_the_objective_is_the_weighted_sum_of_mean_squares(model: str) -> None:
    objective = lowered(model)
    first, second = objective.blocks
    assert (first.name, len(first), second.name, len(second), objective.rows) == ("values", 7, "nonlinear", 20, 27)
    expected = sum(b.weight * b.residuals(b.look()).square().mean().item() for b in objective.blocks)
    assert objective.evaluate().item() == pytest.approx(expected, rel=1e-12)
    residuals, value = objective.attempt()
    assert value == pytest.approx(expected, rel=1e-12)
    assert residuals.square().mean().item() == pytest.approx(expected, rel=1e-12)
    stacked = [factor * b.residuals(b.look()) for factor, b in zip(objective._factors, objective.blocks, strict=True)]
    assert torch.allclose(torch.cat(stacked), residuals, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_a_weight_is_the_factor_of_its_block_when_it_is_alone_too(weight: float) -> None:
    objective = lowered("mlp", (replace(ROWS[0], weight=weight),))
    (block,) = objective.blocks
    expected = weight * block.residuals(block.look()).square().mean().item()
    assert objective.evaluate().item() == pytest.approx(expected, rel=1e-12)
    assert objective.attempt()[0].square().mean().item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_the_jacobian_is_that_of_differences_and_any_part_of_it_is_a_part(model: str) -> None:
    objective = lowered(model)
    j, w = objective.jacobian(0, 27), torch.linspace(-1, 1, 27, dtype=torch.float64)
    pulled = objective.pull_back(w)
    assert (j.T @ w - pulled).norm() <= 1e-11 * pulled.norm()
    for start, stop in [(0, 7), (7, 27), (0, 3), (5, 9), (6, 8), (20, 27)]:
        assert torch.allclose(objective.jacobian(start, stop), j[start:stop], rtol=1e-10, atol=1e-12)
    direction, difference = along_a_line(objective)
    assert (j @ direction - difference).norm() <= 1e-6 * difference.norm()


def of_nonlinear(x: Tensor, jet: Jet) -> tuple[Tensor, Tensor, Tensor]:
    """The partial derivatives of :func:`nonlinear`."""
    assert jet.slopes is not None
    a, b, c = torch.zeros_like(jet.value), torch.zeros_like(jet.slopes), torch.zeros_like(jet.slopes)
    a[:, 0], b[:, 0, 0], c[:, 0, 1] = jet.slopes[:, 0, 0], jet.value[:, 0], -0.1
    return a, b, c


def test_partial_derivatives_that_are_given_take_the_place_of_autograd() -> None:
    asked: list[int] = []

    def partials(x: Tensor, jet: Jet) -> tuple[Tensor, Tensor, Tensor]:
        asked.append(len(x))
        return of_nonlinear(x, jet)

    given = lowered("mlp", (replace(ROWS[1], partials=partials),))
    expected = lowered("mlp", (ROWS[1],)).jacobian(0, 20)
    asked.clear()
    assert torch.allclose(given.jacobian(0, 20), expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(given.jacobian(3, 8), expected[3:8], rtol=1e-12, atol=1e-12)
    assert asked == [20, 5]


@pytest.mark.parametrize(
    ("partials", "complaint"),
    [
        (
            lambda x, jet: (jet.value, None),
            r"give the shapes \[\(7, 1\), None\] .*; expected: \[\(7, 1\), None, None\]",
        ),
        (lambda x, jet: (jet.value[:, 0], None, None), r"give the shapes \[\(7,\), None, None\]"),
        (lambda x, jet: jet.slopes[0], "fail at their 7 points: TypeError"),
    ],
)
def test_partial_derivatives_that_are_not_of_the_jet_s_shape_are_refused(partials: Any, complaint: str) -> None:
    regressor, data = parts(config := small("siren"))
    rows = replace(ROWS[0], partials=partials)
    at = rows.points(torch.Generator().manual_seed(0))
    with pytest.raises(BadInput, match=f"rows 'values' have partials that {complaint}"):
        train(regressor, replace(data, declared=(rows,), at_declared=(at,)), config)


@pytest.mark.parametrize("model", [*SMALL, "kan_chebyshev", "kan_wavelet"])
def test_a_fit_is_mse_over_the_variance_and_its_gradient(model: str) -> None:
    config = small(model)
    regressor, data = parts(config)
    objective = Training(regressor, data, config)._objective(None)
    assert objective.rows == len(data.train.y)
    expected = (regressor(data.train.x) - data.train.y).square().mean() / regressor.std**2
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(expected, objective.parameters)])
    for _ in range(2):
        assert objective.evaluate().item() == pytest.approx(expected.item(), rel=1e-12)
        found = torch.cat([p.grad.flatten() for p in objective.parameters if p.grad is not None])
        assert torch.allclose(found, gradient, rtol=1e-9, atol=1e-12)
    residuals, _ = objective.attempt()
    j = objective.jacobian(0, objective.rows)
    assert torch.allclose(2 * j.T @ residuals / objective.rows, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", ["mlp", "mlp_bspline", "kan", "kan_chebyshev"])
def test_a_fit_of_several_outputs_counts_each_in_its_own_unit(model: str) -> None:
    network = untrained(small(model), 2, 2)
    regressor = Regressor(network, -1.0, 1.0, [5.0, -2.0], [10.0, 0.1])
    x, y = torch.rand(2, 9, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    fit = Fit(regressor, Sample(x, y), x, at(network, x))
    expected = 3 * ((regressor(x) - y) / regressor.std).square().mean()
    gradient = torch.autograd.grad(expected, list(network.parameters()))
    assert fit.backward(3.0).item() == pytest.approx(expected.item(), rel=1e-12)
    for parameter, own in zip(network.parameters(), gradient, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, own, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", ["mlp", "mlp_bspline", "kan", "kan_chebyshev"])
def test_a_parameter_that_is_not_trained_gets_no_gradient(model: str) -> None:
    config = small(model)
    regressor, data = parts(config)
    fixed, *trained = regressor.parameters()
    fixed.requires_grad_(False)
    Training(regressor, data, config)._objective(None).evaluate()
    assert fixed.grad is None
    assert all(parameter.grad is not None for parameter in trained)


@pytest.mark.parametrize("model", [*SMALL, "kan_chebyshev"])
def test_no_autograd_is_needed_for_the_gradient_of_a_family(model: str) -> None:
    x = torch.zeros(3, 2, dtype=torch.float64)
    assert vjp(at(untrained(small(model), 2), x))() is not None
    assert vjp(at(nn.Sequential(nn.Linear(2, 1), nn.GELU()), x))() is None


@pytest.mark.parametrize("model", ["mlp", "mlp_bspline", "kan"])
def test_a_hook_on_a_parameter_gets_its_gradient(model: str) -> None:
    config = small(model)
    regressor, data = parts(config)
    hooked, *_ = regressor.parameters()
    hooked.register_hook(torch.zeros_like)
    Training(regressor, data, config)._objective(None).evaluate()
    assert hooked.grad is not None
    assert not hooked.grad.any()


def test_a_weight_that_is_made_of_other_parameters_is_trained_by_these() -> None:
    config = small("mlp")
    regressor, data = parts(config)
    for layer in regressor.network.modules():
        if isinstance(layer, nn.Linear):
            weight_norm(layer)
    objective = Training(regressor, data, config)._objective(None)
    objective.evaluate()
    expected = (regressor(data.train.x) - data.train.y).square().mean() / regressor.std**2
    for parameter, own in zip(objective.parameters, torch.autograd.grad(expected, objective.parameters), strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, own, rtol=1e-9, atol=1e-12)


def test_every_look_is_counted_once() -> None:
    objective = lowered("siren")
    counted: list[int] = []
    objective.count = lambda: counted.append(1)
    objective.evaluate()
    objective.attempt()
    objective.jacobian(0, 15)
    objective.jacobian(15, 27)
    assert len(counted) == 3
    objective.pull_back(torch.ones(27, dtype=torch.float64))
    assert objective.penalty_gradient() is None
    assert len(counted) == 3


@pytest.mark.parametrize(
    ("residual", "order", "complaint"),
    [
        (lambda x, jet: jet.value, 0, r"gives \(7, 1\) at their 7 points; expected: numbers of shape \(7,\)"),
        (lambda x, jet: 0.0, 0, "gives float at their 7 points"),
        (lambda x, jet: jet.slopes[:, 0, 0], 0, r"fails at their 7 points: TypeError"),
        (lambda x, jet: jet.slopes[:, 0, 5], 1, r"fails at their 7 points: IndexError"),
    ],
)
def test_a_residual_that_is_no_number_a_point_is_refused_before_anything_happens(
    residual: Any, order: int, complaint: str
) -> None:
    config = small("siren")
    regressor, data = parts(config)
    rows = Rows(name="mine", points=points(7), residual=residual, order=order)
    at = rows.points(torch.Generator().manual_seed(0))
    with pytest.raises(BadInput, match=f"rows 'mine' have a residual that {complaint}"):
        train(regressor, replace(data, declared=(rows,), at_declared=(at,)), config)
