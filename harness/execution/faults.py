"""The models of the suite ``faults``: each fails in its own way, for real, at its third evaluation.

Only who names this module as a plug-in, as that suite does, has them.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.config import RunConfig
from harness.families import Family, register
from harness.tracking.sqlite import sqlite_file
from harness.tracking.store import store_address

LOCKED_S = 5.0
"""Seconds for which no process can write to the store."""


class Faulty(nn.Module):
    """A line, until something happens."""

    def __init__(self, dimension: int, happen: Callable[[int], None]) -> None:
        super().__init__()
        self.line, self.evaluations, self.happen = nn.Linear(dimension, 1), 0, happen

    def forward(self, x: Tensor) -> Tensor:
        """Values ``(points, 1)`` at ``(points, dimension)``. Training counts, looking does not."""
        self.evaluations += torch.is_grad_enabled()
        if torch.is_grad_enabled() and self.evaluations >= 3:
            self.happen(self.evaluations)
        values: Tensor = self.line(x)
        return values


def raises(evaluation: int) -> None:
    """An exception of the model's own."""
    raise ArithmeticError("the third evaluation is one too many")


def is_killed(evaluation: int) -> None:
    """The process is gone at once, as after a segmentation fault or when the system is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def is_slow(evaluation: int) -> None:
    """The deadline passes between two epochs."""
    time.sleep(0.5)


def hangs(evaluation: int) -> None:
    """The deadline passes, and the cell does not hear it."""
    time.sleep(3600)


def needs_memory(evaluation: int) -> None:
    """More than the suite allows: 64 GiB."""
    torch.ones(2**33)


def loses_the_store(evaluation: int) -> None:
    """An exception, which has to be recorded while no process can write to the store. Only SQLite can be locked from here."""
    address = store_address()
    if address.startswith("sqlite:"):
        held = threading.Event()
        threading.Thread(target=_lock, args=(address, held), daemon=True).start()
        held.wait(30)
    raise ConnectionError("the store is locked from now on")


def _lock(address: str, held: threading.Event) -> None:
    store = sqlite3.connect(sqlite_file(address).path, timeout=30, isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    held.set()
    time.sleep(LOCKED_S)
    store.rollback()
    store.close()


for _happen in (raises, is_killed, is_slow, hangs, needs_memory, loses_the_store):
    register(
        Family(
            f"fault_{_happen.__name__}",
            RunConfig,
            lambda config, dimension, generator, happen=_happen: Faulty(dimension, happen),
            str(_happen.__doc__).splitlines()[0],
        )
    )
