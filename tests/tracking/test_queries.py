"""The database, asked directly, says what MLflow's own interface says."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.tracking import queries


@pytest.fixture
def made(any_store: MlflowClient) -> dict[str, str]:
    """Runs by name: two that ended, one at work, one of no fingerprint, and one that was deleted."""
    found = {}
    experiment = any_store.create_experiment("x")
    for name, outcome in (("a", "completed"), ("b", "diverged"), ("c", ""), ("d", "completed"), ("gone", "completed")):
        tags = {"outcome": outcome} | ({} if name == "d" else {"fingerprint": "f" if name in "ac" else name})
        run_id = any_store.create_run(experiment, run_name=name, tags=tags).info.run_id
        any_store.log_param(run_id, "cfg/model", f"model of {name}")
        any_store.log_param(run_id, "cfg/device", "cpu")
        for value in (1.0, math.nan if name == "b" else 0.5):
            any_store.log_metric(run_id, "final/dense_mse", value)
        if outcome:
            any_store.set_terminated(run_id)
        found[name] = run_id
    any_store.delete_run(found["gone"])
    return found


def test_results_are_the_runs_that_are_over_with_one_of_the_outcomes(
    any_store: MlflowClient, made: dict[str, str]
) -> None:
    with queries.connected(any_store.tracking_uri) as connection:
        rows = queries.results(connection, ("completed", "diverged"), ("cfg/model", "cfg/none"), ("final/dense_mse",))
    found = {run_id: (fingerprint, outcome, rest) for fingerprint, run_id, outcome, _, _, *rest in rows}
    assert set(found) == {made["a"], made["b"]}
    assert found[made["a"]] == ("f", "completed", ["model of a", None, 0.5])


def test_the_runs_of_a_fingerprint_are_found_with_the_index_and_without(
    any_store: MlflowClient, made: dict[str, str]
) -> None:
    with queries.connected(any_store.tracking_uri) as connection:
        for _ in range(3):
            assert sorted(queries.run_ids(connection, "f")) == sorted([made["a"], made["c"]])
            queries.index_fingerprints(connection)
        assert queries.run_ids(connection, "gone") == []


def test_runs_with_tags_params_and_metrics_are_those_of_mlflow(
    any_store: MlflowClient, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "AT_ONCE", 2)  # so that one statement does not do
    with queries.connected(any_store.tracking_uri) as connection:
        runs = {row[0]: row for row in queries.runs(connection)}
        ids = list(runs)
        tags = list(queries.tags(connection, ["outcome"]))
        params = list(queries.params(connection, ids, ["cfg/device"]))
        metrics = list(queries.final_metrics(connection, ids, ["final/dense_mse"]))
    assert set(runs) == {run_id for name, run_id in made.items() if name != "gone"}
    said: dict[str, dict[str, Any]] = defaultdict(dict)
    for run_id, key, value in (*tags, *params):
        said[run_id][key] = value
    for run_id, key, value, is_nan in metrics:
        said[run_id][key] = math.nan if is_nan else value
    for run_id in ids:
        run = any_store.get_run(run_id)
        assert tuple(runs[run_id])[1:5] == (int(run.info.experiment_id), "x", run.info.run_name, run.info.status)
        assert said[run_id].pop("outcome") == run.data.tags["outcome"]
        value = said[run_id].pop("final/dense_mse")
        assert value == pytest.approx(run.data.metrics["final/dense_mse"], nan_ok=True)
        assert said[run_id] == {"cfg/model": run.data.params["cfg/model"]}


def test_a_connection_leaves_nothing_open(store: MlflowClient, outside: Path) -> None:
    def opened() -> int:
        links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]
        return sum(str(outside / "mlflow.db") in link for link in links)

    before = opened()
    with queries.connected(store.tracking_uri) as connection:
        assert queries.has_experiments(connection)
        assert opened() > before
    assert opened() == before
