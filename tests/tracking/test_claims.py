"""A RUNNING run is its process's claim: nobody else gets one, and it is given up when the process is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest
from mlflow import MlflowClient

from harness.tracking.claims import (
    ORPHAN_AGE_S,
    SILENCE_S,
    Busy,
    Claimed,
    Done,
    Heartbeat,
    claim,
    close,
    close_left_behind,
    owner_tag,
    unfinished,
)
from harness.tracking.store import experiment_of
from tests.support import all_runs, environment, only_run


def exited_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait(timeout=60)
    return process.pid


def test_runs_of_dead_processes_and_old_orphans_count_as_left_behind_and_no_others(store: MlflowClient) -> None:
    experiment = experiment_of(store, "section1_1").experiment_id
    host, pid, started = owner_tag()["owner"].rsplit("/", 2)
    now = int(time.time() * 1000)

    def owner(*parts: str) -> dict[str, str]:
        return {"owner": "/".join(parts)}

    cases: dict[str, tuple[dict[str, str], int, bool]] = {
        "at work": (owner(host, pid, started), now, False),
        "of a dead process": (owner(host, str(exited_pid()), started), now, True),
        "of a process whose number was given away": (owner(host, pid, "1.00"), now, True),
        "of another machine": (owner("elsewhere", "1", started), now, False),
        "of another machine, silent": (owner("elsewhere", "1", started), now - int(1000 * (SILENCE_S + 60)), True),
        "of another machine, heard": (
            owner("elsewhere", "1", started) | {"heartbeat": f"{time.time():.0f}"},
            now - int(1000 * (SILENCE_S + 60)),
            False,
        ),
        "not claimed yet": ({}, now, False),
        "never claimed": ({}, now - int(1000 * (ORPHAN_AGE_S + 60)), True),
        "with somebody's own tag of that name": ({"owner": "alice"}, now, False),
    }
    for name, (tags, start, _) in cases.items():
        store.create_run(experiment, start_time=start, tags=tags, run_name=name)
    done = store.create_run(experiment, run_name="done", tags=owner(host, str(exited_pid()), started))
    store.set_terminated(done.info.run_id)
    found = {each.run.info.run_name: each.left_behind for each in unfinished(store)}
    assert found == {name: left_behind for name, (_, _, left_behind) in cases.items()}


def test_closing_ends_a_run_as_interrupted(store: MlflowClient) -> None:
    tags = {"owner": f"{socket.gethostname()}/{exited_pid()}/1.00"}
    run_id = store.create_run(experiment_of(store, "section1_1").experiment_id, tags=tags).info.run_id
    (left,) = unfinished(store)
    close(store, left.run, f"Left behind: {left.state}.")
    run = store.get_run(run_id)
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
    assert "is gone" in run.data.tags["outcome.reason"]
    assert list(unfinished(store)) == []


def test_the_owner_tag_names_this_process() -> None:
    host, pid, started = owner_tag()["owner"].rsplit("/", 2)
    assert host == socket.gethostname()
    assert pid == str(os.getpid())
    assert float(started) == pytest.approx(psutil.Process().create_time(), abs=0.01)


def at_work(store: MlflowClient, fingerprint: str) -> str:
    """A run of a process that is alive, which is not this one."""
    other = psutil.Process().parent()
    assert other is not None
    tags = {"fingerprint": fingerprint, "owner": f"{socket.gethostname()}/{other.pid}/{other.create_time():.2f}"}
    return str(store.create_run("0", tags=tags).info.run_id)


def test_a_fingerprint_without_a_run_can_be_claimed_and_the_claim_is_a_run(store: MlflowClient) -> None:
    claimed = claim(store, "f1", "0", "siren-x-s0", {"suite": "smoke"})
    assert isinstance(claimed, Claimed)
    run = only_run(store)
    assert (run.info.run_id, run.info.status, run.info.run_name) == (claimed.run_id, "RUNNING", "siren-x-s0")
    assert run.data.tags["fingerprint"] == "f1"
    assert run.data.tags["suite"] == "smoke"


def test_a_fingerprint_that_another_process_is_at_work_on_is_busy(store: MlflowClient) -> None:
    theirs = at_work(store, "f1")
    assert claim(store, "f1", "0", "x", {}) == Busy(theirs)
    assert isinstance(claim(store, "f2", "0", "x", {}), Claimed)


@pytest.mark.parametrize(
    ("outcome", "is_result"),
    [("completed", True), ("diverged", True), ("error", False), ("timeout", False), ("interrupted", False)],
)
def test_only_completed_and_diverged_are_results(store: MlflowClient, outcome: str, is_result: bool) -> None:
    run = store.create_run("0", tags={"fingerprint": "f1", "outcome": outcome})
    store.set_terminated(run.info.run_id)
    found = claim(store, "f1", "0", "x", {})
    assert isinstance(found, Done if is_result else Claimed)
    assert isinstance(claim(store, "f1", "0", "x", {}, since=time.time() + 1), Claimed), "it is too old"


def test_what_a_dead_process_left_is_closed_and_its_fingerprint_can_be_claimed(store: MlflowClient) -> None:
    tags = {"fingerprint": "f1", "owner": f"{socket.gethostname()}/{exited_pid()}/1.00"}
    left = store.create_run("0", tags=tags).info.run_id
    assert isinstance(claim(store, "f1", "0", "x", {}), Claimed)
    assert store.get_run(left).info.status == "KILLED"


def test_a_run_of_its_own_that_a_repeated_call_left_is_closed(store: MlflowClient) -> None:
    left = store.create_run("0", tags={"fingerprint": "f1"} | owner_tag()).info.run_id
    assert isinstance(claim(store, "f1", "0", "x", {}), Claimed)
    assert store.get_run(left).info.status == "KILLED"


CLAIMING = """
import sys, time
from harness.tracking.claims import claim
from harness.tracking.store import open_store
client = open_store()
print("ready", flush=True)
sys.stdin.readline()
print([type(claim(client, f"f{n}", "0", "x", {})).__name__ for n in range(12)], flush=True)
sys.stdin.readline()
"""


def test_of_several_processes_that_claim_at_the_same_moment_at_most_one_gets_it(store: MlflowClient) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMING],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("[")
        held = Counter(run.data.tags["fingerprint"] for run in all_runs(store) if run.info.status == "RUNNING")
        assert set(held.values()) == {1}, held
        assert set(held) <= {f"f{n}" for n in range(12)}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_closing_what_was_left_behind_leaves_the_others_alone(store: MlflowClient) -> None:
    alive = at_work(store, "f1")
    gone = store.create_run("0", tags={"owner": f"{socket.gethostname()}/{exited_pid()}/1.00"}).info.run_id
    assert close_left_behind(store) == 1
    assert [store.get_run(each).info.status for each in (alive, gone)] == ["RUNNING", "KILLED"]


def test_a_heartbeat_is_heard_while_it_lasts(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.tracking.claims.HEARTBEAT_S", 0.05)
    run_id = store.create_run("0").info.run_id
    heartbeat = Heartbeat(store, run_id)
    deadline = time.monotonic() + 10
    while "heartbeat" not in store.get_run(run_id).data.tags and time.monotonic() < deadline:
        time.sleep(0.05)
    heartbeat.stop()
    assert abs(float(store.get_run(run_id).data.tags["heartbeat"]) - time.time()) < 60
