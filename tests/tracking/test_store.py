"""The store is opened safely or refused; experiments are the caller's; runs that were left behind are found."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.tracking.store import (
    ORPHAN_AGE_S,
    close,
    experiment_of,
    open_store,
    owner_tag,
    run_url,
    ui_command,
    unfinished,
)
from tests.support import environment


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///nowhere/mlflow.db",
        "sqlite:///.",
        "sqlite:///not_a_database.db",
        "http://127.0.0.1:9",
        "postgresql://nobody@127.0.0.1:9/none",
        "postgresql+psycopg://nobody@127.0.0.1:9/none",
        "nonsense+driver://x/y",
    ],
)
def test_a_store_that_can_not_be_used_is_refused_in_one_sentence_and_nothing_is_made(
    uri: str, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "not_a_database.db").write_text("these are not the bytes of a database" * 100)
    before = sorted(outside.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(BadInput) as refused:
        open_store()
    sentence = str(refused.value)
    assert sentence.startswith(f"MLFLOW_TRACKING_URI = '{uri}' can't be used: ")
    assert "\n" not in sentence
    assert [path for path in sorted(outside.iterdir()) if path.suffix != ".lock"] == before


def test_a_locked_database_is_refused(store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3
    from contextlib import closing

    connect = sqlite3.connect
    monkeypatch.setattr("harness.tracking.store.sqlite3.connect", lambda path, timeout: connect(path, timeout=0.1))
    with closing(connect(outside / "mlflow.db")) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BadInput, match="database is locked"):
            open_store()


def test_several_processes_can_open_a_fresh_database_at_the_same_time(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outside}/fresh.db")
    script = "from harness.tracking.store import *; c = open_store(); experiment_of(c, 'section1_1')"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0], ends
    assert [e.name for e in open_store().search_experiments()].count("section1_1") == 1


def test_the_default_store_is_a_database_in_the_working_folder(outside: Path) -> None:
    client = open_store()
    assert client.tracking_uri == "sqlite:///mlflow.db" or client.tracking_uri.endswith("/mlflow.db")
    assert (outside / "mlflow.db").is_file()


def test_the_experiment_is_the_caller_s_or_named_after_the_section(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert experiment_of(store, "section1_2").name == "section1_2"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    mine = experiment_of(store, "section1_2")
    assert mine.name == "mine"
    other = store.create_experiment("by id")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", other)
    assert experiment_of(store, "section1_2").name == "by id"


def test_the_headline_of_an_experiment_is_the_logarithm_of_the_error_unless_it_has_one(store: MlflowClient) -> None:
    tag = "mlflow.experiment.primaryMetric.name"
    experiment_of(store, "fresh")
    fresh = store.get_experiment_by_name("fresh")
    assert fresh is not None
    assert fresh.tags[tag] == "final/log10_nmse"
    store.set_experiment_tag(fresh.experiment_id, tag, "train/mse")
    assert experiment_of(store, "fresh").tags[tag] == "train/mse"


def test_an_experiment_that_can_not_be_used_is_bad_input(
    store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = store.create_experiment("gone")
    store.delete_experiment(gone)
    with pytest.raises(BadInput, match="'gone' is deleted"):
        experiment_of(store, "gone")
    blocked = outside / "a_file"
    blocked.write_text("")
    store.create_experiment("blocked", artifact_location=str(blocked / "artifacts"))
    with pytest.raises(BadInput, match="can't be written"):
        experiment_of(store, "blocked")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "424242")
    with pytest.raises(BadInput, match="MLFLOW_EXPERIMENT_ID = '424242' can't be used"):
        experiment_of(store, "section1_1")


def test_the_address_of_a_run_opens_the_training_view(store: MlflowClient) -> None:
    run = store.create_run(experiment_of(store, "section1_1").experiment_id)
    page = f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=machine_learning"
    assert run_url(store, run) == f"http://127.0.0.1:5000{page}"
    assert ui_command(store) == f"mlflow ui --backend-store-uri {store.tracking_uri}"
    server = MlflowClient("http://example.org:8080/")
    assert run_url(server, run) == f"http://example.org:8080{page}"
    assert ui_command(server) is None


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
    close(store, left)
    run = store.get_run(run_id)
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
    assert "is gone" in run.data.tags["outcome.reason"]
    assert list(unfinished(store)) == []


def test_the_owner_tag_names_this_process() -> None:
    host, pid, started = owner_tag()["owner"].rsplit("/", 2)
    assert host == socket.gethostname()
    assert pid == str(os.getpid())
    assert float(started) == pytest.approx(psutil.Process().create_time(), abs=0.01)
