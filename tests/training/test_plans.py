"""The stages of each family stay inside the epoch budget and come in their order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.models.kan import KAN
from harness.training import Epoch, Event, Pruned, StageStarted, train
from harness.training.plans import shares
from tests.support import parts, small

GRIDS = st.sets(st.integers(1, 200), min_size=1, max_size=8).map(lambda grids: tuple(sorted(grids)))


@given(GRIDS, st.integers(1, 10_000), st.none() | st.integers(1, 3000))
def test_shares_add_up_to_the_budget_in_the_order_of_the_grids(
    grids: tuple[int, ...], epochs: int, steps_per_grid: int | None
) -> None:
    found = shares(grids, epochs, steps_per_grid)
    assert sum(share for _, share in found) == epochs
    assert all(share >= 1 for _, share in found)
    assert tuple(grid for grid, _ in found) == grids[: len(found)]
    if steps_per_grid is None:
        assert len(found) == min(len(grids), epochs)
        assert max(share for _, share in found) - min(share for _, share in found) <= 1
    else:
        assert all(share == steps_per_grid for _, share in found[:-1])


@pytest.mark.parametrize(
    ("epochs", "steps_per_grid", "expected"),
    [
        (7, None, [(3, 3), (5, 2), (9, 2)]),
        (2, None, [(3, 1), (5, 1)]),
        (10, 4, [(3, 4), (5, 4), (9, 2)]),
        (20, 4, [(3, 4), (5, 4), (9, 12)]),
        (4, 4, [(3, 4)]),
        (3, 4, [(3, 3)]),
        (1, None, [(3, 1)]),
    ],
)
def test_shares_by_hand(epochs: int, steps_per_grid: int | None, expected: list[tuple[int, int]]) -> None:
    assert shares((3, 5, 9), epochs, steps_per_grid) == expected


def events(model: str, **fields: Any) -> list[Event]:
    config = small(model, **fields)
    regressor, data = parts(config)
    return list(train(regressor, data, config))


def stages(found: list[Event]) -> list[str]:
    return [event.name for event in found if isinstance(event, StageStarted)]


@pytest.mark.parametrize("model", ["mlp", "mlp_fourier", "siren"])
def test_a_plain_family_has_one_stage(model: str) -> None:
    found = events(model, epochs=3)
    assert stages(found) == ["train"]
    assert [event.epoch for event in found if isinstance(event, Epoch)] == [1, 2, 3]


def test_a_kan_goes_from_grid_to_grid() -> None:
    found = events("kan", epochs=7, grids=(3, 5, 9))
    assert stages(found) == ["grid_3", "grid_5", "grid_9"]
    epochs = [event for event in found if isinstance(event, Epoch)]
    assert [event.epoch for event in epochs] == list(range(1, 8))
    assert [event.extra["kan/grid"] for event in epochs] == [3, 3, 3, 5, 5, 9, 9]
    assert [event.stage for event in epochs] == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("epochs", [3, 4, 5, 9])
def test_a_pruned_kan_sparsifies_prunes_and_retrains_within_the_budget(epochs: int) -> None:
    found = events("kan_pruned", epochs=epochs, grids=(3, 5))
    assert stages(found)[-3:] == ["sparsify", "prune", "retrain"]
    done = [event for event in found if isinstance(event, Epoch)]
    assert [event.epoch for event in done] == list(range(1, epochs + 1))
    names = stages(found)
    of_stage = {name: [e for e in done if e.stage == index] for index, name in enumerate(names)}
    assert all(of_stage.values()), "each stage has an epoch of its own"
    assert len(of_stage["prune"]) == 1


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_the_fraction_before_the_cut_leaves_an_epoch_to_each_stage(fraction: float) -> None:
    found = events("kan_pruned", epochs=10, grids=(3,), sparsify_fraction=fraction)
    count = dict.fromkeys(stages(found), 0)
    for event in found:
        if isinstance(event, Epoch):
            count[stages(found)[event.stage]] += 1
    before = {0.01: 1, 0.5: 5, 0.99: 8}[fraction]
    assert count == {"sparsify": before, "prune": 1, "retrain": 9 - before}


def test_the_cut_is_reported_between_its_stage_and_the_retraining() -> None:
    found = events("kan_pruned", epochs=8, grids=(3,), node_th=0.3, edge_th=0.3)
    kinds = [type(event).__name__ for event in found]
    cut = kinds.index("Pruned")
    (pruned,) = [event for event in found if isinstance(event, Pruned)]
    assert kinds[cut - 1] == "Epoch"
    after = found[cut + 1]
    assert isinstance(after, StageStarted)
    assert after.name == "retrain"
    assert pruned.params_after < pruned.params_before
    edges = [event.extra["kan/active_edges"] for event in found if isinstance(event, Epoch)]
    assert edges == sorted(edges, reverse=True)
    assert edges[3] == 9
    assert edges[4] == edges[-1] == pruned.params_after / (3 + 5 + 2)


def test_the_cut_alone_changes_no_parameter_and_its_epoch_counts_one_evaluation() -> None:
    found = events("kan_pruned", epochs=8, grids=(3,), node_th=0.3, edge_th=0.3)
    epochs = [event for event in found if isinstance(event, Epoch)]
    last, cut = epochs[3], epochs[4]
    assert cut.evals == last.evals + 1
    assert cut.lr is None
    for name, tensor in cut.state.items():
        if not name.endswith("mask"):
            assert (tensor == last.state[name]).all(), name


def test_the_grid_stays_as_it_is_after_the_cut() -> None:
    found = events("kan_pruned", epochs=20, grids=(3,), grid_update_every=1, grid_update_until=1000)
    epochs = [event for event in found if isinstance(event, Epoch)]
    grids = [event.state["network.layers.1.grid"] for event in epochs]
    assert not (grids[0] == grids[9]).all()
    assert all((grid == grids[9]).all() for grid in grids[10:])


def test_the_penalty_acts_while_sparsifying_only() -> None:
    def states(lamb: float) -> list[Epoch]:
        return [e for e in events("kan_pruned", epochs=8, grids=(3, 5), lamb=lamb) if isinstance(e, Epoch)]

    without, with_penalty = states(0.0), states(1.0)
    assert [e.train_mse for e in without[:2]] == [e.train_mse for e in with_penalty[:2]]  # grid_3
    assert without[3].train_mse < with_penalty[3].train_mse  # sparsify


def greedy(**fields: Any) -> list[Event]:
    return events("kan_pruned", **{"epochs": 20, "grids": (3,), "prune_mode": "greedy", "retrain_briefly": 2, **fields})


def pruned_in(found: list[Event]) -> Pruned:
    (pruned,) = [event for event in found if isinstance(event, Pruned)]
    return pruned


def test_greedy_pruning_takes_one_node_after_the_other_until_enough_is_gone() -> None:
    found = greedy(tolerance=1e12, reduction=0.6)
    assert stages(found) == ["sparsify", "prune", "retrain", "prune", "retrain", "retrain"]
    edges = [event.extra["kan/active_edges"] for event in found if isinstance(event, Epoch)]
    assert edges[9:] == [9, *[6] * 3, *[3] * 7]
    assert len(edges) == 20
    assert pruned_in(found).params_after == 3 * (3 + 5 + 2)


def test_a_cut_that_costs_too_much_is_taken_back_and_the_next_is_tried() -> None:
    # sin(pi x) sin(pi y) takes two nodes, so that no cut of one of them can be borne.
    settings = {"width": 2, "n_train": 400, "n_val": 200, "iterations": 20, "sparsify_fraction": 0.7, "epochs": 60}
    found = greedy(tolerance=1.0, lamb=0.0, retrain_briefly=1, **settings)
    by_stage: list[list[Epoch]] = []
    for event in found:
        if isinstance(event, StageStarted):
            by_stage.append([])
        elif isinstance(event, Epoch):
            by_stage[-1].append(event)
    masks = [[epoch.state["network.layers.0.mask"] for epoch in stage] for stage in by_stage]
    allowed, kept, refused = by_stage[0][-1].val_mse * (1 + 1e-6), masks[0][-1], 0
    for trial in range(1, len(by_stage) - 1, 2):
        assert not torch.equal(masks[trial][0], kept), "a trial that cuts nothing"
        if by_stage[trial + 1][-1].val_mse <= allowed:
            kept = masks[trial][0]
        else:
            refused += 1
    assert refused > 0
    assert all(torch.equal(mask, kept) for mask in masks[-1])


HARD = {
    "width": 2,
    "n_train": 400,
    "n_val": 200,
    "iterations": 20,
    "sparsify_fraction": 0.7,
    "epochs": 60,
    "grids": (3,),
}
"""sin(pi x) sin(pi y) takes two nodes, so that pruning has something to refuse."""


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("mlp", {}),
        ("mlp_fourier", {}),
        ("siren", {}),
        ("kan", {}),
        ("kan_pruned", {"node_th": 0.3, "edge_th": 0.3}),
        ("kan_pruned", {"prune_mode": "greedy", "tolerance": 1.01, "lamb": 0.0, "retrain_briefly": 1, **HARD}),
    ],
    ids=["mlp", "mlp_fourier", "siren", "kan", "threshold", "greedy"],
)
def test_no_decision_of_a_training_hangs_on_what_is_for_reporting_only(model: str, fields: dict[str, Any]) -> None:
    """Whatever stands at the test points and on the dense grid, the same network comes out, stage by stage."""
    config = small(model, **fields)

    def outcome(factor: float, shift: float) -> tuple[list[str], dict[str, torch.Tensor]]:
        regressor, data = parts(config)
        others = {name: getattr(data, name) for name in ("test", "dense")}
        changed = {name: replace(each, y=factor * each.y + shift) for name, each in others.items()}
        found = list(train(regressor, replace(data, **changed), config))
        return stages(found), regressor.state_dict()

    (names, state), *others = [outcome(*each) for each in ((1.0, 0.0), (-1e6, 1e3))]
    for other_names, other in others:
        assert other_names == names
        assert all(torch.equal(other[name], tensor) for name, tensor in state.items())


def test_greedy_pruning_is_judged_at_the_validation_points() -> None:
    """Cuts that are borne are all taken back where the validation points, and nothing else, speak for the uncut network."""
    config = small("kan_pruned", prune_mode="greedy", tolerance=1e6, reduction=0.6, retrain_briefly=1, grids=(3,))
    regressor, data = parts(config)
    found = list(train(regressor, data, config))
    assert pruned_in(found).params_after < pruned_in(found).params_before
    uncut = [event for event in found if isinstance(event, Epoch) and event.stage == 0][-1].state

    again, _ = parts(config)
    again.load_state_dict(uncut)
    with torch.no_grad():
        of_uncut = replace(data.val, y=again(data.val.x))
    again, _ = parts(config)
    refused = list(train(again, replace(data, val=of_uncut), config.model_copy(update={"tolerance": 1.0})))
    assert pruned_in(refused).params_after == pruned_in(refused).params_before
    assert "prune" in stages(refused), "no cut was tried"


def first_of(stage: str, found: list[Event]) -> Epoch:
    """The first epoch of the first stage of that name."""
    index = stages(found).index(stage)
    return next(event for event in found if isinstance(event, Epoch) and event.stage == index)


@pytest.mark.parametrize("prune_mode", ["threshold", "greedy"])
def test_the_penalty_has_the_weight_that_the_configuration_says(prune_mode: str) -> None:
    config = small("kan_pruned", grids=(3,), lamb=0.3, lamb_entropy=4.0, prune_mode=prune_mode)
    regressor, data = parts(config)
    start, _ = parts(config)
    first = first_of("sparsify", list(train(regressor, data, config)))
    network = start.network
    assert isinstance(network, KAN)
    penalty = network.penalty(start.scaled(data.train.x), 4.0)
    ((start(data.train.x) - data.train.y).square().mean() / start.std**2 + 0.3 * penalty).backward()
    norm = torch.cat([p.grad.flatten() for p in start.parameters() if p.grad is not None]).norm().item()
    assert first.grad_norm == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("model", ["kan", "kan_pruned"])
def test_the_grid_follows_the_activations_early_in_the_first_stage_only(model: str) -> None:
    cut = {"sparsify_fraction": 0.9} if model == "kan_pruned" else {}
    found = events(model, epochs=20, grids=(3, 6), grid_update_every=2, grid_update_until=5, **cut)
    done = [event for event in found if isinstance(event, Epoch) and event.stage < 2]
    grids = [event.state["network.layers.1.grid"] for event in done]
    moved = [number for number in range(2, len(grids) + 1) if not torch.equal(grids[number - 1], grids[number - 2])]
    second = next(event.epoch for event in done if event.stage == 1)
    assert moved == [3, 5, second]


def test_what_can_not_be_cut_is_not_cut() -> None:
    found = greedy(width=1, reduction=0.9, tolerance=1e12)
    assert pruned_in(found).params_after > 0
    assert all(event.extra["kan/active_edges"] >= 2 for event in found if isinstance(event, Epoch))


@pytest.mark.parametrize(
    ("fraction", "on_each_grid"),
    [(0.2, [10, 10, 10]), (0.5, [21, 5, 4])],
    ids=["as in the twin", "what is left, in equal shares"],
)
def test_finer_grids_after_the_cut_get_epochs_of_their_own(fraction: float, on_each_grid: list[int]) -> None:
    found = events("kan_pruned", epochs=30, grids=(3,), retrain_grids=(6, 9), sparsify_fraction=fraction)
    assert stages(found) == ["sparsify", "prune", "retrain", "retrain_6", "retrain_9"]
    epochs = [event for event in found if isinstance(event, Epoch)]
    grids = [event.extra["kan/grid"] for event in epochs]
    assert [grids.count(grid) for grid in (3, 6, 9)] == on_each_grid
    first = round(30 * fraction)
    masks = [event.state["network.layers.0.mask"] for event in epochs]
    assert all((mask == masks[first]).all() for mask in masks[first:])
