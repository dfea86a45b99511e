"""Work that several processes share is as if one had done it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

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


ENDLESS = """
import os, time
from reports import parallel
parallel.cores = lambda: 3
def work(thing):
    os.write(1, f"{thing}\\n".encode())
    time.sleep(60 if thing == 0 else 0.2)
    return b" " * 10**6  # more than a pipe takes
parallel.parallel_map(work, range(3))
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
