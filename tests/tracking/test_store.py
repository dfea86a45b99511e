"""The store is opened safely or refused, and outlasted while it is away; experiments are the caller's."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import create_engine, inspect, text

from harness.errors import BadInput
from harness.run import run as train_and_record
from harness.tracking.store import PatientClient, experiment_of, look_at_store, open_store, run_page
from tests.postgres import Server
from tests.support import ROOT, all_runs, at_once, small


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///nowhere/mlflow.db",
        "sqlite:///.",
        "sqlite:///not_a_database.db",
        "http://127.0.0.1:9",
        "postgresql://nobody@127.0.0.1:9/none",
        "postgresql+psycopg://nobody@127.0.0.1:9/none",
        "postgresql+psycopg://[::bad/none",
        "postgresql+psycopg://127.0.0.1:notaport/none",
        "nonsense+driver://x/y",
        "nonsense",
        "databricks",
        "file:./runs",
        "sqlite:x.db",
        "http://[::bad",
        "http://127.0.0.1:notaport",
        "http://",
        "://",
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
    assert sorted(outside.iterdir()) == before
    with pytest.raises(BadInput):
        look_at_store(reading=True)


def test_a_locked_database_is_refused(store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr("harness.tracking.store.sqlite3.connect", lambda path, timeout: connect(path, timeout=0.1))
    with closing(connect(outside / "mlflow.db")) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BadInput, match="database is locked"):
            open_store()


def make_experiment(name: str) -> None:
    """In a store that nobody has made."""
    experiment_of(open_store(), name)


def test_several_processes_can_open_a_fresh_database_at_the_same_time(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outside}/fresh.db")
    at_once(make_experiment, ["section1_1"], 2)
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


def test_the_headline_of_an_experiment_of_ours_is_the_logarithm_of_the_error(store: MlflowClient) -> None:
    tag = "mlflow.experiment.primaryMetric.name"
    assert experiment_of(store, "fresh").tags[tag] == "final/log10_nmse"


def test_an_experiment_of_ours_says_what_it_holds_and_has_the_views_that_it_links_to(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = experiment_of(store, "fresh", "Fresh runs.")
    note = made.tags["mlflow.note.content"]
    assert "Fresh runs." in note.splitlines()[0]
    linked = re.findall(r"\(#/experiments/(\d+)/runs\?\S*viewStateShareKey=(\w+)\)", note)
    assert linked == [(made.experiment_id, "table"), (made.experiment_id, "charts")]
    for _, name in linked:
        assert "tags.`outcome`" in json.loads(made.tags[f"mlflow.sharedViewState.{name}"])["selectedColumns"]
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert "Fresh" not in experiment_of(store, "fresh", "Fresh runs.").tags["mlflow.note.content"]


def test_an_experiment_that_was_there_before_stays_as_it_is(store: MlflowClient) -> None:
    theirs = store.get_experiment(store.create_experiment("theirs", tags={"mine": "1"}))
    experiment_of(store, "theirs")
    assert dict(store.get_experiment(theirs.experiment_id)) == dict(theirs)


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


@pytest.mark.parametrize("address", ["s3://bucket/here", "nowhere://bucket/here"])
def test_artifacts_that_mlflow_can_not_write_to_from_here_are_refused_and_no_run_is_made(
    address: str, store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)  # as where it is not installed
    store.create_experiment("elsewhere", artifact_location=address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    with pytest.raises(BadInput, match=f"can't be written to '{address}': ") as refused:
        train_and_record(small("siren"))
    assert "\n" not in str(refused.value)
    assert all_runs(store) == []


def test_the_address_of_a_run_opens_the_training_view(store: MlflowClient) -> None:
    page = "/#/experiments/7/runs/abc?workflowType=machine_learning"
    ui = f"mlflow ui --backend-store-uri {store.tracking_uri}"
    assert run_page(store, "7", "abc") == (f"http://127.0.0.1:5000{page}", ui)
    server = MlflowClient("http://me:MARKER@example.org:8080/")
    assert run_page(server, "7", "abc") == (f"http://example.org:8080{page}", None)


def test_several_processes_can_open_a_database_of_a_server_for_the_first_time_while_somebody_writes(
    postgres: Server, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.migrated_database(outside / "mlruns" / "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    engine = create_engine(uri)
    with engine.connect() as writing, ThreadPoolExecutor(1) as pool:
        writing.execute(text("LOCK TABLE tags IN ROW EXCLUSIVE MODE"))  # as an insertion does
        opened = pool.submit(at_once, make_experiment, ["section1_1"], 2)
        with engine.connect() as looking:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            deadline = time.monotonic() + 60
            while looking.execute(waiting).scalar_one() < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
        writing.rollback()
        opened.result()
    assert inspect(engine).has_index("tags", "harness_fingerprint")
    engine.dispose()


def test_a_database_of_a_server_that_was_opened_before_waits_for_nobody_who_writes(
    postgres: Server, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.migrated_database(outside / "mlruns" / "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    open_store()
    engine = create_engine(uri)
    with engine.connect() as writing:
        writing.execute(text("LOCK TABLE tags IN ROW EXCLUSIVE MODE"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{uri}?options=-c%20lock_timeout%3D500")
        assert open_store().search_experiments()
    engine.dispose()


def test_runs_and_experiments_of_a_store_that_is_not_there_are_refused_and_it_is_not_made(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.setenv(name, "424242")
        with pytest.raises(BadInput, match=f"{name} = '424242' can't be used: the store"):
            open_store()
        monkeypatch.delenv(name)
    assert list(outside.iterdir()) == []


def test_an_empty_database_of_a_server_is_no_store_to_read_and_is_left_empty(
    postgres: Server, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.fresh_database()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert not look_at_store()
    with pytest.raises(BadInput, match="there is no store at"):
        open_store(reading=True)
    engine = create_engine(uri)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_database_that_is_locked_for_a_while_is_outlasted(
    store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_store()
    experiment = experiment_of(client, "section1_1").experiment_id
    refused: list[float] = []
    create_run = SqlAlchemyStore.create_run

    def locked_at_first(*arguments: Any, **named: Any) -> Any:
        if len(refused) < 2:
            refused.append(time.monotonic())
            raise MlflowException("database is locked", TEMPORARILY_UNAVAILABLE)
        return create_run(*arguments, **named)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(SqlAlchemyStore, "create_run", locked_at_first)
    run = client.create_run(experiment)
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
    assert len(refused) == 2


def test_runs_that_begin_on_one_dataset_at_the_same_time_all_get_it(any_store: MlflowClient) -> None:
    # MLflow looks for a dataset and then inserts it: between the two, somebody else may have.
    client = open_store()
    experiment = experiment_of(client, "section").experiment_id
    runs = [client.create_run(experiment) for _ in range(8)]
    sample = pd.DataFrame({"x": [0.0], "target": [1.0]})
    together = threading.Barrier(len(runs))

    def begin(run: Run, round_: int) -> None:
        dataset = from_pandas(sample, name=f"poisson-s{round_}", targets="target", digest="1")._to_mlflow_entity()
        together.wait()
        client.log_inputs(run.info.run_id, datasets=[DatasetInput(dataset)])

    with ThreadPoolExecutor(len(runs)) as pool:
        for round_ in range(5):
            list(pool.map(begin, runs, [round_] * len(runs)))
    for run in runs:
        inputs = client.get_run(run.info.run_id).inputs
        assert inputs is not None
        assert len(inputs.dataset_inputs) == 5


def test_every_call_that_writes_a_run_is_patient() -> None:
    source = "".join(path.read_text() for path in (ROOT / "harness" / "tracking").glob("*.py"))
    called = set(re.findall(r"client\.((?:log|set|create|update|delete|search|get)_\w+)\(", source))
    patient = {name for name in called if name in vars(PatientClient)}
    # Done once at the start, where a fault is the user's to see; or within write_model, all of which is done again.
    assert called - patient == {
        "get_experiment",
        "create_experiment",
        "create_logged_model",
        "log_model_artifacts",
        "log_outputs",
    }
