"""Derivatives along the axes, and the Jacobian of their combinations: written out or not, the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import problems
from harness.models import build, jets, network
from harness.models.jets import Seeds, jacobian, jacobian_of_any, jet_of_any
from harness.models.kan import KAN
from harness.models.sweep import Sweep
from harness.presets import resolve
from harness.problems import Jet

FAMILIES: list[dict[str, Any]] = [
    {"model": "mlp", "depth": 2},
    {"model": "mlp", "depth": 1, "activation": "silu"},
    {"model": "mlp", "depth": 2, "activation": "relu"},
    {"model": "mlp_fourier", "features": 3},
    {"model": "siren", "depth": 2},
    {"model": "wire", "depth": 2},
    {"model": "finer", "depth": 2},
    {"model": "gauss", "depth": 2},
    {"model": "mlp_bspline", "k": 1, "grid": 4},
    {"model": "mlp_bspline", "k": 5, "noise": 50.0},
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


WRITTEN_OUT: list[dict[str, Any]] = [
    {"model": "mlp"},
    {"model": "mlp", "activation": "silu"},
    {"model": "mlp_fourier", "features": 3},
    {"model": "siren"},
    {"model": "wire"},
    {"model": "finer"},
    {"model": "gauss"},
    {"model": "mlp_bspline", "k": 3, "noise": 20.0},
    {"model": "kan", "k": 3, "grids": (4,)},
]


def of_several_outputs(fields: dict[str, Any]) -> tuple[nn.Module, Tensor]:
    """Three inputs, two outputs."""
    config = resolve({"width": 3, "problem": "poisson_2d_sin", **fields})
    generator = torch.Generator().manual_seed(0)
    return network(config, 3, 2), 1.8 * torch.rand(8, 3, generator=generator, dtype=torch.float64) - 0.9


def of_order(order: int, jet: Jet) -> Jet:
    return Jet(jet.value, *jet[1 : order + 1])


def disturb(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.1).add_(0.01)


def assert_jets_agree(found: jets.At, network: nn.Module, x: Tensor, order: int) -> None:
    """Values, gradient and Jacobian of prepared points, against torch.func."""
    expected = of_order(order, jet_of_any(network, x, max(order, 1)))
    parameters, seeds = list(network.parameters()), seeds_like(expected)
    by_points = jacobian_of_any(network, x, parameters, seeds)
    assert_near(found.jacobian(parameters, seeds), by_points)
    jet = found.jet()
    assert [part is None for part in jet] == [part is None for part in expected]
    for part, wanted in zip(jet, expected, strict=True):
        if part is not None and wanted is not None:
            assert_near(part.detach(), wanted.detach())
    assert_near(found.jacobian(parameters, seeds), by_points)
    gradients = torch.autograd.grad(combined(seeds, jet), parameters, materialize_grads=True)
    assert_near(torch.cat([each.flatten() for each in gradients]), by_points.sum(dim=0))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("fields", WRITTEN_OUT, ids=lambda fields: "-".join(map(str, fields.values())))
def test_points_that_stay_the_same_have_the_same_jets_wherever_the_parameters_are(
    fields: dict[str, Any], depth: int, order: int
) -> None:
    network, x = of_several_outputs({**fields, "depth": depth})
    at = jets.At(network, x, order)
    for _ in range(2):
        disturb(network)
        assert_jets_agree(at, network, x, order)


def test_prepared_points_follow_grids_and_masks_of_a_kan() -> None:
    kan, x = of_several_outputs({"model": "kan", "k": 3, "grids": (4,), "depth": 2})
    assert isinstance(kan, KAN)
    at = jets.At(kan, x, 2)
    for change in (
        lambda: kan.refine(7),
        lambda: kan.update_grid(x),
        lambda: kan.set_masks([mask.fill_(0.5) for mask in kan.masks()]),
        lambda: next(iter(kan)).grid.mul_(1.25),
    ):
        at.jet()
        change()
        assert_jets_agree(at, kan, x, 2)


def test_prepared_points_follow_the_frequencies_of_a_state_that_is_loaded() -> None:
    fields = {"model": "mlp_fourier", "features": 3, "depth": 1}
    (one, x), (other, _) = of_several_outputs(fields), of_several_outputs({**fields, "seed": 1})
    at = jets.At(one, x, 2)
    at.jet()
    one.load_state_dict(other.state_dict())
    assert_jets_agree(at, one, x, 2)


def test_a_gradient_is_refused_once_its_parameters_have_changed() -> None:
    network, x = made({"model": "siren", "depth": 1})
    jet = jets.jet(network, x, 2)
    disturb(network)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        jet.value.sum().backward()


@pytest.mark.parametrize("model", ["mlp", "kan"])
def test_a_jet_is_differentiable_in_points_and_under_torch_func_too(model: str) -> None:
    network, x = made({"model": model, "depth": 1, **({"grids": (4,)} if model == "kan" else {})})
    slopes = jets.jet(network, x, 1).slopes
    curvatures = jets.jet(network, x, 2).curvatures
    assert slopes is not None
    assert curvatures is not None
    free = x.clone().requires_grad_()
    of_free = jets.jet(network, free, 1).slopes
    assert of_free is not None
    for axis in range(2):
        (found,) = torch.autograd.grad(of_free[:, 0, axis].sum(), free, retain_graph=True)
        assert_near(found[:, axis], curvatures[:, 0, axis].detach())

    def of_a_point(point: Tensor) -> Tensor:
        found = jets.jet(network, point.unsqueeze(0), 1).slopes
        assert found is not None
        return found.squeeze(0)

    assert_near(torch.func.vmap(of_a_point)(x).detach(), slopes.detach())


def test_gradient_and_jacobian_at_the_same_parameters_take_one_way_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = made({"model": "kan", "k": 3, "grids": (4,)})
    at, through = jets.At(network, x, 2), Sweep._through
    ways: list[int] = []

    def counted(sweep: Sweep, order: int) -> Any:
        ways.append(order)
        return through(sweep, order)

    monkeypatch.setattr(Sweep, "_through", counted)
    jet = at.jet()
    combined(seeds_like(jet), jet).backward()
    with torch.no_grad():
        at.jet()
    at.jacobian(list(network.parameters()), seeds_like(jet))
    assert ways == [3]
    disturb(network)
    with torch.no_grad():
        at.jet()
    assert ways == [3, 2]
