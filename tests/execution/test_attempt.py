"""What a worker does with a cell whose file is no longer what was planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.execution.attempt import Task, attempt
from harness.fingerprint import fingerprint_of
from harness.outcome import Outcome
from harness.presets import resolve
from harness.tracking.store import store_address
from tests.support import SMALL, all_runs, only_run, write_line


def planned(path: str) -> Task:
    config = resolve({"model": "mlp", "data": path, "outputs": "y", "epochs": 2, **SMALL["mlp"]})
    return Task(config.values(), fingerprint_of(config), store_address(), "0")


def test_a_cell_on_the_rows_of_a_file_is_computed(store: MlflowClient, tmp_path: Path) -> None:
    done = attempt(planned(write_line(tmp_path / "data" / "plane.csv")))
    assert (done.outcome, done.reason) == (Outcome.COMPLETED, "All 2 epochs were done.")
    assert only_run(store).data.tags["fingerprint"] == done.fingerprint


SAID = "data = 'plane.csv' has changed since this cell was planned"


def test_a_file_whose_numbers_change_between_plan_and_cell_is_refused(store: MlflowClient, tmp_path: Path) -> None:
    path = tmp_path / "data" / "plane.csv"
    task = planned(write_line(path))
    write_line(path, seed=1)
    done = attempt(task)
    assert (done.outcome, done.reason) == (Outcome.ERROR, f"{SAID}; start again.")
    assert all_runs(store) == [], "before there is a run"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: write_line(path, rows=40), "has at most 28 rows for it."),
        (lambda path: write_line(path, rows=80), "has 12 rows for it."),
        (lambda path: path.unlink(), "No such file or directory."),
    ],
    ids=["fewer rows", "more rows", "gone"],
)
def test_a_file_that_no_longer_fits_the_plan_is_refused_before_there_is_a_run(
    change: Callable[[Path], object], said: str, store: MlflowClient, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "plane.csv"
    task = planned(write_line(path))
    change(path)
    done = attempt(task)
    assert done.outcome is Outcome.ERROR
    assert done.reason.startswith(SAID)
    assert done.reason.endswith(said)
    assert all_runs(store) == []
