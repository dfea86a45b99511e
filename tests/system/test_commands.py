"""The real commands, each in a process of its own, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.run import run
from tests.contract import shortfalls
from tests.support import as_options, harness, only_run, small


def test_a_run_without_any_setting_makes_its_store_here_and_has_the_numbers_of_any_other_process(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small("kan", problem="poisson_1d_sin", epochs=4, seed=3, grids=(3, 5))
    done = harness("run", *as_options(config.values()))
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" in done.stdout
    assert "completed" in done.stdout
    assert "Traceback" not in done.stderr
    assert {path.name for path in outside.iterdir()} - {"mlflow.db-shm", "mlflow.db-wal"} == {
        "mlflow.db",
        "mlflow.db.lock",
        "mlruns",
    }
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outside}/mlflow.db")
    store = MlflowClient(f"sqlite:///{outside}/mlflow.db")
    there = only_run(store).info.run_id
    assert shortfalls(store, there, config, outside / "out") == []

    here = run(config).run_id
    for name in ("train/mse", "test/mse", "val/mse", "grad/norm"):
        curves = [[(m.step, m.value) for m in store.get_metric_history(each, name)] for each in (there, here)]
        assert sorted(curves[0]) == sorted(curves[1]), "not the same bit for bit"


@pytest.mark.parametrize(
    "arguments",
    [["--lr", "abc"], ["--model", "mlp", "--omega0", "30"], ["--model", "kan", "--grids", "5,3"]],
    ids=" ".join,
)
def test_bad_input_is_one_line_without_a_traceback_and_leaves_nothing(arguments: list[str], outside: Path) -> None:
    done = harness("run", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("harness: ")
    assert done.stderr.count("\n") == 1
    assert list(outside.iterdir()) == []


def test_a_store_that_can_not_be_reached_is_one_line_without_a_traceback_and_leaves_nothing(outside: Path) -> None:
    done = harness("run", "--epochs", "1", MLFLOW_TRACKING_URI="sqlite:///nowhere/mlflow.db")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "MLFLOW_TRACKING_URI = 'sqlite:///nowhere/mlflow.db' can't be used" in done.stderr
    assert list(outside.iterdir()) == []
