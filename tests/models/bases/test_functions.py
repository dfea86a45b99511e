"""Each basis is what its paper says, by numpy, scipy or the bare formula; and so are its derivatives up to the third."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev, legendre
from torch import Tensor

from harness.models.bases.chebyshev import Chebyshev
from harness.models.bases.fourier import Fourier
from harness.models.bases.layer import Basis, FixedLayer
from harness.models.bases.legendre import Legendre
from harness.models.bases.rational import RationalLayer
from harness.models.bases.rbf import Gaussians
from harness.models.bases.relu import Bumps
from harness.models.bases.wavelet import WaveletLayer

GRID = 7
U = torch.linspace(-1, 1, 41, dtype=torch.float64).add(0.003).clamp(max=1).unsqueeze(0)


def polynomials(value: Any, derivative: Any, norm: Callable[[int], float]) -> Callable[[int], np.ndarray]:
    """From numpy's series."""

    def of_order(order: int) -> np.ndarray:
        series = np.eye(GRID + 1)
        return np.array([norm(n) * value(U[0].numpy(), derivative(series[n], order)) for n in range(GRID + 1)])

    return of_order


def waves(order: int) -> np.ndarray:
    """By the complex exponential."""
    rows = [np.full(U.shape[1], 1.0 if order == 0 else 0.0)]
    for k in range(1, GRID + 1):
        omega = k * math.pi / 2
        wave = math.sqrt(2) * (1j * omega) ** order * np.exp(1j * omega * U[0].numpy())
        rows += [wave.real, wave.imag]
    return np.array(rows)


def by_autograd(function: Callable[[Tensor], Tensor]) -> Callable[[int], np.ndarray]:
    """Of functions ``(points,) -> (functions, points)``."""

    def derivative(order: int) -> np.ndarray:
        x = U[0].clone().requires_grad_()
        rows = list(function(x))
        for _ in range(order):
            rows = [
                torch.autograd.grad(row.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True)[0]
                for row in rows
            ]
        return torch.stack(rows).detach().numpy()

    return derivative


def gaussians(x: Tensor) -> Tensor:
    h = 2 / GRID
    return torch.stack([torch.exp(-(((x - (-1 + i * h)) / h) ** 2)) for i in range(GRID + 1)])


def bumps(x: Tensor) -> Tensor:
    """Equation 6 of the paper."""
    h, k, found = 2 / GRID, 3, []
    for i in range(-k, GRID):
        s = -1 + i * h
        e = s + (k + 1) * h
        found.append((torch.relu(e - x) * torch.relu(x - s)) ** 2 * 16 / (e - s) ** 4)
    return torch.stack(found)


BASES: dict[str, tuple[Basis, Callable[[int], np.ndarray]]] = {
    "chebyshev": (Chebyshev(), polynomials(chebyshev.chebval, chebyshev.chebder, lambda n: 1.0)),
    "legendre": (Legendre(), polynomials(legendre.legval, legendre.legder, lambda n: math.sqrt(2 * n + 1))),
    "fourier": (Fourier(), waves),
    "rbf": (Gaussians(), by_autograd(gaussians)),
    "relu": (Bumps(3), by_autograd(bumps)),
}


@pytest.mark.parametrize("name", BASES)
def test_functions_and_their_derivatives_are_those_of_the_formula(name: str) -> None:
    basis, expected = BASES[name]
    found = basis(U, GRID, 3)
    assert basis.grid(found[0].shape[1]) == GRID
    for order, each in enumerate(found):
        wanted = expected(order)
        np.testing.assert_allclose(each[0].numpy(), wanted, rtol=0, atol=1e-12 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", BASES)
def test_a_hidden_layer_takes_the_functions_of_tanh_where_they_live_on_an_interval(name: str) -> None:
    basis, _ = BASES[name]
    layer = FixedLayer(1, 1, GRID, basis, True, torch.Generator())
    x = torch.atanh(0.9 * U)
    inner = (lambda z: torch.tanh(z)) if basis.squash else (lambda z: z)
    found = layer.prepared(x, 3)
    z = x.clone().requires_grad_()
    rows = list(basis(inner(z), GRID, 0)[0][0]) + ([torch.nn.functional.silu(z[0])] if basis.base else [])
    assert found[0].shape[1] == len(rows)
    for order in range(4):
        wanted = torch.stack([row.reshape(-1) for row in rows]).detach()
        assert (found[order][0] - wanted).norm() <= 1e-11 * (1 + wanted.norm())
        if order < 3:
            rows = [
                torch.autograd.grad(row.sum(), z, create_graph=True, allow_unused=True, materialize_grads=True)[0]
                for row in rows
            ]


@pytest.mark.parametrize("kind", ["mexican_hat", "dog"])
def test_a_wavelet_is_the_derivative_of_a_gaussian_at_its_place_and_scale(kind: str) -> None:
    layer = WaveletLayer(1, 1, kind, torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.dilation.fill_(1.7)
    w, a, t = (p.detach().item() for p in (layer.weight, layer.dilation, layer.translation))

    def formula(x: Tensor) -> Tensor:
        v = (x - t) * a
        psi = (
            2 / (math.sqrt(3) * math.pi**0.25) * (1 - v**2) * torch.exp(-(v**2) / 2)
            if kind == "mexican_hat"
            else -v * torch.exp(-(v**2) / 2)
        )
        return (w * psi).unsqueeze(0)

    looked = layer.look(U, 3, numbers=True)
    for order, each in enumerate(looked.edges):
        np.testing.assert_allclose(each[0].detach().numpy(), by_autograd(formula)(order), rtol=0, atol=1e-11)


def test_a_rational_edge_is_its_formula() -> None:
    layer = RationalLayer(1, 1, 5, 4, torch.Generator().manual_seed(0))
    a, b = layer.numerator[0, 0].tolist(), layer.denominator[0, 0].tolist()

    def formula(x: Tensor) -> Tensor:
        p = torch.stack([c * x**k for k, c in enumerate(a)]).sum(dim=0)
        q = torch.stack([c * x ** (k + 1) for k, c in enumerate(b)]).sum(dim=0)
        return (p / (1 + q**2)).unsqueeze(0)

    for order, each in enumerate(layer.look(U, 3, numbers=True).edges):
        wanted = by_autograd(formula)(order)
        np.testing.assert_allclose(each[0].detach().numpy(), wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())
