"""A function runs in a warm process of its own; whatever happens to that process, the caller hears of it and goes on."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.execution import isolation
from harness.execution.isolation import DeadlinePassed, Limits, WorkerLost, end_children, isolated
from tests.support import python

LIGHT = Limits()


@pytest.fixture(autouse=True)
def light_children(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Children that prepare nothing, and short graces: what is tested here has nothing to do with torch."""
    monkeypatch.setattr(isolation, "_prepare", isolation.begin)
    monkeypatch.setattr(isolation, "GRACE_S", 0.5)
    yield
    end_children()


def pid(_: object) -> int:
    return os.getpid()


def parent(_: object) -> int:
    return os.getppid()


def environment(name: str) -> str | None:
    return os.environ.get(name)


def threads(_: object) -> str:
    return os.environ["OMP_NUM_THREADS"]


def segfault(_: object) -> None:
    ctypes.string_at(0)


def leave(code: int) -> None:
    os._exit(code)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def waits_too_long(what: str) -> None:
    raise TimeoutError(what)


def allocate(size: int) -> int:
    return len(bytearray(size))


def complain(text: str) -> None:
    raise RuntimeError(text)


def test_the_process_is_another_one_and_stays_warm() -> None:
    first = isolated(pid, None, LIGHT)
    assert first != os.getpid()
    assert isolated(pid, None, LIGHT) == first


def test_an_exception_comes_back_and_costs_no_process() -> None:
    first = isolated(pid, None, LIGHT)
    with pytest.raises(RuntimeError, match="as it happens"):
        isolated(complain, "as it happens", LIGHT)
    assert isolated(pid, None, LIGHT) == first


def test_a_crash_is_told_with_its_signal_and_the_next_process_is_a_fresh_one() -> None:
    first = isolated(pid, None, LIGHT)
    with pytest.raises(WorkerLost, match="killed by SIGSEGV"):
        isolated(segfault, None, LIGHT)
    with pytest.raises(WorkerLost, match="exit code 7"):
        isolated(leave, 7, LIGHT)
    assert isolated(pid, None, LIGHT) not in (first, os.getpid())


def test_a_process_that_dies_between_two_calls_is_replaced() -> None:
    first = isolated(pid, None, LIGHT)
    os.kill(first, signal.SIGKILL)
    time.sleep(0.5)
    for _ in range(3):
        try:
            assert isolated(pid, None, LIGHT) != first
            return
        except WorkerLost:
            continue
    pytest.fail("no fresh process came")


def test_a_process_that_outstays_its_deadline_is_killed() -> None:
    started = time.monotonic()
    isolated(pid, None, Limits(seconds=0.5))
    with pytest.raises(DeadlinePassed):
        isolated(sleep, 60.0, Limits(seconds=0.5))
    assert time.monotonic() - started < 30


def test_a_wait_of_the_function_that_was_too_long_is_no_deadline_that_passed() -> None:
    with pytest.raises(TimeoutError, match="a lock"):
        isolated(waits_too_long, "a lock", Limits(seconds=60))


def test_memory_beyond_the_limit_is_refused_to_the_function_which_can_say_so() -> None:
    limits = Limits(memory=2**31)
    assert isolated(allocate, 2**20, limits) == 2**20
    with pytest.raises(MemoryError):
        isolated(allocate, 2**31, limits)


def test_each_process_is_told_its_threads() -> None:
    assert isolated(threads, None, Limits(threads=3)) == "3"
    assert isolated(threads, None, Limits(threads=2)) == "2", "other limits, another process"


def test_a_child_has_the_environment_of_the_moment_at_which_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    isolated(pid, None, LIGHT)
    end_children()
    monkeypatch.setenv("OF_THE_MOMENT", "now")
    before = dict(os.environ)
    assert isolated(environment, "OF_THE_MOMENT", LIGHT) == "now"
    assert isolated(environment, "PYTHONPATH", LIGHT) == before.get("PYTHONPATH"), "that of the imports is not ours"
    assert dict(os.environ) == before


@pytest.mark.skipif(not isolation.FORKS, reason="children are spawned here")
def test_the_process_that_forks_outlives_a_call_to_every_process_to_stop() -> None:
    forks = isolated(parent, None, LIGHT)
    assert forks != os.getpid()
    os.kill(forks, signal.SIGTERM)
    end_children()
    assert isolated(parent, None, LIGHT) == forks


@pytest.mark.skipif(not isolation.FORKS, reason="children are spawned here")
def test_where_the_process_that_forks_is_killed_the_workers_say_so_and_the_next_has_another() -> None:
    forks = isolated(parent, None, LIGHT)
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(isolated, sleep, 60.0, LIGHT)
        time.sleep(1.0)
        os.kill(forks, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="the process that it was forked from was killed"):
            asleep.result(timeout=30)
    end_children()
    assert isolated(parent, None, LIGHT) not in (forks, os.getpid())


def test_a_folder_for_sockets_whose_path_is_too_long_costs_the_fork_alone(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    script = """
import os
from harness.execution import isolation
if __name__ == "__main__":
    isolation._prepare = isolation.begin
    print(isolation.isolated(os.path.basename, "of/here", isolation.Limits()))
    isolation.end_children()
"""
    done = python(["-c", script], TMPDIR=str(long))
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr
