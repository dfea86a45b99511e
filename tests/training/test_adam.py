"""Adam, held against torch's own class to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.training.adam import Adam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_torch_to_the_bit_at_any_rate_and_where_a_parameter_has_no_gradient(
    dtype: torch.dtype,
) -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator, dtype=dtype) for shape in ((3, 2), (3,), (1,))]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    method, reference = Adam(ours), torch.optim.Adam(theirs, lr=1.0)
    for number in range(20):
        rate = 1e-2 if number < 10 else 1e-3
        for parameter, other in zip(ours, theirs, strict=True):
            gradient = torch.randn(parameter.shape, generator=generator, dtype=dtype)
            absent = len(parameter) == 1 and number % 3 == 0
            parameter.grad, other.grad = (None, None) if absent else (gradient, gradient.clone())
        method.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
        assert all(torch.equal(parameter, other) for parameter, other in zip(ours, theirs, strict=True))
    assert not any(torch.equal(parameter, tensor) for parameter, tensor in zip(ours, start, strict=True))
