"""Whatever is cut, what is left is a network: from an input to the output, with no node that leads nowhere."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.models.kan import KAN
from harness.training.pruning import prune, single_cuts

POINTS = 2 * torch.rand(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
THRESHOLDS = st.sampled_from([0.0, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 1e9]) | st.floats(0, 1e9)


class Spec(NamedTuple):
    """What a random KAN is made from; it is built in the test, because beartype draws from ``random``."""

    sizes: list[int]
    grid: int
    seed: int
    dead: float
    """Part of the edges that have no effect at all."""

    def build(self) -> KAN:
        network = KAN(self.sizes, self.grid, 3, 1.0, torch.Generator().manual_seed(self.seed))
        # Edges of very different strength, so that every kind of cut comes up.
        scales = torch.Generator().manual_seed(self.seed + 1)
        with torch.no_grad():
            for layer in network:
                strength = 10 ** (4 * torch.rand(layer.mask.shape, generator=scales, dtype=torch.float64) - 3)
                strength[torch.rand(layer.mask.shape, generator=scales) < self.dead] = 0
                layer.scale_base.mul_(strength)
                layer.scale_sp.mul_(strength)
        return network


HIDDEN = st.lists(st.integers(1, 6), min_size=1, max_size=3)
SIZES = st.tuples(st.integers(1, 2), HIDDEN, st.integers(1, 3)).map(lambda drawn: [drawn[0], *drawn[1], drawn[2]])
KANS = st.builds(Spec, SIZES, st.integers(1, 4), st.integers(0, 999), st.sampled_from([0.0, 0.3, 1.0]))


@settings(max_examples=150)
@given(KANS, THRESHOLDS, THRESHOLDS)
def test_a_cut_leaves_a_network(spec: Spec, node_th: float, edge_th: float) -> None:
    network = spec.build()
    x = POINTS[:, : next(iter(network)).mask.shape[0]]
    before = [layer.mask.clone() for layer in network]
    network.set_masks(prune(network, x, node_th, edge_th))
    masks = [layer.mask for layer in network]
    for mask, old in zip(masks, before, strict=True):
        assert ((mask == 0) | (mask == 1)).all()
        assert (mask <= old).all(), "an edge came back"
        assert mask.any(), "a layer was emptied"
    assert masks[-1].any(dim=0).all(), "an output lost its way in"
    for into, out in pairwise(masks):
        assert torch.equal(into.any(dim=0), out.any(dim=1)), "a node lost its way in or its way out"
    assert network(x).isfinite().all()
    assert network.penalty(x, 2.0).isfinite()


@given(KANS, THRESHOLDS, THRESHOLDS)
def test_a_second_cut_after_the_first_still_leaves_a_network(spec: Spec, node_th: float, edge_th: float) -> None:
    network = spec.build()
    x = POINTS[:, : next(iter(network)).mask.shape[0]]
    network.set_masks(prune(network, x, node_th, edge_th))
    edges = network.active_edges()
    network.set_masks(prune(network, x, node_th, edge_th))
    assert len(list(network)) - 1 < network.active_edges() <= edges


def strong_and_weak() -> KAN:
    """[2, 3, 1] with the identity-like path 0 -> 0 -> out strong, everything else weak."""
    network = KAN([2, 3, 1], 5, 3, 0.0, torch.Generator().manual_seed(0))
    first, second = network
    with torch.no_grad():
        for layer in (first, second):
            layer.scale_base.fill_(1e-6)
        first.scale_base[0, 0] = second.scale_base[0, 0] = 1.0
    return network


def test_what_is_above_the_thresholds_stays_and_what_is_below_goes() -> None:
    network = strong_and_weak()
    network.set_masks(prune(network, POINTS, 1e-2, 3e-2))
    first, second = (layer.mask for layer in network)
    assert first.nonzero().tolist() == [[0, 0]]
    assert second.nonzero().tolist() == [[0, 0]]


def test_a_threshold_below_every_score_cuts_nothing() -> None:
    network = KAN([2, 4, 1], 5, 3, 1.0, torch.Generator().manual_seed(0))
    _, scores = network.attribute(POINTS)
    network.set_masks(prune(network, POINTS, 0.0, 0.5 * min(score.min().item() for score in scores)))
    assert network.active_edges() == 2 * 4 + 4


@pytest.mark.parametrize("sizes", [[1, 1, 1], [2, 5, 1], [2, 5, 5, 1]], ids=str)
def test_a_threshold_above_every_score_leaves_the_strongest_path(sizes: list[int]) -> None:
    network = KAN(sizes, 5, 3, 1.0, torch.Generator().manual_seed(0))
    x = POINTS[:, : sizes[0]]
    _, scores = network.attribute(x)
    network.set_masks(prune(network, x, 1e9, 1e9))
    assert [int(layer.mask.sum()) for layer in network] == [1] * (len(sizes) - 1)
    assert list(network)[-1].mask.flatten().argmax() == scores[-1].flatten().argmax()


def test_a_network_that_is_constant_can_be_cut() -> None:
    network = KAN([1, 3, 1], 5, 3, 0.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in network:
            layer.scale_base.zero_()
            layer.coef.zero_()
    network.set_masks(prune(network, POINTS[:, :1], 1e-2, 3e-2))
    assert [int(layer.mask.sum()) for layer in network] == [1, 1]
    assert network(POINTS[:, :1]).isfinite().all()


@settings(max_examples=50)
@given(KANS)
def test_each_single_cut_leaves_a_network_with_less_in_it(spec: Spec) -> None:
    network = spec.build()
    x = POINTS[:, : next(iter(network)).mask.shape[0]]
    before = network.masks()
    live = network.active_edges()
    cuts = list(single_cuts(network, x))
    assert all(torch.equal(mask, old) for mask, old in zip(network.masks(), before, strict=True)), "looking changed it"
    for masks in cuts:
        assert all(mask.any() for mask in masks), "a layer was emptied"
        assert masks[-1].any(dim=0).all(), "an output lost its way in"
        assert sum(int(mask.sum()) for mask in masks) < live
        for into, out in pairwise(masks):
            assert torch.equal(into.any(dim=0), out.any(dim=1)), "a node lost its way in or its way out"


def test_the_least_important_node_is_cut_first() -> None:
    network = Spec([2, 5, 1], 3, 4, 0.0).build()
    scores, _ = network.attribute(POINTS)
    first = next(single_cuts(network, POINTS))
    assert first[1][:, 0].argmin() == scores[1].argmin()
    assert first[1].sum() == 4


def test_edges_are_scored_in_the_network_without_the_nodes_that_were_cut() -> None:
    network = KAN([2, 3, 3, 1], 3, 3, 1.0, torch.Generator().manual_seed(75))
    nodes, before = network.attribute(POINTS)
    weakest = int(nodes[2].argmin())
    node_th = nodes[2][weakest].item()
    assert sum(int((scores <= node_th).sum()) for scores in nodes[1:]) == 1
    uncut, masks = network.masks(), network.masks()
    masks[1][:, weakest] = 0
    masks[2][weakest] = 0
    network.set_masks(masks)
    _, after = network.attribute(POINTS)
    network.set_masks(uncut)
    # The edge of the first layer that lost most with the node, and a threshold between what it had and what it has.
    edge = int((after[0] / before[0]).argmin())
    had, has = before[0].flatten()[edge].item(), after[0].flatten()[edge].item()
    edge_th = math.sqrt(had * has)
    expected = (after[0] > edge_th).T
    assert not torch.equal(expected, (before[0] > edge_th).T)
    assert torch.equal(prune(network, POINTS, node_th, edge_th)[0].bool(), expected)


def test_edges_are_judged_by_the_scores_that_they_have_when_the_nodes_are_gone() -> None:
    """Without a weaker node the stronger one carries more of the output, and so do the edges that lead to it."""
    network = KAN([2, 2, 1], 3, 3, 1.0, torch.Generator().manual_seed(0))
    x = 2 * torch.rand(200, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    (_, hidden), (before, _) = network.attribute(x)
    weak, strong = int(hidden.argmin()), int(hidden.argmax())
    masks = network.masks()
    masks[0][:, weak] = 0
    masks[1][weak] = 0
    network.set_masks(masks)
    _, (after, _) = network.attribute(x)
    network.set_masks([torch.ones_like(mask) for mask in masks])
    side = int(before[strong].argmin())  # the edge that the strongest path does not take
    assert abs(after[strong, side] - before[strong, side]) > 1e-3
    threshold = ((after + before)[strong, side] / 2).item()
    cut = prune(network, x, node_th=hidden.mean().item(), edge_th=threshold)
    assert cut[0][:, weak].sum() == 0
    assert bool(cut[0][side, strong]) == bool(after[strong, side] > threshold)
