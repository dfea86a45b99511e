"""An affine function by least squares: the floor under every model, and the whole of what many tables have to tell.

Gauss 1809. It is the polynomial of total degree 1 (:mod:`harness.models.classical.chebyshev`).
"""

from __future__ import annotations

import torch

from harness.config import FitConfig
from harness.models.classical.chebyshev import Polynomial


def linear(config: FitConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Polynomial:
    """The function 0."""
    return Polynomial(dimension, outputs)
