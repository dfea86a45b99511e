"""The doctor says what is there, whether the store can be used, and closes what nobody will finish."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness import __version__
from harness.doctor import Check, examine
from harness.tracking.claims import owner_tag
from tests.support import only_run
from tests.test_cli import Captured, call


@pytest.fixture
def left_behind(store: MlflowClient) -> str:
    """The id of a RUNNING run whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait(timeout=60)
    experiment = store.create_experiment("e")
    tags = {"owner": f"{socket.gethostname()}/{process.pid}/1.00"}
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
    store.create_run(experiment, tags=owner_tag())
    assert call("doctor", "--fix") == 0
    assert "left alone" in capsys.readouterr().out
    assert only_run(store).info.status == "RUNNING"


def test_a_store_that_can_not_be_used_is_a_finding(
    outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///nowhere/mlflow.db")
    assert call("doctor") == 1
    out = capsys.readouterr().out
    assert "FAIL  store: MLFLOW_TRACKING_URI" in out
    assert list(outside.iterdir()) == []
