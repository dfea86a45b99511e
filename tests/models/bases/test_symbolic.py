"""Edges of known functions: pykan's layer to rounding, and every derivative that sympy and torch.func find."""

from __future__ import annotations

import math

import pytest
import sympy
import torch

from harness.models.bases.network import BasisKAN
from harness.models.bases.symbolic import FUNCTIONS, SymbolicEdges, symbolic_kan
from tests.models.bases.test_network import assert_as_torch_func_has_it


def made(n_in: int, n_out: int, seed: int = 0) -> SymbolicEdges:
    """A layer of one function after the other."""
    generator = torch.Generator().manual_seed(seed)
    names = list(FUNCTIONS)
    functions = [[names[(i * n_out + j + seed) % len(names)] for j in range(n_out)] for i in range(n_in)]
    affine = torch.randn(n_in, n_out, 4, generator=generator, dtype=torch.float64)
    return SymbolicEdges(functions, affine, torch.ones(n_in, n_out, dtype=torch.float64))


def points(n_in: int) -> torch.Tensor:
    return 2 * torch.rand(12, n_in, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_derivatives_of_each_function_are_those_of_its_text(name: str) -> None:
    text, derivatives = FUNCTIONS[name]
    x = sympy.Symbol("x")
    for n, found in enumerate(derivatives(points(1))):
        expected = [float(sympy.diff(sympy.sympify(text), x, n).subs(x, each)) for each in points(1).flatten().tolist()]
        torch.testing.assert_close(found.flatten().tolist(), expected, rtol=1e-12, atol=1e-12)


def test_a_layer_is_pykan_s() -> None:
    layers = pytest.importorskip("kan.Symbolic_KANLayer")
    ours = made(3, 5)
    ours.mask[1, 2] = 0
    theirs = layers.Symbolic_KANLayer(in_dim=3, out_dim=5).double()
    for i, of_input in enumerate(ours.functions):
        for j, name in enumerate(of_input):
            theirs.fix_symbolic(i, j, name, verbose=False)
    theirs.affine.data, theirs.mask.data = ours.affine.transpose(0, 1), ours.mask.T
    expected, of_edges = theirs(points(3))
    network = symbolic_kan([ours])
    torch.testing.assert_close(network(points(3)), expected, rtol=1e-13, atol=1e-13)
    (layer,) = network
    torch.testing.assert_close(layer.edges(points(3)).transpose(1, 2), of_edges, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("masked", [False, True])
def test_jets_gradient_and_jacobian_are_those_of_torch_func(masked: bool) -> None:
    first, second = made(2, 4), made(4, 2, seed=4)
    # What a layer gets from powers of powers is large, and rounding with it.
    small = [each._replace(affine=each.affine / math.sqrt(8)) for each in (first, second)]
    if masked:
        small[0].mask[0, 1] = 0
    network = symbolic_kan(small)
    assert isinstance(network, BasisKAN)
    assert_as_torch_func_has_it(network, points(2))
