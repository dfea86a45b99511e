"""Sine and cosine, hyperbolic tangent, silu and the Gaussian bell of many numbers, for layers that write their derivatives out.

On a processor torch's own take most of the time of a small perceptron. Compiled loops
(:mod:`harness.models.elementary_loops`) give the same to a few units in the last place, both of a pair in one pass. Everywhere
else, and where somebody counts or traces torch's operations, it is torch's operations that are carried out.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.models.jets import plain

Array = NDArray[Any]


def sine_and_cosine(x: Tensor, omega: float = 1.0) -> tuple[Tensor, Tensor]:
    """Of ``omega x``."""
    if _serves(x):
        sine, cosine = torch.empty_like(x), torch.empty_like(x)
        if loops().sine_and_cosine(_flat(x), omega, _flat(sine), _flat(cosine)):
            return sine, cosine
    phase = x if omega == 1 else omega * x
    return torch.sin(phase), torch.cos(phase)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    if _serves(x):
        value = torch.empty_like(x)
        loops().tanh(_flat(x), _flat(value))
        return value
    return torch.tanh(x)


def silu_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x sigmoid(x)`` and its derivative."""
    if _serves(x):
        value, slope = torch.empty_like(x), torch.empty_like(x)
        loops().silu(_flat(x), _flat(value), _flat(slope))
        return value, slope
    s = torch.sigmoid(x)
    y = x * s
    return y, s + y * torch.sigmoid(-x)


def bell(x: Tensor, scale: float) -> Tensor:
    """``exp(-scale x^2)`` of a positive ``scale``."""
    if _serves(x):
        value = torch.empty_like(x)
        loops().bell(_flat(x), scale, _flat(value))
        return value
    return torch.exp(-scale * (x * x))


@functools.cache
def warm_up(dtype: torch.dtype) -> None:
    """Have the loops for these numbers compiled, or loaded from where they were kept, before anybody's clock runs."""
    x = torch.zeros(1, dtype=dtype)
    for each in (sine_and_cosine, tanh, silu_and_slope):
        each(x)
    bell(x, 1.0)


def _serves(x: Tensor) -> bool:
    return (
        x.dtype in (torch.float64, torch.float32)
        and x.is_cpu
        and x.is_contiguous()
        and not (x.requires_grad and torch.is_grad_enabled())
        and torch._C._len_torch_dispatch_stack() == 0
        and plain()
    )


def _flat(x: Tensor) -> Array:
    found: Array = (x.detach() if x.requires_grad else x).numpy().reshape(-1)
    return found


@functools.cache
def loops() -> ModuleType:
    """The compiled loops."""
    from harness.models import elementary_loops  # imports numba, a third of a second

    return elementary_loops
