"""A RUNNING run is its process's claim: nobody else gets one, and it is given up when the process is gone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.tracking import claims
from harness.tracking.claims import Busy, Claimed, Done, adopt, claim, close, close_left_behind, unfinished
from harness.tracking.liveness import owner_tag, this_process
from tests.support import all_runs, environment, gone, only_run
from tests.tracking.test_liveness import start_of

LONG_AGO = 1_000_000_000_000
"""A start time, in milliseconds: 2001."""


def foreign(store: MlflowClient) -> dict[str, dict[str, Any]]:
    """Runs of other people, of every status and old enough to be anything, with all that they hold."""
    named = {
        "plain": {},
        "with somebody's own owner": {"owner": "alice", "fingerprint": "f1"},
        "with an owner of an earlier form": {"owner": "host/12/1.00", "fingerprint": "f1"},
        "with our owner and no mark of ours": {"owner": str(gone())},
        "with our mark and no owner": {"fingerprint": "f1", "benchmark": "b", "heartbeat": "1"},
    }
    for name, tags in named.items():
        for status in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"):
            run = store.create_run("0", run_name=f"{name}, {status}", tags=tags, start_time=LONG_AGO)
            store.update_run(run.info.run_id, status=status)
    return held(store)


def held(store: MlflowClient) -> dict[str, dict[str, Any]]:
    """Everything that the store has of each run, by its name."""
    return {run.info.run_name: run.to_dictionary() for run in all_runs(store)}


def test_other_peoples_runs_are_neither_seen_nor_touched(any_store: MlflowClient) -> None:
    before = foreign(any_store)
    ours = any_store.create_run("0", run_name="ours", tags={"owner": str(gone()), "fingerprint": "f1"})
    assert [each.run.info.run_id for each in unfinished(any_store)] == [ours.info.run_id]
    assert close_left_behind(any_store) == 1
    assert isinstance(claim(any_store, "f1", "0", "claimed", {}), Claimed)
    after = held(any_store)
    assert {name: after[name] for name in before} == before
    assert after["ours"]["info"]["status"] == "KILLED"


@pytest.mark.parametrize("page", [1, 2])
def test_runs_are_found_however_many_experiments_and_runs_there_are(
    page: int, any_store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PAGE", page)
    experiments = [any_store.create_experiment(f"e{number}") for number in range(3)]
    tags = {"owner": owner_tag()["owner"], "fingerprint": "f1"}
    made = [any_store.create_run(each, tags=tags).info.run_id for each in experiments for _ in range(3)]
    assert sorted(each.run.info.run_id for each in unfinished(any_store)) == sorted(made)


def test_a_run_in_the_oldest_of_more_experiments_than_mlflow_gives_at_once_is_found(store: MlflowClient) -> None:
    ours = store.create_run("0", tags={"owner": owner_tag()["owner"], "fingerprint": "f1"})
    with closing(sqlite3.connect(store.tracking_uri.removeprefix("sqlite:///"))) as database:
        rows = [(number, f"e{number}", "active", number) for number in range(1, 1002)]
        columns = "experiment_id, name, lifecycle_stage, creation_time"
        database.executemany(f"INSERT INTO experiments ({columns}) VALUES (?, ?, ?, ?)", rows)
        database.execute("UPDATE experiments SET creation_time = 0 WHERE experiment_id = 0")
        database.commit()
    assert [each.run.info.run_id for each in unfinished(store)] == [ours.info.run_id]


def test_a_run_whose_process_is_gone_ends_as_interrupted(store: MlflowClient) -> None:
    run_id = store.create_run("0", tags={"owner": str(gone()), "study": "s"}).info.run_id
    assert close_left_behind(store) == 1
    run = store.get_run(run_id)
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
    assert "is gone" in run.data.tags["outcome.reason"]
    assert list(unfinished(store)) == []


def test_a_run_that_ended_between_the_look_and_the_write_keeps_its_end(store: MlflowClient) -> None:
    store.create_run("0", tags={"owner": str(gone()), "fingerprint": "f1"})
    (seen,) = unfinished(store)
    run_id = seen.run.info.run_id
    store.set_tag(run_id, "outcome", "completed")
    store.set_terminated(run_id)
    ended = store.get_run(run_id).to_dictionary()
    assert close(store, run_id, "Too late.") is False
    assert store.get_run(run_id).to_dictionary() == ended


def test_a_run_that_lacked_no_more_than_its_status_gets_that_of_its_outcome(store: MlflowClient) -> None:
    tags = {"owner": str(gone()), "fingerprint": "f1", "outcome": "completed", "outcome.reason": "All was done."}
    run_id = store.create_run("0", tags=tags).info.run_id
    assert close_left_behind(store) == 1
    run = store.get_run(run_id)
    assert (run.info.status, run.data.tags["outcome.reason"]) == ("FINISHED", "All was done.")
    assert isinstance(claim(store, "f1", "0", "x", {}), Done)


@pytest.mark.parametrize(
    ("status", "tags", "params", "why"),
    [
        ("FINISHED", {}, {}, "it is FINISHED"),
        ("FAILED", {}, {}, "it is FAILED"),
        ("KILLED", {}, {}, "it is KILLED"),
        ("RUNNING", {"outcome": "completed"}, {}, "it has an outcome"),
        ("RUNNING", {}, {"cfg/model": "siren"}, "it holds another run's configuration"),
    ],
)
def test_a_run_that_holds_something_is_refused_and_stays_as_it_is(
    store: MlflowClient, status: str, tags: dict[str, str], params: dict[str, str], why: str
) -> None:
    run_id = store.create_run("0", tags=tags).info.run_id
    for name, value in params.items():
        store.log_param(run_id, name, value)
    store.update_run(run_id, status=status)
    before = store.get_run(run_id).to_dictionary()
    with pytest.raises(BadInput, match=f"MLFLOW_RUN_ID = '{run_id}' can't be used: {why}"):
        adopt(store, run_id)
    assert store.get_run(run_id).to_dictionary() == before


def test_a_run_that_is_deleted_or_not_there_is_refused(store: MlflowClient) -> None:
    run_id = store.create_run("0").info.run_id
    assert adopt(store, run_id).info.run_id == run_id
    store.delete_run(run_id)
    with pytest.raises(BadInput, match="it is deleted"):
        adopt(store, run_id)
    with pytest.raises(BadInput, match="MLFLOW_RUN_ID = 'nobody'"):
        adopt(store, "nobody")


def at_work(store: MlflowClient, fingerprint: str) -> str:
    """A run of a process that is alive, which is not this one."""
    other = psutil.Process().parent()
    assert other is not None
    owner = replace(this_process(), pid=other.pid, start=start_of(other.pid))
    tags = {"fingerprint": fingerprint, "owner": str(owner)}
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


def test_of_two_that_claim_at_once_the_one_with_the_smaller_id_waits_for_the_other_to_withdraw(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rivals: list[str] = []
    create_run = store.create_run

    def create_run_and_rival(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(store, "create_run", create_run)
        ours = create_run(*arguments, **named)
        while not rivals or rivals[-1] < ours.info.run_id:
            if rivals:
                store.delete_run(rivals.pop())
            rivals.append(at_work(store, "f1"))
        return ours

    monkeypatch.setattr(store, "create_run", create_run_and_rival)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: store.delete_run(rivals[-1]))
    monkeypatch.setattr(claims, "time", clock)
    assert isinstance(claim(store, "f1", "0", "x", {}), Claimed)


def test_runs_that_have_no_result_hide_no_process_that_is_at_work(store: MlflowClient) -> None:
    """Whatever the order in which the store gives them."""
    rival = at_work(store, "f1")
    for _ in range(8):
        run_id = store.create_run("0", tags={"owner": str(gone()), "fingerprint": "f1"}).info.run_id
        close(store, run_id, "It failed.")
    assert claim(store, "f1", "0", "x", {}) == Busy(rival)


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
    tags = {"fingerprint": "f1", "owner": str(gone())}
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
    left = store.create_run("0", tags={"fingerprint": "f2", "owner": str(gone())}).info.run_id
    assert close_left_behind(store) == 1
    assert [store.get_run(each).info.status for each in (alive, left)] == ["RUNNING", "KILLED"]
