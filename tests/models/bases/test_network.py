"""Every family of edges: what is written out is what torch.func finds, finer is the same function, and cut is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import problems
from harness.models import build, jets, load_checkpoint, network, save_checkpoint
from harness.models.bases.network import BasisKAN
from harness.models.bases.splines import as_splines
from harness.models.frozen import Program
from harness.models.interface import active_parameters, at, measures, parameters
from harness.models.jets import Seeds, jacobian, jacobian_of_any, jet_of_any
from harness.presets import resolve

FAMILIES: dict[str, dict[str, Any]] = {
    "kan_chebyshev": {"degrees": (4, 7)},
    "kan_legendre": {"degrees": (4, 7)},
    "kan_fourier": {"degrees": (2, 3)},
    "kan_rbf": {"grids": (4, 20)},
    "kan_relu": {"grids": (4, 40)},
    "kan_wavelet": {},
    "kan_rational": {},
}
FINER = {name: last for name, fields in FAMILIES.items() for _, last in fields.values()}
REFINED = list(FINER)


def made(model: str, dimension: int = 2, outputs: int = 1, **fields: Any) -> tuple[BasisKAN, Tensor]:
    """A network with parameters that are not those of its start, and points inside."""
    config = resolve({"model": model, "width": 3, "depth": 1, **FAMILIES[model], **fields})
    found = network(config, dimension, outputs)
    assert isinstance(found, BasisKAN)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return found, 1.8 * torch.rand(12, dimension, generator=generator, dtype=torch.float64) - 0.9


def assert_near(found: Tensor, expected: Tensor, tolerance: float = 1e-11) -> None:
    assert (found - expected).norm() <= tolerance * (1e-3 + expected.norm())


def assert_as_torch_func_has_it(own: BasisKAN, x: Tensor) -> None:
    """Jets, the gradient of a combination of them, and its Jacobian."""
    of_all = list(own.parameters())
    for order in (1, 2):
        expected = jet_of_any(own, x, order)
        found = jets.jet(own, x, order)
        for part, wanted in zip(found, expected, strict=True):
            if part is not None and wanted is not None:
                assert_near(part.detach(), wanted.detach())
        generator = torch.Generator().manual_seed(1)
        parts = [p for p in expected if p is not None]
        seeds = Seeds(*(torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parts))
        by_points = jacobian_of_any(own, x, of_all, seeds)
        assert_near(jacobian(own, x, of_all, seeds), by_points)
        parts = [p for p in found if p is not None]
        combined = torch.stack([(s * p).sum() for s, p in zip(seeds, parts, strict=False) if s is not None]).sum()
        gradients = torch.autograd.grad(combined, of_all)
        assert_near(torch.cat([each.flatten() for each in gradients]), by_points.sum(dim=0))
    assert_near(jacobian(own, x, of_all), jacobian_of_any(own, x, of_all))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("depth", "dimension", "outputs"), [(1, 2, 1), (2, 1, 1), (2, 3, 2)])
@pytest.mark.parametrize("model", FAMILIES)
def test_jets_gradient_and_jacobian_are_those_of_torch_func(
    model: str, depth: int, dimension: int, outputs: int, masked: bool
) -> None:
    own, x = made(model, dimension, outputs, depth=depth)
    if masked:
        next(iter(own)).mask[0, 1] = 0
    assert_as_torch_func_has_it(own, x)


@pytest.mark.parametrize("model", FAMILIES)
def test_at_fixed_points_it_is_the_same_network_whatever_happens_to_it(model: str) -> None:
    own, x = made(model, depth=2)
    fixed = own.at(x)
    for change in (lambda: None, lambda: own.refine(own.grid + 3) if model in REFINED else None, lambda: own.float()):
        change()
        tolerance = 1e-4 if x.to(next(own.parameters())).dtype == torch.float32 else 1e-11
        plain = own(x.to(next(own.parameters())))
        assert_near(fixed(), plain, tolerance)
        outputs, penalty = fixed.penalised(2.0)
        expected = plain.square().sum() + own.penalty(x.to(plain), 2.0)
        of_all = list(own.parameters())
        ours = torch.autograd.grad(outputs.square().sum() + penalty, of_all)
        for mine, theirs in zip(ours, torch.autograd.grad(expected, of_all), strict=True):
            assert_near(mine, theirs, 10 * tolerance)


@pytest.mark.parametrize("model", REFINED)
def test_a_finer_basis_is_the_same_function(model: str) -> None:
    own, x = made(model, depth=2)
    before, coarse = own(x).detach(), own.grid
    finer = FINER[model]
    own.refine(finer)
    assert own.grid == finer > coarse
    assert measures(own)["kan/grid"] == finer
    tolerance = {"kan_rbf": 2e-2, "kan_relu": 2e-2}.get(model, 1e-13)
    assert_near(own(x).detach(), before, tolerance)


@pytest.mark.parametrize("model", REFINED)
def test_what_is_not_finite_is_not_refined(model: str) -> None:
    own, _ = made(model)
    with torch.no_grad():
        next(own.parameters())[0, 0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="can't be refined: the parameter layers"):
        own.refine(own.grid + 1)


@pytest.mark.parametrize("model", FAMILIES)
def test_a_masked_edge_is_gone_and_its_numbers_are_not_counted(model: str) -> None:
    own, x = made(model)
    all_, per_edge = active_parameters(own), next(iter(own)).per_edge
    assert all_ == parameters(own) == 9 * per_edge
    masks = own.masks()
    masks[0][1] = 0
    own.set_masks(masks)
    assert active_parameters(own) == all_ - 3 * per_edge
    assert own.active_edges() == 6
    moved = x.clone()
    moved[:, 1] += 0.3
    assert torch.equal(own(moved), own(x)), "nothing leads from the second input any more"
    _, scores = own.attribute(x)
    assert (scores[0][:, 1] == 0).all()
    (outputs,) = torch.autograd.grad(at(own, x)().square().sum(), [next(own.parameters())])
    assert (outputs[1] == 0).all()


@pytest.mark.parametrize("model", FAMILIES)
def test_the_parameters_of_a_configuration_are_those_of_its_network(model: str) -> None:
    for depth, dimension, outputs in ((1, 2, 1), (3, 3, 2)):
        config = resolve({"model": model, "width": 4, "depth": depth, **FAMILIES[model]})
        own = network(config, dimension, outputs)
        assert isinstance(own, BasisKAN)
        assert config.least_parameters(dimension, outputs) == parameters(own)
        if model in REFINED:
            own.refine(FINER[model])
        assert config.parameters(dimension, outputs) == parameters(own)


@pytest.mark.parametrize("model", FAMILIES)
def test_what_goes_through_a_new_network_keeps_its_size_and_depends_on_the_seed_alone(model: str) -> None:
    fields = {"width": 200, "depth": 1, "model": model, **FAMILIES[model]}
    one, again, other = (network(resolve({**fields, "seed": seed}), 2) for seed in (0, 0, 1))
    x = 2 * torch.rand(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    assert torch.equal(one(x), again(x))
    assert not torch.equal(one(x), other(x))
    assert isinstance(one, BasisKAN)
    hidden = one.own()[0](x)
    assert 0.5 < hidden.square().mean().sqrt().item() < 2


@pytest.mark.parametrize("model", FAMILIES)
def test_a_checkpoint_of_any_stage_is_loaded_and_exported(model: str, tmp_path: Path) -> None:
    problem = problems.get("poisson_2d_sin")
    config = resolve({"model": model, "width": 3, "depth": 2, **FAMILIES[model]})
    built = build(config, problem)
    assert isinstance(built.network, BasisKAN)
    if model in REFINED:
        built.network.refine(built.network.grid + 2)
    next(iter(built.network)).mask[0, 0] = 0
    save_checkpoint(tmp_path, config, built.state_dict())
    _, loaded = load_checkpoint(tmp_path)
    x = torch.rand(7, 2, dtype=torch.float64)
    assert torch.equal(loaded(x), built(x))
    points = torch.export.Dim("points", min=2)
    program = torch.export.export(Program(built), (x,), dynamic_shapes=({0: points},)).module()
    more = torch.rand(19, 2, dtype=torch.float64)
    assert_near(program(more), built(more).squeeze(-1).detach(), 1e-12)


@pytest.mark.parametrize("model", FAMILIES)
def test_splines_through_the_edges_are_nearly_the_same_network(model: str) -> None:
    own, x = made(model)
    next(iter(own)).mask[0, 1] = 0
    splines = as_splines(own, x)
    assert_near(splines(x).detach(), own(x).detach(), 2e-2)
    assert splines.active_edges() == own.active_edges()
