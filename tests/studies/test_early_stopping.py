"""A run that is far behind earlier ones on the same problem ends at a rung, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.execution.attempt import Task
from harness.fingerprint import fingerprint_of
from harness.outcome import Outcome
from harness.run import run
from studies.early_stopping import EARLIER, Earlier, EarlyStop, rung_epochs
from studies.runs import Order, measure
from tests.support import small


def test_a_run_is_looked_at_after_a_quarter_and_a_half() -> None:
    assert rung_epochs(small("siren", epochs=200)) == [50, 100]
    assert rung_epochs(small("siren", epochs=1)) == []
    assert rung_epochs(small("siren", epochs=2)) == [1]


def test_there_is_a_bound_once_there_are_runs_to_compare_with() -> None:
    earlier, config = Earlier(), small("siren", epochs=8)
    for number in range(EARLIER - 1):
        earlier.add(config.problem, {2: float(number)})
    assert set(earlier.bounds(config).values()) == {float("inf")}
    earlier.add(config.problem, {2: 7.0})
    assert earlier.bounds(config)[2] == pytest.approx(6.3)
    assert earlier.bounds(small("siren", epochs=8, problem="poisson_1d_sin"))[2] == float("inf")


def test_a_run_beyond_its_bound_ends_there_as_interrupted_with_the_reason(store: MlflowClient) -> None:
    watch = EarlyStop({2: 0.0, 4: 0.0})
    result = run(small("siren", epochs=8), watch)
    assert result.ending.outcome is Outcome.INTERRUPTED
    assert result.ending.reason.startswith("Pruned with a validation MSE of ")
    assert result.ending.reason.endswith("after epoch 2.")
    assert watch.cut
    assert list(watch.errors) == [2]
    assert store.get_run(result.run_id).info.status == "KILLED"


def test_a_run_within_its_bounds_is_measured_and_goes_on(store: MlflowClient) -> None:
    watch = EarlyStop({2: float("inf"), 4: float("inf")})
    result = run(small("siren", epochs=8), watch)
    assert result.ending.outcome is Outcome.COMPLETED
    assert sorted(watch.errors) == [2, 4]
    assert not watch.cut


def test_a_worker_measures_the_run_and_what_the_store_has_is_not_computed_again(store: MlflowClient) -> None:
    config = small("siren", epochs=8, problem="poisson_1d_sin")
    task = Task(config.model_dump(mode="json"), fingerprint_of(config), store.tracking_uri, "0")
    bounds = {2: float("inf"), 4: float("inf")}
    first, again = measure(Order(task, bounds)), measure(Order(task, bounds))
    assert (first.outcome, again.outcome) == (Outcome.COMPLETED, Outcome.COMPLETED)
    assert again.run_id == first.run_id
    assert again.reused
    assert again.rungs == first.rungs
    assert sorted(first.rungs) == [2, 4]
    assert first.metrics["val/mse"] == again.metrics["val/mse"]
    assert first.scale2 > 40, "pi^4 / 2"


def test_a_worker_measures_how_far_the_loss_is_from_breaking_the_criteria_on_it(store: MlflowClient) -> None:
    def excess(model: str, **fields: Any) -> Mapping[str, float]:
        config = small(model, problem="poisson_1d_sin", epochs=40, **fields)
        task = Task(config.model_dump(mode="json"), fingerprint_of(config), store.tracking_uri, "0")
        return measure(Order(task, {})).excess

    calm, wild = excess("siren", lr=1e-5), excess("siren", lr=0.3)
    assert set(calm) == set(wild) == {"S3"}, "only a pruned KAN has a stage before a cut"
    assert calm["S3"] <= 0 < wild["S3"]
    assert set(excess("kan_pruned")) == {"S3", "K1"}


def test_a_cut_run_counts_with_its_error_there_and_can_be_computed_later(store: MlflowClient) -> None:
    config = small("siren", epochs=8, problem="poisson_1d_sin")
    task = Task(config.model_dump(mode="json"), fingerprint_of(config), store.tracking_uri, "0")
    cut = measure(Order(task, {2: 0.0}))
    assert cut.cut
    assert cut.has_result
    assert cut.metrics["val/mse"] == cut.rungs[2]
    assert measure(Order(task, {})).outcome is Outcome.COMPLETED


def test_rungs_of_the_unpruned_twin_are_nobody_s(store: MlflowClient) -> None:
    watch = EarlyStop({6: float("inf")})
    run(small("kan_pruned"), watch)
    assert len(watch.errors) == 1
