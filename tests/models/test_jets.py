"""Derivatives along the axes, and the Jacobian of their combinations: written out or not, the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import problems
from harness.models import build, jets
from harness.models.jets import Seeds, jacobian, jacobian_of_any, jet_of_any
from harness.presets import resolve
from harness.problems import Jet

FAMILIES: list[dict[str, Any]] = [
    {"model": "mlp", "depth": 2},
    {"model": "mlp", "depth": 1, "activation": "silu"},
    {"model": "mlp", "depth": 2, "activation": "relu"},
    {"model": "mlp_fourier", "features": 3},
    {"model": "siren", "depth": 2},
    {"model": "kan", "k": 3, "depth": 2, "grids": (4,)},
    {"model": "kan", "k": 1, "grids": (4,)},
    {"model": "kan", "k": 5, "grids": (3,)},
]


def made(fields: dict[str, Any]) -> tuple[nn.Module, Tensor]:
    """A network with parameters that are not those of its start, and points inside."""
    config = resolve({"width": 4, "problem": "poisson_2d_sin", **fields})
    network = build(config, problems.get("poisson_2d_sin")).network
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return network, 1.8 * torch.rand(30, 2, generator=generator, dtype=torch.float64) - 0.9


def seeds_like(jet: Jet) -> Seeds:
    generator = torch.Generator().manual_seed(1)
    return Seeds(*(torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in jet if p is not None))


def combined(seeds: Seeds, jet: Jet) -> Tensor:
    """The combination that the seeds say, summed over the points."""
    parts = [(s * p).sum() for s, p in zip(seeds, jet, strict=True) if s is not None and p is not None]
    return torch.stack(parts).sum()


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).norm() <= 1e-12 * (1e-3 + expected.norm())


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("fields", FAMILIES, ids=lambda fields: "-".join(map(str, fields.values())))
def test_what_is_written_out_is_what_torch_func_finds(fields: dict[str, Any], order: int) -> None:
    network, x = made(fields)
    expected = jet_of_any(network, x, order)
    with torch.no_grad():
        without_graph = jets.jet(network, x, order)
    for found in (jets.jet(network, x, order), without_graph):
        assert (found.curvatures is None) == (order == 1)
        for part, wanted in zip(found, expected, strict=True):
            if part is not None and wanted is not None:
                assert_near(part.detach(), wanted.detach())
    parameters, seeds = list(network.parameters()), seeds_like(expected)
    by_points = jacobian_of_any(network, x, parameters, seeds)
    assert_near(jacobian(network, x, parameters, seeds), by_points)
    gradients = torch.autograd.grad(combined(seeds, jets.jet(network, x, order)), parameters, materialize_grads=True)
    assert_near(torch.cat([each.flatten() for each in gradients]), by_points.sum(dim=0))


@pytest.mark.parametrize("fields", FAMILIES, ids=lambda fields: "-".join(map(str, fields.values())))
def test_the_plain_jacobian_is_that_of_one_gradient_a_point(fields: dict[str, Any]) -> None:
    network, x = made(fields)
    parameters = list(network.parameters())
    assert_near(jacobian(network, x, parameters), jacobian_of_any(network, x, parameters))
    assert_near(jacobian(network, x, parameters[1:]), jacobian_of_any(network, x, parameters[1:]))


def test_derivatives_are_in_raw_units() -> None:
    """On [0, 4] with the output 5 + 3 n: against differences of the model itself."""
    config = resolve({"model": "siren", "problem": "poisson_2d_sin", "width": 5, "depth": 1, "omega0": 3})
    network = build(config, problems.get("poisson_2d_sin")).network
    from harness.models import Regressor

    model, h = Regressor(network, 0.0, 4.0, 5.0, 3.0), 1e-4
    x = 4 * torch.rand(10, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    jet = model.jet(x, 2)
    assert jet.slopes is not None
    assert jet.curvatures is not None
    for axis in range(2):
        step = torch.zeros(2, dtype=torch.float64).index_fill_(0, torch.tensor(axis), h)
        ahead, behind = model(x + step), model(x - step)
        assert torch.allclose(jet.slopes[..., axis], (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-6)
        assert torch.allclose(jet.curvatures[..., axis], (ahead - 2 * model(x) + behind) / h**2, rtol=1e-4, atol=1e-4)
    seeds = seeds_like(jet)
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(combined(seeds, jet), parameters)
    expected = torch.cat([each.flatten() for each in gradients])
    assert_near(model.jacobian(x, parameters, seeds).sum(dim=0), expected)
