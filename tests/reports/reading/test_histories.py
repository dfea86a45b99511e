"""Histories hold what a run did, and what many runs have alike only once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reports.reading.histories import read_history


def write(path: Path, stage: list[str | None], **curves: list[float]) -> Path:
    columns = {"epoch": list(range(1, len(stage) + 1)), "stage": stage, **curves}
    pq.write_table(pa.table({name.replace("_", "/"): values for name, values in columns.items()}), path)
    return path


def test_epochs_that_were_not_reached_are_left_out(tmp_path: Path) -> None:
    nan = float("nan")
    stage = ["adam", "adam", None]
    found = read_history(write(tmp_path / "h.parquet", stage, train_mse=[2.0, 1.0, nan], lr=[0.1, 0.2, nan]))
    assert (found.epoch.tolist(), list(found.stage), found.planned) == ([1, 2], ["adam", "adam"], 3)
    assert found["train/mse"].tolist() == [2.0, 1.0]
    assert np.isnan(found["evals"]).tolist() == [True, True]


@pytest.mark.parametrize(("name", "shared"), [("lr", True), ("train/mse", False)])
def test_rates_and_stages_that_two_runs_have_alike_are_kept_once(tmp_path: Path, name: str, shared: bool) -> None:
    stage: list[str | None] = ["adam", "adam"]
    first, second = (
        read_history(write(tmp_path / f"{each}.parquet", stage, train_mse=[2.0, 1.0], lr=[0.1, 0.01])) for each in "ab"
    )
    assert first.stage is second.stage
    assert first.epoch is second.epoch
    assert (first[name] is second[name]) is shared
