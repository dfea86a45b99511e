"""A frozen KAN is the function that the network was, in few operations, and stays that."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.models import KAN, Regressor
from harness.models.frozen import Program, frozen, save_program
from tests.support import parts, small


def trained(k: int, dtype: torch.dtype = torch.float64) -> KAN:
    """A network with uneven grids, a cut edge, and parameters that nothing is special about."""
    generator = torch.Generator().manual_seed(0)
    network = KAN([2, 4, 3, 1], 5, k, 0.5, generator)
    network.refine(11)
    network.update_grid(points(200), uniform=0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    next(iter(network)).mask[0, 1] = 0
    return network.to(dtype)


def points(count: int) -> Tensor:
    return 2 * torch.rand(count, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_it_is_the_same_function_also_outside_of_the_grid_and_on_its_knots(k: int) -> None:
    network = trained(k)
    knots = next(iter(network)).grid.T
    for x in (points(500), 3 * points(500), knots, points(1), points(0)):
        expected = network(x)
        torch.testing.assert_close(frozen(network)(x), expected, rtol=0, atol=1e-12)


def test_single_precision_stays_single() -> None:
    network, x = trained(3, torch.float32), points(100).float()
    assert frozen(network)(x).dtype == torch.float32
    torch.testing.assert_close(frozen(network)(x), network(x), rtol=0, atol=1e-5)


def test_what_is_not_finite_gives_nan_for_that_point_alone() -> None:
    x = points(4)
    x[1, 0], x[2, 1] = math.nan, math.inf
    assert frozen(trained(3))(x).flatten().isnan().tolist() == [False, True, True, False]


def test_the_gradient_in_the_inputs_is_the_network_s() -> None:
    network, x = trained(3), points(50).requires_grad_()
    (expected,) = torch.autograd.grad(network(x).sum(), x)
    (found,) = torch.autograd.grad(frozen(network)(x).sum(), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_what_becomes_of_the_network_afterwards_does_not_matter() -> None:
    network, x = trained(3), points(50)
    before, kept = network(x).detach(), frozen(network)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
    torch.testing.assert_close(kept(x), before, rtol=0, atol=1e-12)
    assert not list(kept.parameters())


def test_the_export_has_few_operations_whatever_the_degree() -> None:
    counts = []
    for k in (1, 5):
        program = torch.export.export(frozen(trained(k)), (points(5),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        counts.append(len([node for node in program.graph.nodes if node.op == "call_function"]))
        torch.testing.assert_close(program.module()(points(70)), trained(k)(points(70)), rtol=0, atol=1e-12)
    assert counts[0] == counts[1] <= 20 * 3


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("family", ["siren", "kan"])
def test_a_program_takes_every_dtype_also_when_it_is_exported(family: str, dtype: str) -> None:
    model, data = parts(small(family, dtype=dtype))
    program = Program(model)
    x = data.test.x.double()
    exported = torch.export.export(program, (x,), dynamic_shapes=[{0: torch.export.Dim.AUTO}]).module()
    for inputs in (x, x.float(), x[:1], x[:0], torch.tensor([[0, 1], [1, 0]])):
        expected = model(inputs.double()).squeeze(-1).double()
        for found in (program(inputs), exported(inputs)):
            assert (found.dtype, found.shape) == (torch.float64, (len(inputs),))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 if dtype == "float64" else 1e-5)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The programs that were followed through, none of them before."""
    found: list[object] = []
    export = torch.export.export

    def listen(program: nn.Module, *arguments: object, **options: object) -> torch.export.ExportedProgram:
        found.append(program)
        return export(program, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.export, "export", listen)
    monkeypatch.setattr("harness.models.frozen._archives", {})
    return found


@pytest.mark.parametrize("family", ["siren", "kan"])
def test_a_program_of_a_known_structure_is_saved_without_another_trace(
    family: str, traced: list[object], tmp_path: Path
) -> None:
    x = points(7)
    models = [parts(small(family, seed=seed))[0] for seed in (0, 1)]
    for number, model in enumerate([*models, models[0]]):
        example = x[number : number + 3].clone()
        save_program(Program(model), example, tmp_path / "model.pt2")
        loaded = torch.export.load(tmp_path / "model.pt2")
        assert torch.equal(loaded.module()(x), Program(model)(x))
        assert torch.equal(loaded.example_inputs[0][0], example)
    assert len(traced) == 1
    written = (tmp_path / "model.pt2").read_bytes()
    torch.export.save(
        torch.export.export(Program(model), (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},)),
        tmp_path / "model.pt2",
    )
    assert (tmp_path / "model.pt2").read_bytes() == written


def test_tensors_that_share_their_numbers_are_saved_all_the_same(traced: list[object], tmp_path: Path) -> None:
    x = points(4)[:, :1]
    for by in (2.0, 3.0):
        network = Shared(by)
        save_program(Program(Regressor(network, -1.0, 1.0)), x, tmp_path / "model.pt2")
        assert torch.equal(torch.export.load(tmp_path / "model.pt2").module()(x), (2 * by * x).squeeze(-1))
    assert len(traced) == 2


class Shared(nn.Module):
    """Two names of one tensor."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.one = self.other = nn.Parameter(torch.tensor([by], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.one * x + self.other * x


class Stretched(nn.Module):
    """Holds a number and a tensor that are no part of its state."""

    def __init__(self, by: float, above: float) -> None:
        super().__init__()
        self.by, self.above = by, torch.tensor([above], dtype=torch.float64)
        self.also: object = None

    def forward(self, x: Tensor) -> Tensor:
        return self.by * x + self.above


def test_what_is_no_part_of_the_state_makes_another_structure(traced: list[object], tmp_path: Path) -> None:
    x = points(4)[:, :1]
    for by, above in ((2.0, 0.0), (3.0, 0.0), (2.0, 1.0)):
        save_program(Program(Regressor(Stretched(by, above), -1.0, 1.0)), x, tmp_path / "model.pt2")
        assert torch.equal(torch.export.load(tmp_path / "model.pt2").module()(x), (by * x + above).squeeze(-1))
    assert len(traced) == 3


def test_a_program_that_can_not_be_pickled_is_saved_all_the_same(traced: list[object], tmp_path: Path) -> None:
    network, x = Stretched(2.0, 1.0), points(4)[:, :1]
    network.also = lambda: None
    program = Program(Regressor(network, -1.0, 1.0))
    for _ in "ab":
        save_program(program, x, tmp_path / "model.pt2")
        assert torch.equal(torch.export.load(tmp_path / "model.pt2").module()(x), (2 * x + 1).squeeze(-1))
    assert len(traced) == 2
