"""Which edges of a network of them a cut leaves, so that it stays a network.

A cut is a list of masks, one a layer, of the shape ``(inputs, outputs)``; nothing changes until the network gets them
(:meth:`harness.models.edges.EdgeNetwork.set_masks`). Whatever is asked for, a path from an input to each output stays, so no
layer is ever emptied, and what no longer leads from an input to an output goes too: a node without live inputs would otherwise
live on as a constant, whose grid has no extent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from harness.models.edges import Activations, EdgeNetwork

Masks = list[Tensor]


@torch.no_grad()
def prune(network: EdgeNetwork, x: Activations, node_th: float, edge_th: float) -> Masks:
    """The cut of all hidden nodes with an attribution score of at most ``node_th``, then of all edges of at most ``edge_th``.

    As in Liu et al. 2024, section 2.5.1, and the seed document (Problem 2, stage 2), with scores taken anew after the
    nodes are gone. The strongest path always stays.
    """
    before = network.masks()
    node_scores, edge_scores = network.attribute(x)
    path = _strongest_path(edge_scores)
    masks = network.masks()
    for index, scores in enumerate(node_scores):
        if index > 0:
            _keep_nodes(masks, index, (scores > node_th) | path[index].any(dim=0))
    network.set_masks(masks)
    _, edge_scores = network.attribute(x)
    network.set_masks(before)
    for mask, scores, on_path in zip(masks, edge_scores, path, strict=True):
        mask.mul_(((scores > edge_th) | on_path).T)
    return _without_dead_ends(masks)


@torch.no_grad()
def single_cuts(network: EdgeNetwork, x: Activations) -> Iterator[Masks]:
    """The cuts of one hidden node, the least important first, then those of one edge, likewise.

    A cut that would leave no path, or that changes nothing, is left out.
    """
    before = network.masks()
    node_scores, edge_scores = network.attribute(x)
    nodes = [
        (score, layer, node)
        for layer, scores in enumerate(node_scores)
        if layer > 0
        for node, score in enumerate(scores.tolist())
    ]
    for _, layer, node in sorted(nodes):
        masks = [mask.clone() for mask in before]
        keep = torch.ones(len(node_scores[layer]), dtype=torch.bool, device=x.device)
        keep[node] = False
        _keep_nodes(masks, layer, keep)
        yield from _possible(masks, before)
    edges = [
        (score, layer, i, j)
        for layer, scores in enumerate(edge_scores)
        for j, row in enumerate(scores.tolist())
        for i, score in enumerate(row)
    ]
    for _, layer, i, j in sorted(edges):
        masks = [mask.clone() for mask in before]
        masks[layer][i, j] = 0
        yield from _possible(masks, before)


def _possible(masks: Masks, before: Masks) -> Iterator[Masks]:
    masks = _without_dead_ends(masks)
    changes = any(not torch.equal(mask, old) for mask, old in zip(masks, before, strict=True))
    if changes and torch.equal(masks[-1].any(dim=0), before[-1].any(dim=0)):  # each output keeps a path
        yield masks


def _keep_nodes(masks: Masks, layer: int, keep: Tensor) -> None:
    """Cut all edges into and out of the nodes between two layers that are not kept."""
    masks[layer - 1].mul_(keep)
    masks[layer].mul_(keep[:, None])


def _strongest_path(edge_scores: list[Tensor]) -> list[Tensor]:
    """Boolean ``(outputs, inputs)`` masks of the edges found by going back from each output along the best edge."""
    path = []
    reached = torch.ones(edge_scores[-1].shape[0], dtype=torch.bool, device=edge_scores[-1].device)
    for scores in reversed(edge_scores):
        best = torch.nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1]).bool() & reached[:, None]
        path.append(best)
        reached = best.any(dim=0)
    return path[::-1]


def _without_dead_ends(masks: Masks) -> Masks:
    """Without the edges of hidden nodes that have no live edge in, or none out, until there are no more of them."""
    live = -1
    while live != (live := sum(int(mask.count_nonzero()) for mask in masks)):
        for into, out in itertools.pairwise(masks):
            alive = into.any(dim=0) & out.any(dim=1)
            into.mul_(alive)
            out.mul_(alive[:, None])
    return masks
