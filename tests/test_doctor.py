"""The doctor says what is there, whether the store can be used, and closes what nobody will finish."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness import __version__
from harness.doctor import Check, examine
from harness.tracking.liveness import Heartbeat, owner_tag, this_process
from tests.support import all_runs, gone, only_run
from tests.test_cli import Captured, call


@pytest.fixture
def left_behind(store: MlflowClient) -> str:
    """The id of a RUNNING run whose process has ended."""
    experiment = store.create_experiment("e")
    tags = {"owner": str(gone()), "fingerprint": "f"}
    return str(store.create_run(experiment, run_name="siren-x-s0", tags=tags).info.run_id)


def by_name(fix: bool) -> dict[str, Check]:
    return {check.what: check for check in examine(fix=fix)}


def test_a_healthy_place_is_healthy(store: MlflowClient, capsys: Captured) -> None:
    assert call("doctor") == 0
    out = capsys.readouterr().out
    assert __version__ in out
    assert "FAIL" not in out
    checks = by_name(fix=False)
    assert {"harness", "torch", "mlflow", "numpy", "devices", "store", "runs"} <= set(checks)
    assert "cpu" in checks["devices"].finding


def test_a_run_of_a_dead_process_is_reported_and_left_alone_without_fix(
    left_behind: str, store: MlflowClient, capsys: Captured
) -> None:
    assert call("doctor") == 1
    out = capsys.readouterr().out
    assert f"FAIL  run {left_behind}" in out
    assert "close it with doctor --fix" in out
    assert only_run(store).info.status == "RUNNING"


def test_fix_closes_it_as_interrupted(left_behind: str, store: MlflowClient, capsys: Captured) -> None:
    assert call("doctor", "--fix") == 0
    assert "closed as interrupted" in capsys.readouterr().out
    run = store.get_run(left_behind)
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
    assert call("doctor") == 0


def test_a_run_at_work_is_left_alone_by_fix(store: MlflowClient, capsys: Captured) -> None:
    experiment = store.create_experiment("e")
    store.create_run(experiment, tags={"fingerprint": "f"} | owner_tag())
    assert call("doctor", "--fix") == 0
    assert "left alone" in capsys.readouterr().out
    assert only_run(store).info.status == "RUNNING"


def test_a_run_elsewhere_is_closed_by_fix_only_when_its_heartbeat_was_watched_and_did_not_change(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("harness.tracking.liveness.SILENCE_S", 1.0)
    monkeypatch.setattr("harness.tracking.liveness.HEARTBEAT_S", 0.1)
    monkeypatch.setattr("harness.doctor.LOOK_S", 0.05)
    elsewhere = replace(this_process(), boot="another")
    marked = {"fingerprint": "f", "owner": str(elsewhere)}
    silent = store.create_run("0", tags=marked | {"heartbeat": f"{time.time():.0f}"}, run_name="silent")
    beating = store.create_run("0", tags=marked | {"heartbeat": "12"}, run_name="beating, its clock years behind")
    assert call("doctor") == 0
    assert capsys.readouterr().out.count("doctor --fix watches whether it is at work") == 2
    assert {run.info.status for run in all_runs(store)} == {"RUNNING"}
    with Heartbeat(store, beating.info.run_id):
        assert call("doctor", "--fix") == 0
    statuses = [store.get_run(run.info.run_id).info.status for run in (silent, beating)]
    assert statuses == ["KILLED", "RUNNING"]


def test_a_store_that_can_not_be_used_is_a_finding(
    outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///nowhere/mlflow.db")
    assert call("doctor") == 1
    out = capsys.readouterr().out
    assert "FAIL  store: MLFLOW_TRACKING_URI" in out
    assert list(outside.iterdir()) == []
