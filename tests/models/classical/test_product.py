"""A tensor product and its derivatives: written out, the same numbers as torch.func finds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.models import Regressor
from harness.models.classical import product
from harness.models.classical.finite_difference import Splines
from harness.models.classical.product import Product
from harness.models.classical.spectral import Chebyshev
from harness.models.frozen import Program
from harness.models.jets import Seeds, jacobian, jacobian_of_any, jet, jet_of_any

KINDS = [Chebyshev, Splines]


def made(kind: type[Product], dimension: int, size: int = 6) -> tuple[Product, Tensor]:
    """A product of random coefficients, and points inside and on the sides."""
    generator = torch.Generator().manual_seed(0)
    made = kind(dimension, size)
    made.set(torch.randn(made.coefficients.shape, generator=generator, dtype=torch.float64))
    x = 2 * torch.rand(30, dimension, generator=generator, dtype=torch.float64) - 1
    x[0], x[1], x[2, 0] = -1, 1, 1 / 3
    return made, x


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).norm() <= 1e-12 * (1e-3 + expected.norm())


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_are_those_that_torch_func_finds(kind: type[Product], dimension: int, order: int) -> None:
    network, x = made(kind, dimension)
    expected = jet_of_any(network, x, order)
    for found, wanted in zip(jet(network, x, order), expected, strict=True):
        assert (found is None) == (wanted is None)
        if found is not None and wanted is not None:
            assert_near(found.detach(), wanted.detach())
    generator = torch.Generator().manual_seed(1)
    seeds = Seeds(*(torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in expected if p is not None))
    parameters = list(network.parameters())
    assert_near(jacobian(network, x, parameters, seeds), jacobian_of_any(network, x, parameters, seeds))
    assert_near(jacobian(network, x, parameters), jacobian_of_any(network, x, parameters))


@pytest.mark.parametrize("kind", KINDS)
def test_many_points_are_taken_in_parts_and_nothing_changes(
    kind: type[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, x = made(kind, 2)

    def all_of_it() -> list[Tensor]:
        inputs = x.clone().requires_grad_()
        value = network(inputs)
        gradients = torch.autograd.grad(value.square().sum(), [inputs, network.coefficients])
        return [value.detach(), *gradients, *(part.detach() for part in network.jet(x, 2) if part is not None)]

    whole = all_of_it()
    monkeypatch.setattr(product, "MOST", 50)
    for found, expected in zip(all_of_it(), whole, strict=True):
        assert_near(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_any_size_can_be_loaded_into_a_product_of_any_other(kind: type[Product]) -> None:
    fine, x = made(kind, 2, size=9)
    coarse = kind(2, 5)
    model = Regressor(coarse, -1.0, 1.0)
    model.load_state_dict(Regressor(fine, -1.0, 1.0).state_dict())
    assert torch.equal(model(x), fine(x))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exported_as_a_program_for_any_number_of_points(kind: type[Product]) -> None:
    network, x = made(kind, 2, size=25)
    program = Program(Regressor(network, -1.0, 1.0))
    exported = torch.export.export(program, (x,), dynamic_shapes=[{0: torch.export.Dim.AUTO}]).module()
    for points in (x, x[:1], x.float()):
        torch.testing.assert_close(exported(points), network(points.double())[:, 0].detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_gives_nan(kind: type[Product]) -> None:
    network, x = made(kind, 2)
    x[3, 1] = torch.nan
    assert network(x).isnan()[:, 0].nonzero().tolist() == [[3]]
