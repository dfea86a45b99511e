"""The compiled loops of perceptrons: values and gradients of torch's modules, in blocks, of any size, near and far."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.models.activations import Sine, derivatives
from harness.models.finer import Finer
from harness.models.gauss import Gaussian
from harness.models.interface import at
from harness.models.perceptron import Perceptron
from harness.models.perceptron_loops import BLOCK
from harness.models.wire import Gabor

ACTIVATIONS = [nn.Tanh(), nn.ReLU(), nn.SiLU(), Sine(20.0), Gabor(5.0, 1.5), Finer(7.0), Gaussian(0.4)]
of_each = pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda each: type(each).__name__)


def network(sizes: list[int], activations: list[nn.Module], dtype: torch.dtype = torch.float64) -> Perceptron:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for (ins, outs), activation in zip(itertools.pairwise(sizes), [*activations, None], strict=True):
        layers += [nn.Linear(ins, outs, dtype=dtype), *([] if activation is None else [activation])]
    return Perceptron(*layers)


def gradients(outputs: Tensor, perceptron: Perceptron) -> list[Tensor]:
    weights = torch.linspace(-1, 2, outputs.numel()).to(outputs).view_as(outputs)
    return list(torch.autograd.grad((weights * outputs).sum(), list(perceptron.parameters())))


def assert_same(perceptron: Perceptron, x: Tensor, to: float = 1e-12) -> None:
    """Values and gradients are those of the modules, relative to the largest."""
    found, expected = at(perceptron, x)(), perceptron(x)
    pairs = [(found, expected), *zip(gradients(found, perceptron), gradients(expected, perceptron), strict=True)]
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).abs().max() <= to * theirs.abs().max().clamp(min=1)


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.sampled_from([1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7]),
    st.data(),
)
def test_networks_of_every_shape_are_those_of_their_modules(sizes: list[int], points: int, data: st.DataObject) -> None:
    activations = [data.draw(st.sampled_from(ACTIVATIONS)) for _ in sizes[2:]]
    assert_same(network(sizes, activations), torch.randn(points, sizes[0], dtype=torch.float64))


@of_each
def test_each_unit_has_the_value_and_the_slope_of_the_formula(activation: nn.Module) -> None:
    z = torch.cat([torch.linspace(-3, 3, 200), torch.tensor([-40.0, 0.0, 1e3])]).double()
    units = network([1, len(z), 1], [activation])
    (first, last) = units.parts()[1]
    with torch.no_grad():
        first.weight.zero_()
        first.bias.copy_(z)
        last.weight.fill_(1.0)
        last.bias.zero_()
    outputs = at(units, torch.zeros(1, 1, dtype=torch.float64))()
    value, slope = derivatives(activation, z.unsqueeze(1), 1)
    of_bias, of_weight = torch.autograd.grad(outputs.sum(), [first.bias, last.weight])
    torch.testing.assert_close(of_weight[0], value[:, 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(of_bias, slope[:, 0], rtol=1e-12, atol=1e-12)


@of_each
def test_single_precision_stays_single_and_is_as_exact_as_torch_s(activation: nn.Module) -> None:
    perceptron, x = network([2, 8, 8, 3], [activation] * 2, torch.float32), torch.randn(BLOCK + 9, 2)
    found, rounded = at(perceptron, x)(), perceptron(x)
    ours, theirs = [found, *gradients(found, perceptron)], [rounded, *gradients(rounded, perceptron)]
    exact = perceptron.double()(x.double())
    for one, other, true in zip(ours, theirs, [exact, *gradients(exact, perceptron)], strict=True):
        assert one.dtype == torch.float32
        assert (one - true).abs().max() <= 2 * (other - true).abs().max() + 1e-6 * true.abs().max()


@pytest.mark.parametrize("activation", [Sine(1.0), Finer(1.0), Gabor(1.0, 1e-7)], ids=lambda each: type(each).__name__)
def test_far_out_the_sines_are_those_of_torch(activation: nn.Module) -> None:
    perceptron = network([1, 4, 1], [activation])
    with torch.no_grad():
        perceptron.parts()[1][0].weight.mul_(1e6)
    assert_same(perceptron, torch.linspace(-1, 1, 50).double().unsqueeze(1))


def test_an_evaluation_does_not_change_the_gradient_of_one_before_it() -> None:
    perceptron = network([2, 8, 8, 1], [nn.SiLU()] * 2)
    x = torch.randn(300, 2, dtype=torch.float64)
    outputs = at(perceptron, x)
    before, expected = outputs(), gradients(perceptron(x), perceptron)
    with torch.no_grad():
        for parameter in perceptron.parameters():
            parameter.add_(1.0)
        outputs()
    outputs()
    for ours, theirs in zip(gradients(before, perceptron), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_without_a_gradient_the_numbers_are_the_same() -> None:
    perceptron = network([2, 8, 8, 1], [nn.SiLU(), nn.Tanh()])
    outputs = at(perceptron, torch.randn(2 * BLOCK + 1, 2, dtype=torch.float64))
    with torch.no_grad():
        found = outputs()
    assert not found.requires_grad
    assert torch.equal(found, outputs())


@of_each
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_what_torch_makes_of_it(activation: nn.Module, value: float) -> None:
    perceptron = network([1, 3, 1], [activation])
    with torch.no_grad():
        perceptron.parts()[1][0].bias[1] = value
    x = torch.linspace(-1, 1, 7).double().unsqueeze(1)
    found, expected = at(perceptron, x)(), perceptron(x)
    assert torch.equal(found.isfinite(), expected.isfinite())
    torch.testing.assert_close(found[found.isfinite()], expected[found.isfinite()], rtol=1e-12, atol=1e-12)


class Cube(nn.Module):
    """As a plug-in has one: with derivatives and without a loop."""

    def forward(self, x: Tensor) -> Tensor:
        return x**3

    def derivatives(self, z: Tensor, order: int) -> list[Tensor]:
        return [z**3, 3 * z**2, 6 * z, torch.full_like(z, 6.0)][: order + 1]


@pytest.mark.parametrize("activation", [Cube(), nn.GELU()], ids=["with derivatives", "without"])
def test_an_activation_without_a_loop_goes_by_torch(activation: nn.Module) -> None:
    assert_same(network([2, 5, 1], [activation]), torch.randn(20, 2, dtype=torch.float64))
