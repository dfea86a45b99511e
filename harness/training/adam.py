"""Adam (Kingma and Ba 2015, algorithm 1), by torch's own function.

``torch.optim.Adam``, the class around it, loads ``torch._dynamo`` when it is made: a second of every start, for compiling,
which nobody here does. Numbers are those of the class to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
EPS = 1e-8


class Adam:
    """What the method keeps from step to step: running means of each gradient and of its square."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = parameters
        self._means = [torch.zeros_like(parameter) for parameter in parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = [torch.tensor(0.0) for _ in parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Move all parameters that have a gradient, each in place."""
        of_gradient = [index for index, parameter in enumerate(self._parameters) if parameter.grad is not None]

        def those(tensors: Sequence[Tensor]) -> list[Tensor]:
            return [tensors[index] for index in of_gradient]

        adam(
            those(self._parameters),
            [parameter.grad for parameter in self._parameters if parameter.grad is not None],
            those(self._means),
            those(self._squares),
            [],
            those(self._steps),
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=lr,
            weight_decay=0.0,
            eps=EPS,
            maximize=False,
        )
