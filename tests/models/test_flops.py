"""Operations of an evaluation are those that one counts by hand."""

from __future__ import annotations

import pytest

from harness.models import network
from harness.models.flops import flops
from harness.presets import resolve


def counted(dimension: int = 2, **fields: object) -> int:
    config = resolve({"problem": "poisson_2d_poly", "preset": "lm", **fields})
    return flops(network(config, dimension), dimension)


@pytest.mark.parametrize(("width", "depth"), [(10, 3), (4, 1)])
def test_those_of_an_mlp_are_two_for_a_weight_and_one_for_a_unit(width: int, depth: int) -> None:
    weights = 2 * width + (depth - 1) * width**2 + width
    assert counted(model="mlp", width=width, depth=depth) == 2 * weights + depth * width


@pytest.mark.parametrize(("width", "k"), [(5, 3), (8, 5)])
def test_those_of_a_kan_are_a_polynomial_for_an_edge_and_its_place_for_a_node_whatever_the_grid(
    width: int, k: int
) -> None:
    edges, nodes = 3 * width, 2 + width
    by_hand = edges * (2 * k + 2) + 6 * nodes  # Horner and silu's factor; silu, and five to find the interval
    for grid in (5, 40):
        assert counted(model="kan", width=width, k=k, grids=(grid,)) == by_hand


@pytest.mark.parametrize("model", ["kan", "mlp_bspline", "kan_chebyshev", "kan_wavelet"])
def test_what_a_network_prepares_at_its_first_evaluation_does_not_count(model: str) -> None:
    """It made the numbers negative, and a search for the width that meets one went on until the memory was full."""
    made = network(resolve({"model": model, "width": 3}), 2)
    assert flops(made, 2) == flops(made, 2) > 0
