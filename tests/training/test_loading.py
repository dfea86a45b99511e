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


NEED = """
import sys
from dataclasses import replace
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register
from harness.problems import Rows
from harness.training import train
from tests.support import SMALL, parts, small

register(Family("line", RunConfig, lambda config, dimension, generator: nn.Linear(dimension, 1).double(), "A plug-in's."))
SMALL["line"] = {}
model, optimizer, order = sys.argv[1:]
config = small(model, epochs=2, optimizer=optimizer)
regressor, data = parts(config)
if order != "fit":
    order = int(order)
    residual = lambda x, jet: jet[order].flatten(1).sum(1)
    rows = Rows(name="r", points=lambda generator: None, residual=residual, order=order)
    data = replace(data, declared=(rows,), at_declared=(torch.zeros(3, 2).double(),))
events = train(regressor, data, config)
print("torch._dynamo" in sys.modules)
list(events)
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(
    ("model", "optimizer", "order", "is_needed"),
    [
        ("line", "adam", "fit", False),
        ("line", "adam", "0", False),
        ("line", "adam", "1", True),
        ("line", "lm", "fit", True),
    ],
)
def test_what_torch_func_takes_is_loaded_before_the_clock_runs_and_only_where_it_is_used(
    model: str, optimizer: str, order: str, is_needed: bool
) -> None:
    done = python(["-c", NEED, model, optimizer, order])
    assert (done.stdout.split(), done.stderr) == ([str(is_needed)] * 2, "")
