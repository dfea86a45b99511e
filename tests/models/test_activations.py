"""Activations that tell their derivatives themselves: the naive formula, and autograd's derivatives of it up to the third."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.models.activations import are_known, derivatives, loop
from harness.models.finer import Finer
from harness.models.gauss import Gaussian
from harness.models.wire import Gabor

CASES: list[tuple[nn.Module, Callable[[Tensor], Tensor]]] = [
    (Gabor(5.0, 1.5), lambda x: torch.cos(5 * x) * torch.exp(-((1.5 * x) ** 2))),
    (Gabor(0.5, 4.0), lambda x: torch.cos(0.5 * x) * torch.exp(-((4 * x) ** 2))),
    (Finer(7.0), lambda x: torch.sin(7 * (x.abs() + 1) * x)),
    (Gaussian(0.4), lambda x: torch.exp(-(x**2) / (2 * 0.4**2))),
    (nn.Tanh(), torch.tanh),
    (nn.SiLU(), nn.functional.silu),
    (nn.ReLU(), torch.relu),
]
of_each = pytest.mark.parametrize(("activation", "naive"), CASES, ids=lambda each: type(each).__name__)


def points() -> Tensor:
    """On both sides of zero, and far out where an envelope is zero to all digits."""
    return torch.cat([torch.linspace(-3, 3, 200), torch.tensor([-40.0, 1e3])]).double().unsqueeze(1)


@of_each
def test_values_are_those_of_the_formula(activation: nn.Module, naive: Callable[[Tensor], Tensor]) -> None:
    z = points()
    torch.testing.assert_close(activation(z), naive(z), rtol=0, atol=1e-12)
    torch.testing.assert_close(derivatives(activation, z, 0)[0], naive(z), rtol=0, atol=1e-12)
    assert are_known([activation])


@of_each
def test_derivatives_up_to_the_third_are_autograd_s(activation: nn.Module, naive: Callable[[Tensor], Tensor]) -> None:
    z = points()[:200].requires_grad_()
    expected = [naive(z)]
    for _ in range(3):
        expected += torch.autograd.grad(expected[-1].sum(), z, create_graph=True)
    for order in range(4):
        found = derivatives(activation, z.detach(), order)
        assert len(found) == order + 1
        for one, other in zip(found, expected, strict=False):
            assert (one - other).abs().max() <= 1e-12 * other.abs().max()


def test_one_of_which_nothing_is_known_is_not() -> None:
    assert not are_known([nn.Tanh(), nn.GELU()])
    assert loop(nn.GELU()) is None


def test_at_zero_the_second_derivative_of_finer_is_the_mean_of_both_sides() -> None:
    value, slope, curvature, _ = derivatives(Finer(3.0), torch.tensor([0.0, 1e-9, -1e-9]).double(), 3)
    assert value.tolist() == pytest.approx([0, 3e-9, -3e-9], abs=1e-15)
    assert slope.tolist() == pytest.approx([3, 3, 3], abs=1e-7)
    assert curvature.tolist() == pytest.approx([0, 6, -6], abs=1e-6)
