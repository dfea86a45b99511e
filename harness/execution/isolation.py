"""A warm child process for each thread that asks for one, which may crash without harm to the rest."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import active_children, current_process, forkserver, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait as wait_for_one
from multiprocessing.context import BaseContext
from typing import TypeVar

import psutil
from pebble import ProcessExpired, ProcessPool

from harness.loading import load
from harness.streams import let_the_reader_go

T = TypeVar("T")
Argument = TypeVar("Argument")

GRACE_S = 15.0
"""Seconds that a cell has to record what it has, after it was asked to stop."""

END_S = 5.0
STOP_S = 5.0
"""Seconds that the cells at work get to record what they have when their driver is asked to stop."""


class WorkerLost(Exception):
    """The process died; the message says of what."""


class DeadlinePassed(Exception):
    """The process did not stop when it was asked to, and was killed."""


@dataclass(frozen=True)
class Limits:
    """What a child process may take."""

    threads: int = 1
    seconds: float | None = None
    memory: int | None = None
    """Bytes that it may allocate, on systems that can limit that (RLIMIT_DATA)."""


FORKS = sys.platform == "linux"
"""Whether children are forked from a process that has imported all that they need, and share its memory."""

_starting = threading.Lock()
"""Held while the environment is, for a moment, that of the process that children are forked from."""
_children: dict[int, tuple[Limits, ProcessPool]] = {}
"""The child of each thread, by the thread's number; a pool of one, which replaces a process that died."""


def isolated(function: Callable[[Argument], T], argument: Argument, limits: Limits) -> T:
    """``function(argument)`` in the warm child process of the calling thread.

    Raises WorkerLost when the process dies, DeadlinePassed when it had to be killed, and else what ``function`` raises.
    The child after that is a fresh one.
    """
    hard = None if limits.seconds is None else limits.seconds + GRACE_S
    try:
        with out_of_the_terminal_s_reach():
            future = _child(limits).schedule(function, (argument,), timeout=hard)
        return future.result()
    except ProcessExpired as death:
        raise WorkerLost(_cause(death.exitcode)) from None
    except TimeoutError as error:
        if error.args[:1] != ("Task timeout",):  # what the pool says of its own; another is of the function
            raise
        raise DeadlinePassed(f"It did not stop by itself within {GRACE_S:.0f} s after its deadline.") from None
    except BrokenProcessPool:
        raise WorkerLost("The worker was gone before the cell began.") from None


@contextmanager
def out_of_the_terminal_s_reach() -> Iterator[None]:
    """Processes and threads that begin in here never hear of Ctrl-C and of a closed terminal.

    A terminal tells every process of its group. It is for the driver to hear it, and to ask the cells to stop.
    """
    of_terminal = (signal.SIGINT, signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, of_terminal)
    try:
        resource_tracker.ensure_running()  # which unblocks SIGINT when it starts
        signal.pthread_sigmask(signal.SIG_BLOCK, of_terminal)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def discard_child() -> None:
    """End the calling thread's child; it gets a fresh one when it next asks."""
    kept = _children.pop(threading.get_ident(), None)
    if kept is not None:
        with suppress(TimeoutError):  # it ends some time later, and no result depends on it
            _end(kept[1])


def _end(pool: ProcessPool) -> None:
    # Not stop(): it drops the calls that wait for an answer, and their callers would wait for ever.
    pool.close()  # type: ignore[no-untyped-call]
    pool.join(END_S)


def _child(limits: Limits) -> ProcessPool:
    kept = _children.get(threading.get_ident())
    if kept is not None and kept[0] == limits and kept[1].active:
        return kept[1]
    discard_child()
    if current_process().daemon:
        raise WorkerLost(
            "Dask's workers must be allowed children: start them with DASK_DISTRIBUTED__WORKER__DAEMON=False."
        )
    context = _context(limits.threads)
    with _starting:
        environment = dict(os.environ)
    pool = ProcessPool(1, initializer=_prepare, initargs=(environment, limits), context=context)
    _children[threading.get_ident()] = (limits, pool)
    return pool


def import_ahead(threads: int) -> None:
    """Let the process that children are forked from begin with its imports, so that the first cell waits less for them."""
    if FORKS:
        with out_of_the_terminal_s_reach():
            _context(threads)


def _context(threads: int) -> BaseContext:
    """How children are made; where they are forked, the process that does it is there."""
    # Read when torch is loaded, so they have to be there before any child.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    if not FORKS:
        return get_context("spawn")
    forkserver.set_forkserver_preload(["harness.execution.preloaded"])
    # It would seek modules in the current folder first, before ours and not where we do (harness.shadows).
    paths = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with _starting:
        before = {name: os.environ[name] for name in paths if name in os.environ}
        os.environ |= paths
        try:
            forkserver.ensure_running()
        except OSError:  # the path of its socket, in TMPDIR, may be longer than the system allows
            return get_context("spawn")
        finally:
            for name in paths:
                del os.environ[name]
            os.environ |= before
    return get_context("forkserver")


def begin(environment: dict[str, str], limits: Limits) -> None:
    """In a fresh child, first of all: it has the environment of its parent, its memory is limited, it ends soon after its
    parent, and what it prints may be lost.
    """
    os.environ.clear()
    os.environ.update(environment)
    let_the_reader_go()
    threading.Thread(target=_follow, daemon=True, name="follow parent").start()
    if limits.memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))


def _prepare(environment: dict[str, str], limits: Limits) -> None:
    """In a fresh child: everything that a cell needs, so that no cell waits for it."""
    begin(environment, limits)
    preload()


def preload() -> None:
    """Import what a cell needs, and have the compiled loops ready."""
    load("harness.run", "harness.figures.kan")
    import torch

    from harness.models import elementary, fused
    from harness.tracking.artifacts import import_what_models_need

    import_what_models_need()
    for dtype in (torch.float64, torch.float32):
        elementary.warm_up(dtype)
    fused.warm_up(torch.float64)  # that nearly all cells have


def _follow() -> None:
    """A cell gets the time to record what it has, an idle child none."""
    parent = parent_process()
    assert parent is not None, "this is a child"
    wait_for_one([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def stop_at_work(futures: Iterable[Future[T]]) -> set[Future[T]]:
    """Begin nothing new, and let what is at work record what it has, for a moment; gives those that are over then."""
    of = list(futures)
    for future in of:
        future.cancel()
    if of:
        _ask_children_to_stop()
    return wait(of, timeout=STOP_S).done


def _ask_children_to_stop() -> None:
    """SIGTERM to every process below this one: a cell at work records what it has, as ``interrupted``."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.terminate()


def end_children() -> None:
    """End all of them; whatever is still at work is killed, and its caller told so."""
    for child in active_children():
        child.kill()
    while _children:  # their threads are alive, and may take one out at the same time
        _, (_, pool) = _children.popitem()
        with suppress(TimeoutError):
            _end(pool)
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            # One that still imports would hear of our end only after that; else it takes no notice.
            if "multiprocessing.forkserver" in " ".join(process.cmdline()):
                process.terminate()


def _cause(exitcode: int) -> str:
    """Why a process died, from the exit code that Python gives it."""
    if FORKS and exitcode == 255:  # what multiprocessing says of a child whose fork server is gone
        return "The worker ended with exit code 255 in the middle of the cell, or the process that it was forked from was killed."
    if exitcode >= 0:
        return f"The worker ended with exit code {exitcode} in the middle of the cell."
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    hint = "; the system does that when memory runs out" if name == "SIGKILL" else ""
    return f"The worker was killed by {name} in the middle of the cell{hint}."
