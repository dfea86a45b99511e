"""``mlflow run`` itself: the door that the contract opens to those who know MLflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient

from harness.presets import resolve
from tests.contract import shortfalls
from tests.support import FEW_POINTS, ROOT, environment, only_run


def mlflow_run(fields: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    parameters = [word for name, value in fields.items() for word in ("-P", f"{name}={value}")]
    binaries = str(Path(sys.executable).parent)
    return subprocess.run(
        [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager", "local", *parameters],
        env=environment(PATH=f"{binaries}{os.pathsep}{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_declared_and_other_fields_reach_the_one_run_that_mlflow_made(store: MlflowClient, tmp_path: Path) -> None:
    fields = {
        "model": "kan_pruned",
        "problem": "poisson_1d_sin",
        "epochs": 5,
        "lamb": "1e-3",
        "width": 2,
        "grids": "3,5",
    }
    done = mlflow_run(fields | FEW_POINTS)
    assert done.returncode == 0, done.stderr
    run = only_run(store)
    assert run.info.status == "FINISHED"
    config = resolve(fields | FEW_POINTS)
    assert shortfalls(store, run.info.run_id, config, tmp_path / "out") == []
    assert run.data.params["lamb"] == "1e-3"  # MLflow's own record of -P
    assert run.data.params["cfg/lamb"] == "0.001"
    assert run.data.tags["mlflow.project.entryPoint"] == "main"


def test_bad_input_fails_the_run_with_the_sentence_and_no_traceback_of_ours(store: MlflowClient) -> None:
    done = mlflow_run({"model": "kan", "grids": "5,3"})
    assert done.returncode == 1
    assert "grids = '5,3' is not increasing" in done.stderr
    assert 'harness/cli.py", line' not in done.stderr
    assert only_run(store).info.status == "FAILED"
    assert mlflow.active_run() is None
