"""Time and memory of something that is done again and again, for the benchmarks beside this."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.rows import Fit


def milliseconds(evaluate: Callable[[], Any], least: float = 0.2) -> float:
    """CPU time of one evaluation, the mean of as many as fit into ``least`` seconds."""
    count, started = 0, time.process_time()
    while (passed := time.process_time() - started) < least:
        evaluate()
        count += 1
    return passed / count * 1e3


def loss_and_gradient(fit: Fit, parameters: Sequence[Tensor]) -> Tensor:
    """As a training has them: the loss, and its gradient in each ``.grad``."""
    for parameter in parameters:
        parameter.grad = None
    return fit.backward(1.0)


def megabytes(evaluate: Callable[[], Any]) -> float:
    """What the resident set grows by at its peak, in one evaluation; Linux says it."""
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before would be used again, and not be seen
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident("VmRSS")
    evaluate()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field))) / 1e3
