"""Parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Vector = Float[Tensor, " parameters"]


def norm(tensors: Iterable[Tensor]) -> float:
    """Euclidean norm over all numbers of ``tensors``; NaN when any of them is."""
    total: Tensor = torch.linalg.vector_norm(torch.cat([tensor.flatten() for tensor in tensors]))
    return total.item()


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """Euclidean norm of the gradient over all parameters; NaN when any of it is."""
    return norm(p.grad for p in parameters if p.grad is not None)


def flat(tensors: Iterable[Tensor]) -> Vector:
    """Copies of the tensors, end to end."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@torch.no_grad()
def move(parameters: list[nn.Parameter], theta: Vector) -> None:
    """Set the parameters to ``theta``."""
    # Tensor.split does the same, and takes longer to get there.
    parts = torch.split_with_sizes(theta, [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view_as(parameter))
