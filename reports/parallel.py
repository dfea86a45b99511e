"""The same work on many things, by several processes at once."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe, current_process, get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from harness.machine import cores

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")

FORKS = sys.platform == "linux"
"""Whether a process may be forked in the middle of its work; the libraries of macOS don't bear it."""
MOST = 4
"""Processes: each copies what it changes, so they take memory."""


def parallel_map(work: Callable[[Thing], Answer], things: Sequence[Thing]) -> list[Answer]:
    """``work`` of each thing, in their order, by as many processes as there are cores, at most four.

    The others are forked: they know what this one knows, and give back their answers alone. ``work`` must not speak with a
    server or a database, whose connections they would share. What it raises is raised here; and the part of a process that
    died, or can't be had, is done here.
    """
    count = min(cores(), MOST, len(things)) if FORKS and not current_process().daemon else 1
    there_and_back = [*range(count), *reversed(range(count))]  # so that what alternates is shared out evenly
    whose = list(itertools.islice(itertools.cycle(there_and_back), len(things)))
    parts = [[thing for thing, each in zip(things, whose, strict=True) if each == part] for part in range(count)]
    with ExitStack() as stack:
        others = [stack.enter_context(_answering(work, part)) for part in parts[1:]]
        found = [list(map(work, part)) for part in parts[:1]]
        for part, answers in zip(parts[1:], others, strict=True):
            try:
                found.append(answers.recv())
            except (EOFError, OSError):
                # It met an exception, which is met here then; or it died, if only while it told.
                found.append(list(map(work, part)))
    in_turn = [iter(answers) for answers in found]
    return [next(in_turn[each]) for each in whose]


@contextmanager
def _answering(work: Callable[[Thing], Answer], things: Sequence[Thing]) -> Iterator[Connection]:
    """Where a process that is at work on these things gives its answers; it is gone after that."""
    ours, theirs = Pipe(duplex=False)
    arguments = (work, things, ours, theirs, os.getpid())
    process = get_context("fork").Process(target=_answer, args=arguments, daemon=True)
    try:
        # A terminal tells every process of Ctrl-C. It is for this one to hear it, and to end the others.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
        try:
            with suppress(OSError):  # none can be had, for want of memory or by a limit; then nobody answers
                process.start()
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield ours
    finally:
        ours.close()
        if process.pid is not None:
            process.kill()
            process.join()


def _answer(
    work: Callable[[Thing], Answer], things: Sequence[Thing], ours: Connection, theirs: Connection, parent: int
) -> None:
    # The streams may be those of a status line, with a lock that a thread held which is not here. So new ones.
    sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    ours.close()  # so that whoever waits here for a reader hears that there is none any more
    answers = []
    # Whoever waits for the answers does this part again where there are none, and tells of the exception.
    with suppress(Exception):
        for thing in things:
            if os.getppid() != parent:
                return
            answers.append(work(thing))
        theirs.send(answers)
