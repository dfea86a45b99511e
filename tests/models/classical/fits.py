"""Fitted models of every classical family."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from harness.config import FitConfig, Size
from harness.models import network
from harness.models.classical.expansion import Expansion
from harness.presets import resolve

FAMILIES: list[dict[str, Any]] = [
    {"model": "linear"},
    {"model": "chebyshev"},
    {"model": "spline"},
    {"model": "spline", "k": 2},
    {"model": "rbf", "powers": (5,)},
    {"model": "rbf", "powers": (7,)},
    {"model": "gp"},
    {"model": "kernel_ridge"},
    {"model": "random_features"},
    {"model": "random_features", "function": "tanh"},
]


def points(count: int, dimension: int, seed: int = 0) -> Tensor:
    """Uniform on [-1, 1]^d."""
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, dimension, generator=generator, dtype=torch.float64) - 1


def values(x: Tensor, outputs: int = 1) -> Tensor:
    """Something smooth, of mean about 0 and variance about 1."""
    columns = [torch.sin((2 + number) * x.sum(dim=1)) + x[:, 0] ** 2 - 0.3 for number in range(outputs)]
    return torch.stack(columns, dim=1)


def untrained(
    fields: dict[str, Any], dimension: int, outputs: int = 1, n_train: int = 100
) -> tuple[Expansion, FitConfig]:
    config = cast(FitConfig, resolve({"problem": "sin_freq1", "n_train": n_train, **fields}))
    return cast(Expansion, network(config, dimension, outputs)), config


def a_size(config: FitConfig, dimension: int) -> Size:
    """One in the middle of those that are planned."""
    sizes = config.sizes(dimension, 2**30)
    return sizes[len(sizes) // 2]


def fitted(fields: dict[str, Any], dimension: int, outputs: int = 1, count: int = 100) -> tuple[Expansion, Tensor]:
    """A model that is fitted to :func:`values`, and some points inside and on the sides."""
    model, config = untrained(fields, dimension, outputs, count)
    x = points(count, dimension)
    model.fit(a_size(config, dimension), x, values(x, outputs))
    z = points(30, dimension, seed=1)
    z[0], z[1], z[2, 0] = -1, 1, 1 / 3
    return model, z
