"""What a store says of its runs, in few queries and only what a report reads. The one place here that knows MLflow."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType

from harness.tracking import queries
from harness.tracking.claims import search
from harness.tracking.fetching import download
from harness.tracking.store import is_server
from reports.reading.run import METRICS, NOT_A_RESULT, TAGS, Run

LARGEST = 1.797e308
"""An SQL store has no infinity and keeps the largest float in its place."""

MOST_TEXT = 2**28
"""Bytes of a text; the plan of a million cells has half as many."""


def heads(client: MlflowClient, further_tags: Iterable[str] = ()) -> list[Run]:
    """Every run that is not deleted, with those of its tags that a report reads; :func:`fill` adds params and metrics.

    From a tracking server, which has no cheaper way, they come with everything, a page of a thousand at a time.
    """
    if is_server(client.tracking_uri):
        names = {each.experiment_id: each.name for each in client.search_experiments(view_type=ViewType.ACTIVE_ONLY)}
        return [_of_server(run, names) for run in search(client, "")]
    with queries.connected(client.tracking_uri) as connection:
        runs = {row[0]: _of_database(*row) for row in queries.runs(connection)}
        for run_id, key, value in queries.tags(connection, [*TAGS, *further_tags]):
            if run_id in runs:
                runs[run_id].tags[sys.intern(key)] = sys.intern(value or "")
    return list(runs.values())


def fill(client: MlflowClient, runs: Sequence[Run]) -> None:
    """Read the params and final metrics of these runs into them."""
    if is_server(client.tracking_uri):
        return
    by_id = {run.run_id: run for run in runs}
    with queries.connected(client.tracking_uri) as connection:
        for run_id, key, value in queries.params(connection, list(by_id), NOT_A_RESULT):
            by_id[run_id].params[sys.intern(key)] = sys.intern(value)
        for run_id, key, value, is_nan in queries.final_metrics(connection, list(by_id), METRICS):
            by_id[run_id].metrics[sys.intern(key)] = _number(value, bool(is_nan))


def _of_database(
    run_id: str,
    experiment_id: int,
    experiment: str,
    name: str | None,
    status: str,
    start: int | None,
    end: int | None,
    artifact_uri: str | None,
) -> Run:
    start = start or 0
    seconds = ((end or start) - start) / 1000
    return Run(run_id, str(experiment_id), experiment, name or "", status, start / 1000, seconds, artifact_uri or "")


def _of_server(run: MlflowRun, names: dict[str, str]) -> Run:
    start, data = run.info.start_time or 0, run.data
    return Run(
        run.info.run_id,
        run.info.experiment_id,
        names.get(run.info.experiment_id, ""),
        run.info.run_name or "",
        run.info.status,
        start / 1000,
        ((run.info.end_time or start) - start) / 1000,
        run.info.artifact_uri or "",
        dict(data.tags),
        {key: value for key, value in data.params.items() if key not in NOT_A_RESULT},
        {key: _number(value) for key, value in data.metrics.items() if key in METRICS},
    )


def _number(value: float, is_nan: bool = False) -> float:
    if is_nan or math.isnan(value):
        return math.nan
    return value if abs(value) < LARGEST else math.copysign(math.inf, value)


def read_text(client: MlflowClient, run_id: str, path: str) -> str | None:
    """A text artifact of a run; None when it is not there, or is larger than any that is written."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = download(client, run_id, path, Path(folder))
            return file.read_text(encoding="utf-8") if file.stat().st_size <= MOST_TEXT else None
    except (OSError, UnicodeDecodeError):
        return None


def log_files(client: MlflowClient, run_id: str, folder: Path, names: Iterable[str], into: str) -> None:
    """Add files of a folder to the artifacts of a run. Raises OSError or MlflowException when that can't be done."""
    for name in names:
        client.log_artifact(run_id, str(folder / name), str(PurePosixPath(into, name).parent))
