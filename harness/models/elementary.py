"""Sine and cosine, hyperbolic tangent, silu and the Gaussian bell of many numbers, for layers that write their derivatives out.

On a processor torch's own take most of the time of a small perceptron. Compiled loops
(:mod:`harness.models.loops`) give the same to a few units in the last place, both of a pair in one pass. Everywhere else, and
where somebody counts or traces torch's operations, it is torch's operations that are carried out.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.models.jets import plain

Array = NDArray[Any]


def sine_and_cosine(x: Tensor, omega: float = 1.0) -> tuple[Tensor, Tensor]:
    """Of ``omega x``."""
    if _serves(x):
        each = _array(x)
        sine, cosine = np.empty_like(each), np.empty_like(each)
        if _loops().sine_and_cosine(each, omega, sine, cosine):
            return torch.from_numpy(sine), torch.from_numpy(cosine)
    phase = x if omega == 1 else omega * x
    return torch.sin(phase), torch.cos(phase)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    if _serves(x):
        each = _array(x)
        value = np.empty_like(each)
        _loops().tanh(each, value)
        return torch.from_numpy(value)
    return torch.tanh(x)


def silu_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x sigmoid(x)`` and its derivative."""
    if _serves(x):
        each = _array(x)
        value, slope = np.empty_like(each), np.empty_like(each)
        _loops().silu(each, value, slope)
        return torch.from_numpy(value), torch.from_numpy(slope)
    s = torch.sigmoid(x)
    y = x * s
    return y, s + y * torch.sigmoid(-x)


def bell(x: Tensor, scale: float) -> Tensor:
    """``exp(-scale x^2)`` of a positive ``scale``."""
    if _serves(x):
        each = _array(x)
        value = np.empty_like(each)
        _loops().bell(each, scale, value)
        return torch.from_numpy(value)
    return torch.exp(-scale * (x * x))


def _serves(x: Tensor) -> bool:
    return (
        x.dtype in (torch.float64, torch.float32)
        and x.is_cpu
        and x.is_contiguous()
        and not (x.requires_grad and torch.is_grad_enabled())
        and torch._C._len_torch_dispatch_stack() == 0
        and plain()
    )


def _array(x: Tensor) -> Array:
    found: Array = (x.detach() if x.requires_grad else x).numpy()
    return found


@functools.cache
def _loops() -> ModuleType:
    from harness.models import loops  # imports numba, a third of a second

    return loops
