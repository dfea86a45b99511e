"""A benchmark or study has one parent run, whoever comes first, and none that belongs to anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.tracking.parent import end_parent, open_parent
from harness.tracking.store import experiment_of, open_store
from tests.support import all_runs, at_once, gone, only_run, served
from tests.tracking.test_claims import foreign, held

IDENTITY = {"benchmark": "quick-1", "suite": "quick"}


def test_a_parent_that_has_ended_is_opened_again_and_says_nothing_of_its_end(any_store: MlflowClient) -> None:
    first = open_parent(any_store, "quick", "quick-1", IDENTITY)
    any_store.create_run(first.info.experiment_id, tags=IDENTITY | {"mlflow.parentRunId": first.info.run_id})
    end_parent(any_store, first.info.run_id, "completed", "All was done.", "FINISHED")
    again = open_parent(any_store, "quick", "quick-1", IDENTITY)
    assert again.info.run_id == first.info.run_id
    run = any_store.get_run(first.info.run_id)
    assert run.info.status == "RUNNING"
    assert "outcome" not in run.data.tags


def test_runs_of_others_with_the_same_tags_are_not_taken_for_it(store: MlflowClient) -> None:
    before = foreign(store)
    theirs = store.create_run("0", run_name="theirs", tags=IDENTITY | {"parent": "true", "owner": "alice"})
    opened = open_parent(store, "quick", "quick-1", IDENTITY)
    assert opened.info.run_id != theirs.info.run_id
    assert {name: run for name, run in held(store).items() if name in before} == before
    assert store.get_run(theirs.info.run_id).info.status == "RUNNING"


def test_a_parent_whose_driver_is_gone_is_joined(store: MlflowClient) -> None:
    opened = open_parent(store, "quick", "quick-1", IDENTITY)
    store.set_tag(opened.info.run_id, "owner", str(gone()))
    assert open_parent(store, "quick", "quick-1", IDENTITY).info.run_id == opened.info.run_id
    assert store.get_run(opened.info.run_id).info.status == "RUNNING"


def test_a_run_that_holds_a_result_is_refused_and_nothing_is_written(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.create_run("0", run_name="theirs", tags={"outcome": "completed"}).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    before = held(store)
    with pytest.raises(BadInput, match="it has an outcome"):
        open_parent(store, "quick", "quick-1", IDENTITY)
    assert held(store) == before
    assert store.get_experiment_by_name("quick") is None


@pytest.fixture
def server(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tracking server, which has no lock to offer."""
    store = ["--backend-store-uri", f"sqlite:///{outside}/server.db", "--artifacts-destination", str(outside / "kept")]
    with served(["server", "--workers", "2", *store], outside) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield address


def opening(number: int) -> str:
    """A driver that begins; the id of its parent."""
    name = f"quick-{number}"
    return str(open_parent(open_store(), "quick", name, {"benchmark": name}).info.run_id)


def test_of_drivers_that_start_at_the_same_moment_on_a_server_one_makes_the_parent_and_the_others_join(
    server: str,
) -> None:
    experiment_of(open_store(), "quick")
    assert [len(set(ids)) for ids in at_once(opening, range(4), 3)] == [1] * 4
    assert len(all_runs(MlflowClient(server))) == 4


def test_a_benchmark_under_mlflow_run_records_into_the_run_that_mlflow_made(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.create_run(store.create_experiment("theirs"), tags={"mlflow.user": "me"}).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert open_parent(store, "quick", "quick-1", IDENTITY).info.run_id == run_id
    assert only_run(store).info.run_name == "quick-1"
    assert store.get_experiment_by_name("quick") is None, "it is the caller's"
