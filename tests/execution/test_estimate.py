"""A plan says how long it will take, as far as the store knows runs of its kind."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.execution.benchmark import plan
from harness.execution.benchmark_config import BenchmarkConfig, configure
from harness.execution.estimate import Estimate, Row, estimate


def finished(store: MlflowClient, model: str, epochs: int, seconds: float, train_s: float = 0.0) -> None:
    """A run of a preset that took so long, of which that was training, of a cell that no plan has."""
    tags = {"fingerprint": f"{model}-{epochs}-{seconds}", "outcome": "completed"}
    run = store.create_run("0", start_time=1_000_000, tags=tags)
    for name, value in {"model": model, "preset": "tuned", "epochs": epochs}.items():
        store.log_param(run.info.run_id, f"cfg/{name}", value)
    store.log_metric(run.info.run_id, "time/train_s", train_s)
    store.set_terminated(run.info.run_id, end_time=int(1_000_000 + 1000 * seconds))


@pytest.fixture
def config(outside: Path) -> BenchmarkConfig:
    (outside / "two.yaml").write_text("summary: x\nproblems: [poisson_1d_sin]\nvariants: [{models: [siren, mlp]}]\n")
    return configure({"suite": "two.yaml", "seeds": "4", "workers": "1"})


def test_runs_of_as_many_epochs_say_it_directly(store: MlflowClient, config: BenchmarkConfig) -> None:
    for seconds in (2.0, 3.0, 40.0):
        finished(store, "siren", 200, seconds)
    finished(store, "siren", 5, 1.0)
    rows = {row.model: row for row in estimate(plan(config), config).rows}
    assert rows["siren"].seconds == pytest.approx(3.0)
    assert rows["mlp"].seconds is None
    assert estimate(plan(config), config).sentence() == (
        "8 cells to compute with 1 worker, about 12 s, without the 4 cells of which the store has no run yet."
    )


def test_runs_of_other_lengths_say_it_in_proportion_to_what_is_training(
    store: MlflowClient, config: BenchmarkConfig
) -> None:
    finished(store, "siren", 5, seconds=3.0, train_s=0.1)
    rows = {row.model: row for row in estimate(plan(config), config).rows}
    assert rows["siren"].seconds == pytest.approx(2.9 + 0.1 * 200 / 5)


@pytest.mark.parametrize("train_s", [math.nan, -1.0, 4.0])
def test_a_training_that_can_not_have_been_counts_as_none(
    store: MlflowClient, config: BenchmarkConfig, train_s: float
) -> None:
    finished(store, "siren", 5, seconds=3.0, train_s=train_s)
    rows = {row.model: row for row in estimate(plan(config), config).rows}
    assert rows["siren"].seconds == pytest.approx(3.0)


def test_no_plan_is_done_before_its_longest_cell() -> None:
    said = Estimate((Row("kan", "tuned", 1, 0, 80.0), Row("mlp", "tuned", 4, 4, 500.0)), workers=8).sentence()
    assert said == "1 cell to compute with 8 workers, about 80 s."
