"""Cutting a KAN so that it stays a network."""

from __future__ import annotations

import itertools

import torch

from harness.models.kan import KAN, Activations


@torch.no_grad()
def prune(network: KAN, x: Activations, node_th: float, edge_th: float) -> None:
    """Mask hidden nodes with an attribution score of at most ``node_th``, then edges of at most ``edge_th``.

    As in Liu et al. 2024, section 2.5.1, and the seed document (Problem 2, stage 2), with scores taken anew after the
    nodes are gone. The strongest path from an input to each output always stays, so no layer is ever emptied. What no
    longer leads from an input to an output is masked too: a node without live inputs would otherwise go on as a
    constant, whose grid has no extent.
    """
    node_scores, edge_scores = network.attribute(x)
    path = _strongest_path(edge_scores)
    for index, scores in enumerate(node_scores):
        if index > 0:
            keep = (scores > node_th) | path[index].any(dim=0)
            list(network)[index - 1].mask.mul_(keep)
            list(network)[index].mask.mul_(keep[:, None])
    _, edge_scores = network.attribute(x)
    for layer, scores, on_path in zip(network, edge_scores, path, strict=True):
        layer.mask.mul_(((scores > edge_th) | on_path).T)
    _drop_dead_ends(network)


def _strongest_path(edge_scores: list[torch.Tensor]) -> list[torch.Tensor]:
    """Boolean ``(outputs, inputs)`` masks of the edges found by going back from each output along the best edge."""
    path = []
    reached = torch.ones(edge_scores[-1].shape[0], dtype=torch.bool, device=edge_scores[-1].device)
    for scores in reversed(edge_scores):
        best = torch.nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1]).bool() & reached[:, None]
        path.append(best)
        reached = best.any(dim=0)
    return path[::-1]


def _drop_dead_ends(network: KAN) -> None:
    """Mask the edges of hidden nodes that have no live edge in, or none out, until there are no more of them."""
    layers = list(network)
    before = -1
    while network.active_edges() != before:
        before = network.active_edges()
        for into, out in itertools.pairwise(layers):
            alive = (into.mask != 0).any(dim=0) & (out.mask != 0).any(dim=1)
            into.mask.mul_(alive)
            out.mask.mul_(alive[:, None])
