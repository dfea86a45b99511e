"""Adam, on all training rows at once or in batches (Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", alg. 1)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from harness.fields import DOCUMENT, OrNone, field
from harness.methods import Method, MethodConfig, Objective, Rate, Step, register


class AdamConfig(MethodConfig):
    """A rate that falls once, and a bound on the gradient."""

    lr: float = field(1e-3, "adam: learning rate.", gt=0)
    lr_decay: float = field(
        0.1,
        "adam: factor on the learning rate in the second half of the epochs; 1 keeps it.",
        source=DOCUMENT,
        gt=0,
        le=1,
    )
    clip: Annotated[float | None, OrNone] = field(
        None,
        "adam: bound on the norm of the gradient. None: no clipping.",
        source="Pascanu et al. 2013, algorithm 1",
        gt=0,
    )

    batch: Annotated[int | None, OrNone] = field(
        None,
        "adam: rows of a step; an epoch takes all of them once, in random order. None: all rows in one step.",
        unit="rows",
        ge=1,
    )
    identity_if_changed: ClassVar[frozenset[str]] = frozenset({"batch"})

    def rate(self, epoch: int, epochs: int) -> float:
        """It falls by ``lr_decay`` for the second half of all epochs (seed document, Problem 1)."""
        return self.lr * self.lr_decay if epoch > (epochs + 1) // 2 else self.lr

    def vectors(self, epochs: int) -> int:
        """Parameters, gradient, and its first and second moment."""
        return 4


def adam(objective: Objective, config: AdamConfig, rate: Rate) -> Step:
    """An epoch is one step, or one for each batch, with the gradient's norm clipped to ``clip``.

    By torch's function, not its class, whose first use imports ``torch._dynamo``: seconds for every run.
    """
    import torch
    from torch.nn.utils import clip_grad_norm_
    from torch.optim.adam import adam as update

    from harness.methods.vectors import gradient_norm

    parameters = objective.parameters
    first, second = ([torch.zeros_like(p, memory_format=torch.preserve_format) for p in parameters] for _ in range(2))
    steps = [torch.tensor(0.0) for _ in parameters]

    def step() -> float:
        parts = [objective] if config.batch is None else objective.batches(config.batch)
        norms = [take(part) for part in parts]
        return norms[0]

    def take(part: Objective) -> float:
        lr = rate()
        assert lr is not None
        part.evaluate()
        before = gradient_norm(parameters)
        if config.clip is not None:
            clip_grad_norm_(parameters, config.clip)
        moved = [i for i, p in enumerate(parameters) if p.grad is not None]  # of the others torch forms no moments
        p, m, v, t = ([each[i] for i in moved] for each in (parameters, first, second, steps))
        with torch.no_grad():
            update(
                p, [each.grad for each in p if each.grad is not None], m, v, [], t,
                amsgrad=False, beta1=0.9, beta2=0.999, lr=lr, weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip
        return before

    return step


register(
    Method(
        "adam", AdamConfig, adam, "Adam on all training points at once or in batches, its gradient clipped on request."
    )
)
