"""What a training imports, in a process of its own."""

from __future__ import annotations

import pytest

from tests.support import python

SCRIPT = """
import sys
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register
from harness.training import StageStarted, train
from tests.support import SMALL, parts, small

register(Family("line", RunConfig, lambda config, dimension, generator: nn.Linear(dimension, 1).double(), "A plug-in's."))
SMALL["line"] = {}
for optimizer in ("adam", "lbfgs", "lm"):
    config = small(sys.argv[1], epochs=6, optimizer=optimizer, iterations=3 if optimizer == "lbfgs" else None)
    events = train(*parts(config), config)
    assert isinstance(next(events), StageStarted)
    before = set(sys.modules)
    list(events)
    print(optimizer, *sorted({name for name in set(sys.modules) - before if name.startswith(("torch", "sympy"))}))
"""


@pytest.mark.parametrize("model", ["siren", "kan_pruned", "line"])
def test_nothing_of_torch_is_loaded_on_the_clock_of_the_first_epoch(model: str) -> None:
    done = python(["-c", SCRIPT, model])
    assert (done.stdout, done.stderr, done.returncode) == ("adam\nlbfgs\nlm\n", "", 0)
