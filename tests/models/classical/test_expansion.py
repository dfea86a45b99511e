"""Every family that fits is a sum of known functions: derivatives, state and export are the same for all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.models import Regressor
from harness.models.classical import expansion
from harness.models.frozen import Program
from harness.models.jets import Seeds, jacobian, jacobian_of_any, jet, jet_of_any
from tests.models.classical.fits import FAMILIES, fitted, untrained

each_family = pytest.mark.parametrize("fields", FAMILIES, ids=lambda fields: "-".join(map(str, fields.values())))


def assert_near(found: Tensor, expected: Tensor, scale: float) -> None:
    """Both to rounding, which goes with the numbers that are added up: coefficients may be large and cancel."""
    assert (found - expected).abs().max() <= 1e-12 * (scale + expected.abs().max())


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("dimension", "outputs"), [(1, 1), (2, 3)])
@each_family
def test_derivatives_are_those_that_torch_func_finds(
    fields: dict[str, Any], dimension: int, outputs: int, order: int
) -> None:
    network, x = fitted(fields, dimension, outputs)
    features = network.features(x, order)
    sizes = [(part.abs() @ network.coefficients.abs()).max().item() for part in features if part is not None]
    expected = jet_of_any(network, x, order)
    for found, wanted, size in zip(jet(network, x, order), expected, [*sizes, 0.0][:3], strict=True):
        assert (found is None) == (wanted is None)
        if found is not None and wanted is not None:
            assert_near(found.detach(), wanted.detach(), size)
    generator = torch.Generator().manual_seed(1)
    seeds = Seeds(*(torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in expected if p is not None))
    parameters, largest = (
        list(network.parameters()),
        max(part.abs().max().item() for part in features if part is not None),
    )
    assert_near(jacobian(network, x, parameters, seeds), jacobian_of_any(network, x, parameters, seeds), largest)
    assert_near(jacobian(network, x, parameters), jacobian_of_any(network, x, parameters), largest)


@each_family
def test_many_points_are_taken_in_parts_and_nothing_changes(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, x = fitted(fields, 2)
    whole = [network(x), *network.jet(x, 2)]
    monkeypatch.setattr(expansion, "MOST", 7 * 2 * len(network.coefficients))
    scale = network.coefficients.abs().sum().item()
    for found, expected in zip([network(x), *network.jet(x, 2)], whole, strict=True):
        assert found is not None
        assert expected is not None
        assert_near(found, expected, scale)


@each_family
def test_a_state_of_any_size_can_be_loaded_into_a_model_that_is_not_fitted(fields: dict[str, Any]) -> None:
    fine, x = fitted(fields, 2, outputs=2)
    other, _ = untrained(fields, 2, outputs=2)
    model = Regressor(other, -1.0, 1.0, [0.0, 0.0], [1.0, 1.0])
    model.load_state_dict(Regressor(fine, -1.0, 1.0, [0.0, 0.0], [1.0, 1.0]).state_dict())
    assert torch.equal(model(x), fine(x))


@each_family
def test_it_is_exported_as_a_program_for_any_number_of_points(fields: dict[str, Any]) -> None:
    network, x = fitted(fields, 2)
    program = Program(Regressor(network, -1.0, 1.0))
    exported = torch.export.export(program, (x,), dynamic_shapes=[{0: torch.export.Dim.AUTO}]).module()
    scale = network.coefficients.abs().sum().item()
    for points in (x, x[:1], x.float()):
        assert_near(exported(points), network(points.double())[:, 0].detach(), scale)


@each_family
def test_a_nan_gives_nan(fields: dict[str, Any]) -> None:
    network, x = fitted(fields, 2)
    x[3, 1] = torch.nan
    assert network(x).isnan()[:, 0].nonzero().tolist() == [[3]]
