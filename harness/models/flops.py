"""Floating-point operations of an evaluation, counted while it happens.

A product of matrices counts as torch's own counter counts it (``torch.utils.flop_counter``, a multiplication and an addition for
each of its terms), and every operation that goes element by element as one for each element that it gives, or as two where it
multiplies and adds: in a KAN these are nearly all. Comparisons and what only moves numbers count as none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

POINTS = 32
OF_AN_ELEMENT = {
    torch.ops.aten.clone: 0,
    torch.ops.aten.clamp: 0,
    torch.ops.aten.clamp_: 0,
    torch.ops.aten.addcmul: 2,
    torch.ops.aten.addcmul_: 2,
}
"""Where that is not one."""


class _Counter(TorchDispatchMode):
    """Adds up what is carried out while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is compiled, and to keep torch's compiler away would import it, which takes seconds."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket  # type: ignore[attr-defined]  # every operation of torch has one
        if packet in flop_registry:
            self.total += int(flop_registry[packet](*args, **(kwargs or {}), out_val=out))
        elif torch.Tag.pointwise in func.tags:  # type: ignore[attr-defined]
            found = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
            self.total += OF_AN_ELEMENT.get(packet, 1) * sum(leaf.numel() for leaf in found)
        return out


@torch.no_grad()
def flops(network: nn.Module, dimension: int) -> int:
    """Operations of an evaluation of the network that each further point takes, at random inputs in [-1, 1]."""
    parameter = next(network.parameters(), None)
    dtype = torch.float64 if parameter is None else parameter.dtype
    x = 2 * torch.rand(2 * POINTS, dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    network(x.to(dtype))  # what is prepared once, such as the table of a spline, is no part of an evaluation
    few, many = (_counted(network, x[:points].to(dtype)) for points in (POINTS, 2 * POINTS))
    return round((many - few) / POINTS)


def _counted(network: nn.Module, x: Tensor) -> int:
    counter = _Counter()
    with counter:
        network(x)
    return counter.total
