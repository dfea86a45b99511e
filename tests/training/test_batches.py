"""Rows in random batches and in chunks: all of them once, and the same numbers as all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.methods.vectors import flat
from harness.presets import resolve
from harness.problems.rows import Jet
from harness.training import Epoch, rows, train
from harness.training.loop import Training
from harness.training.rows import Block, Declared, Fit, Objective
from tests.support import MODELS, parts, small
from tests.training.test_rows import lowered


def objective_of(model: str, **fields: Any) -> Objective:
    config = small(model, **fields)
    return Training(*parts(config), config)._objective(None)


def points_of(block: Block) -> Tensor:
    if isinstance(block, Fit):
        return block.inputs
    assert isinstance(block, Declared)
    return block.x


def gradient(objective: Objective) -> tuple[float, Tensor]:
    value = objective.evaluate().item()
    return value, flat([p.grad for p in objective.parameters if p.grad is not None])


def test_each_batch_has_points_of_every_block_however_few_these_are() -> None:
    config = small("mlp", problem="solve_1d_sin")
    objective = Training(*parts(config), config)._objective(None)
    inside, sides = objective.blocks
    batches = list(objective.batches(8))
    assert [len(each.blocks) for each in batches] == [2] * len(batches)
    assert sides.points == 2 < len(batches)
    drawn = [torch.cat([points_of(each.blocks[i]) for each in batches]) for i in range(2)]
    assert torch.equal(drawn[0].sort(dim=0).values, points_of(inside).sort(dim=0).values)
    counts = drawn[1].unique(return_counts=True)[1]
    assert (counts.max() - counts.min()).item() <= 1
    assert torch.equal(drawn[1].unique(), points_of(sides).unique())


@pytest.mark.parametrize(
    "make", [lambda: objective_of("mlp"), lambda: lowered("siren")], ids=["a fit", "declared rows"]
)
def test_batches_have_every_point_once_in_another_order_each_time(make: Callable[[], Objective]) -> None:
    objective = make()
    counted = []
    objective.count = lambda: counted.append(1)

    def order() -> list[Tensor]:
        batches = list(objective.batches(8))
        for batch in batches:
            batch.evaluate()
        return [torch.cat([points_of(block) for each in batches for block in each.blocks])]

    whole = torch.cat([points_of(block) for block in objective.blocks])
    (first,), (second,) = order(), order()
    assert len(counted) == 2, "a pass over all points is one evaluation"
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(dim=0).values, whole.sort(dim=0).values)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("chunk", [7, 15])
def test_an_evaluation_in_chunks_is_that_of_all_points(model: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[Callable[[], Objective]] = [lambda: objective_of(model), lambda: lowered(model)]
    for make in kinds:
        expected, of_expected = gradient(make())
        w = torch.linspace(-1, 1, make().rows, dtype=torch.float64)
        pulled = make().pull_back(w)
        with monkeypatch.context() as patch:
            patch.setattr(rows, "CHUNK", chunk)
            objective = make()
            assert len(objective._chunks) > 1
            value, found = gradient(objective)
            assert value == pytest.approx(expected, rel=1e-12)
            assert torch.allclose(found, of_expected, rtol=1e-9, atol=1e-12)
            assert torch.allclose(objective.pull_back(w), pulled, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_residuals_in_chunks_are_those_of_all_points_and_keep_no_graph(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[Callable[[], Objective]] = [lambda: objective_of(model), lambda: lowered(model)]
    for make in kinds:
        expected, value = make().attempt()
        with monkeypatch.context() as patch:
            patch.setattr(rows, "CHUNK", 7)
            objective = make()
            looked: list[int] = []
            for block, _, _ in objective._chunks:
                patch.setattr(type(block), "look", _counted(type(block).look, looked))
            found, of_found = objective.attempt()
        assert max(looked) <= 7, "never more points than a chunk has"
        assert not found.requires_grad
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
        assert of_found == pytest.approx(value, rel=1e-12)


def _counted(look: Callable[[Any], Jet], looked: list[int]) -> Callable[[Any], Jet]:
    def counting(block: Block) -> Jet:
        looked.append(block.points)
        return look(block)

    return counting


def test_adam_in_batches_takes_a_step_a_batch_and_learns_more_in_an_epoch() -> None:
    def last(**fields: Any) -> Epoch:
        config = small("mlp", optimizer="adam", epochs=20, lr=0.01, iterations=None, **fields)
        events = list(train(*parts(config), config))
        return [event for event in events if isinstance(event, Epoch)][-1]

    whole, batched = last(), last(batch=8)
    assert batched.train_mse < whole.train_mse
    assert batched.evals == whole.evals == 20
    assert last(batch=8).train_mse == batched.train_mse, "the order is the seed's"
    assert last(batch=10_000).train_mse == pytest.approx(whole.train_mse, rel=1e-9)


def test_a_batch_is_part_of_what_a_run_is_only_where_it_is_given() -> None:
    given = {"model": "mlp", "optimizer": "adam"}
    assert "batch" not in resolve(given).identity()
    assert resolve({**given, "batch": 32}).identity()["batch"] == 32
