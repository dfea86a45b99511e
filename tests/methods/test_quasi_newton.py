from __future__ import annotations

from collections import deque

import pytest
import torch
from torch import Tensor, nn

from harness.methods import METHODS, quasi_newton
from harness.methods.quasi_newton import C1, C2, LBFGS, TINY_BRACKET, Pairs, Trial, line_search
from harness.presets import resolve
from tests.methods.support import Lowered


def quadratic(scale: float) -> tuple[Tensor, Tensor]:
    """Diagonal with eigenvalues from ``scale`` to 1000 ``scale``, and a start."""
    return scale * torch.logspace(0, 3, 12, dtype=torch.float64), torch.ones(12, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
@pytest.mark.parametrize("bracket", [TINY_BRACKET, 1e-12])
def test_a_quadratic_is_minimised_whatever_its_scale(
    bracket: float, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quasi_newton, "TINY_BRACKET", bracket)
    eigenvalues, x = quadratic(scale)
    first = (eigenvalues * x * x / 2).sum().item()
    method = LBFGS(x, 1.0, 20, len(x))  # as many pairs as numbers: with fewer, rounding decides how far it gets
    for _ in range(10):
        method.step(lambda: ((eigenvalues * x * x / 2).sum().item(), eigenvalues * x))
    # A line search ends within the bracket of its minimum; what is left is the square of that, whatever the rounding.
    assert (eigenvalues * x * x / 2).sum().item() < bracket**2 * first


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("history", [1, 7, 40])
def test_a_direction_is_that_of_the_two_loops(history: int, dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(history)
    eigenvalues = torch.logspace(0, 2, 30, dtype=torch.float64)
    pairs, kept = Pairs(torch.zeros(30, dtype=dtype), history), deque[tuple[Tensor, Tensor]](maxlen=history)
    for _ in range(23):
        step = torch.randn(30, generator=generator, dtype=torch.float64).to(dtype)
        change = (eigenvalues * step).to(dtype)
        pairs.add(step, change, step.dot(change).item(), change.dot(change).item())
        kept.append((step.double(), change.double()))
        gradient = torch.randn(30, generator=generator, dtype=torch.float64)
        found = pairs.direction(gradient.to(dtype)).double()
        expected = two_loops(list(kept), gradient)
        assert (found - expected).norm() < tolerance * expected.norm()


def two_loops(pairs: list[tuple[Tensor, Tensor]], gradient: Tensor) -> Tensor:
    """Algorithm 7.4 of Nocedal and Wright 2006, pair by pair, with eq. 7.20."""
    direction, alphas = -gradient, []
    for step, change in reversed(pairs):
        alphas.append(step.dot(direction) / step.dot(change))
        direction = direction - alphas[-1] * change
    step, change = pairs[-1]
    direction = direction * step.dot(change) / change.dot(change)
    for (step, change), alpha in zip(pairs, reversed(alphas), strict=True):
        direction = direction + (alpha - change.dot(direction) / step.dot(change)) * step
    return direction


def test_rosenbrock_takes_about_as_many_evaluations_as_with_torch() -> None:
    def evaluate(x: Tensor) -> Tensor:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    def run(own: bool) -> tuple[float, int]:
        x = nn.Parameter(torch.tensor([-1.2, 1.0, -0.5, 0.8], dtype=torch.float64))
        count = 0

        def closure() -> Tensor:
            nonlocal count
            count += 1
            x.grad = None
            loss = evaluate(x)
            loss.backward()
            return loss

        def loss_and_gradient() -> tuple[float, Tensor]:
            with torch.enable_grad():
                loss = closure().item()
            assert x.grad is not None
            return loss, x.grad

        method = LBFGS(x.data, 1.0, 20, 10)
        theirs = torch.optim.LBFGS([x], max_iter=20, history_size=10, line_search_fn="strong_wolfe")
        while evaluate(x).item() > 1e-12 and count < 1000:
            if own:
                method.step(loss_and_gradient)
            else:
                theirs.step(closure)
        return evaluate(x).item(), count

    (own, own_count), (_, their_count) = run(own=True), run(own=False)
    assert own <= 1e-12
    assert own_count <= 1.5 * their_count


def test_an_epoch_takes_at_most_its_share_of_evaluations_and_returns_the_first_norm() -> None:
    config = resolve({"model": "mlp", "problem": "poisson_1d_sin", "optimizer": "lbfgs", "iterations": 8})
    parameters = [nn.Parameter(torch.ones(3, 2, dtype=torch.float64)), nn.Parameter(torch.ones(4, dtype=torch.float64))]
    count = 0

    def evaluate() -> Tensor:
        nonlocal count
        count += 1
        for parameter in parameters:
            parameter.grad = None
        loss = sum((p**4).sum() for p in parameters)
        assert isinstance(loss, Tensor)
        loss.backward()
        return loss

    lowered = Lowered(parameters, evaluate)
    step = METHODS.get("lbfgs").make(lowered, config.method, lambda: 1.0)
    assert step() == pytest.approx(4 * 10**0.5)
    assert 2 <= count <= 10
    assert all((parameter < 1).all() for parameter in parameters)


@pytest.mark.parametrize("first", [0.01, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("lowest", [0.37, 0.99, 4.6])
def test_a_line_search_ends_where_the_strong_wolfe_conditions_hold_and_knows_no_unit(
    first: float, lowest: float
) -> None:
    none = torch.zeros(0)

    def searched(unit: float) -> tuple[Trial, list[float]]:
        tried = []

        def at(t: float) -> Trial:
            tried.append(t / unit)
            x = t / unit - lowest
            size = (x * x + 1e-3) ** 0.5  # a kink, nearly
            return Trial(t, size, x / size / unit, none)

        found, used = line_search(at, at(0.0), first * unit, 25, 1e-9 * unit)
        assert used == len(tried) - 1
        return found, tried

    found, tried = searched(1.0)
    start_loss, start_slope = (lowest**2 + 1e-3) ** 0.5, -lowest / (lowest**2 + 1e-3) ** 0.5
    assert found.loss <= start_loss + C1 * found.t * start_slope
    assert abs(found.slope) <= C2 * abs(start_slope)
    assert searched(2.0**10)[1] == tried == searched(2.0**-10)[1]


def test_at_a_minimum_nothing_moves() -> None:
    x = torch.zeros(3, dtype=torch.float64)
    LBFGS(x, 1.0, 20, 10).step(lambda: (0.0, 2 * x))
    assert torch.equal(x, torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_few_iterations_move_too(iterations: int) -> None:
    x = torch.tensor([3.0, -4.0], dtype=torch.float64)
    method = LBFGS(x, 1.0, iterations, 10)
    method.step(lambda: (0.5 * x.dot(x).item(), x.clone()))
    assert x.norm() < 4.9
