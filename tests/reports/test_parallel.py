"""Work that several processes share is as if one had done it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import parallel
from reports.parallel import parallel_map


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 4)


forked = pytest.mark.skipif(not parallel.FORKS, reason="this system does not fork")


@pytest.mark.parametrize("count", range(10))
def test_answers_are_in_the_order_of_the_things(count: int) -> None:
    assert parallel_map(lambda thing: 10 * thing, range(count)) == [10 * thing for thing in range(count)]


@forked
def test_several_processes_share_it_evenly() -> None:
    shares = parallel_map(lambda _: os.getpid(), range(40))
    assert [shares.count(process) for process in set(shares)] == [10, 10, 10, 10]
    alternating = shares[::2]  # two kinds of work in turns, as of curves and of surfaces
    assert {alternating.count(process) for process in set(alternating)} == {5}


@forked
def test_a_machine_with_one_core_has_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    assert set(parallel_map(lambda _: os.getpid(), range(9))) == {os.getpid()}


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 11))
def test_an_exception_is_that_of_the_work(bad: int) -> None:
    def work(thing: int) -> int:
        if thing == bad:
            raise LookupError(f"number {thing}")
        return thing

    with pytest.raises(LookupError, match=f"number {bad}"):
        parallel_map(work, range(12))


@forked
def test_the_part_of_a_process_that_died_is_done_here() -> None:
    here = os.getpid()

    def work(thing: int) -> tuple[int, bool]:
        if thing == 2 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return thing, os.getpid() == here

    found = parallel_map(work, range(8))
    assert [thing for thing, _ in found] == list(range(8))
    assert [thing for thing, done_here in found if done_here] == [0, 2, 5, 7]  # its own part, and that of number 2


@forked
def test_one_that_dies_while_it_tells_is_no_loss() -> None:
    here = os.getpid()

    def work(thing: int) -> int:
        if os.getpid() != here:
            return 10**1_000_000 * thing  # more than a pipe takes, so that it waits for its reader
        time.sleep(0.3)
        for child in psutil.Process().children():
            child.kill()
        return thing

    assert parallel_map(work, range(2)) == [0, 1]


@forked
def test_where_no_process_can_be_had_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(self: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.ForkProcess.start", none_left)
    assert set(parallel_map(lambda _: os.getpid(), range(9))) == {os.getpid()}


@forked
def test_a_lock_of_the_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    here, lock = os.getpid(), threading.Lock()

    class Status(io.StringIO):
        """As Rich's, whose thread may hold the lock at the moment of the fork."""

        def write(self, text: str) -> int:
            with lock:
                return super().write(text)

    def work(thing: int) -> int:
        if os.getpid() != here:
            warnings.warn("glyph missing from font", stacklevel=1)
            sys.stdout.write("and a word")
        return thing

    monkeypatch.setattr(sys, "stderr", Status())
    monkeypatch.setattr(sys, "stdout", sys.stderr)
    with lock:
        assert parallel_map(work, range(4)) == [0, 1, 2, 3]


ENDLESS = """
import os, time
from reports import parallel
parallel.cores = lambda: 3
def work(thing):
    if thing < 3:
        os.write(1, f"{thing}\\n".encode())
    time.sleep(0.2)
    return b" " * 10**6  # more than a pipe takes
parallel.parallel_map(work, range(600))
"""


@forked
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_began_it(sent: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert {process.stdout.readline() for _ in range(3)} == {"0\n", "1\n", "2\n"}
    children = psutil.Process(process.pid).children()
    assert len(children) == 2
    os.killpg(process.pid, sent) if sent is signal.SIGINT else process.send_signal(sent)
    _, said = process.communicate(timeout=10)
    assert process.returncode != 0
    assert said.count("Traceback") == (sent is signal.SIGINT)  # that of the first process alone
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
