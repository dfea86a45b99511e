"""What a training imports, in a process of its own."""

from __future__ import annotations

from tests.support import python

LINE = """
import os, sys
from dataclasses import replace
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register
from harness.problems import Rows
from harness.training import StageStarted, train
from tests.support import SMALL, parts, small

register(Family("line", RunConfig, lambda config, dimension, generator: nn.Linear(dimension, 1).double(), "A plug-in's."))
SMALL["line"] = {}

def in_a_process_of_its_own(function, *arguments):
    if os.fork() == 0:
        print(*arguments, *function(*arguments), flush=True)
        os._exit(0)
    os.wait()
"""

LOADED = (
    LINE
    + """
def loaded(model, optimizer):
    config = small(model, epochs=6, optimizer=optimizer, iterations=3 if optimizer == "lbfgs" else None)
    events = train(*parts(config), config)
    assert isinstance(next(events), StageStarted)
    before = set(sys.modules)
    list(events)
    return sorted({name for name in set(sys.modules) - before if name.startswith(("torch", "sympy"))})

for model in ("siren", "kan_pruned", "line"):
    for optimizer in ("adam", "lbfgs", "lm"):
        in_a_process_of_its_own(loaded, model, optimizer)
"""
)


def test_nothing_of_torch_is_loaded_on_the_clock_of_the_first_epoch() -> None:
    done = python(["-c", LOADED])
    alone = [
        f"{model} {optimizer}" for model in ("siren", "kan_pruned", "line") for optimizer in ("adam", "lbfgs", "lm")
    ]
    assert (done.stdout.splitlines(), done.stderr, done.returncode) == (alone, "", 0)


NEEDED = (
    LINE
    + """
import harness.run  # with all that a run has imported when its training begins

def needed(model, optimizer, order):
    config = small(model, epochs=2, optimizer=optimizer)
    regressor, data = parts(config)
    if order != "fit":
        order = int(order)
        residual = lambda x, jet: jet[order].flatten(1).sum(1)
        rows = Rows(name="r", points=lambda generator: None, residual=residual, order=order)
        data = replace(data, declared=(rows,), at_declared=(torch.zeros(3, 2).double(),))
    events = train(regressor, data, config)
    yield "torch._dynamo" in sys.modules
    list(events)
    yield "torch._dynamo" in sys.modules

for case in sys.argv[1:]:
    in_a_process_of_its_own(needed, *case.split())
"""
)


def test_what_torch_func_takes_is_loaded_before_the_clock_runs_and_only_where_it_is_used() -> None:
    is_needed = {"line adam fit": False, "line adam 0": False, "line adam 1": True, "line lm fit": True}
    done = python(["-c", NEEDED, *is_needed])
    said = [f"{case} {needed} {needed}" for case, needed in is_needed.items()]
    assert (done.stdout.splitlines(), done.stderr) == (said, "")
