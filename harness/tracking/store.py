"""The store: opening it safely, choosing the experiment, and the runs that were left unfinished."""

from __future__ import annotations

import logging
import os
import re
import socket
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
import psutil
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import BadInput
from harness.outcome import Outcome

ORPHAN_AGE_S = 3600.0
"""A RUNNING run that no harness process ever claimed counts as left behind after this many seconds."""


def open_store() -> MlflowClient:
    """The store that MLflow's own settings name (``MLFLOW_TRACKING_URI``; by default ``sqlite:///mlflow.db`` here).

    Raises BadInput, before anything is created, when it can't be reached or written. A SQLite database is made and
    migrated under a file lock, because processes that find a fresh one at the same time break it.
    """
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    uri = mlflow.get_tracking_uri()
    try:
        scheme = urlparse(uri).scheme
        if scheme == "sqlite":
            _open_sqlite(_sqlite_path(uri))
        elif scheme in ("http", "https"):
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
                pass
        elif "+" in scheme or scheme in ("postgresql", "mysql", "mssql"):
            engine = create_engine(uri)
            engine.connect().close()
            engine.dispose()
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (OSError, sqlite3.Error, SQLAlchemyError, MlflowException, ImportError) as error:
        raise BadInput(
            f"MLFLOW_TRACKING_URI = {uri!r} can't be used: {_first_line(error)}; name a store that can be reached and written."
        ) from error
    return client


def _sqlite_path(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("sqlite:///"))).resolve()


def _open_sqlite(path: Path) -> None:
    if not path.parent.is_dir():
        raise OSError(f"there is no folder {str(path.parent)!r}")
    with FileLock(f"{path}.lock", timeout=120), closing(sqlite3.connect(path, timeout=60)) as database:
        # Readers and writers of several processes get past one another (sqlite.org/wal.html).
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("BEGIN IMMEDIATE")
        database.rollback()
        MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def experiment_of(client: MlflowClient, section: str) -> Experiment:
    """The caller's experiment (``MLFLOW_EXPERIMENT_ID``, ``MLFLOW_EXPERIMENT_NAME``), else one named after the section.

    Raises BadInput when the caller's experiment is not there or its artifacts can't be written.
    """
    identifier, name = os.environ.get("MLFLOW_EXPERIMENT_ID"), os.environ.get("MLFLOW_EXPERIMENT_NAME", section)
    try:
        experiment = client.get_experiment(identifier) if identifier else _get_or_create(client, name)
    except MlflowException as error:
        raise BadInput(
            f"MLFLOW_EXPERIMENT_ID = {identifier!r} can't be used: {_first_line(error)}."
            if identifier
            else f"experiment = {name!r} can't be used: {_first_line(error)}."
        ) from error
    if experiment.lifecycle_stage != "active":
        raise BadInput(
            f"experiment = {experiment.name!r} is deleted; restore it, or name another with MLFLOW_EXPERIMENT_NAME."
        )
    _refuse_unwritable(experiment.artifact_location)
    if "mlflow.experiment.primaryMetric.name" not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, "mlflow.experiment.primaryMetric.name", "final/log10_nmse")
        client.set_experiment_tag(experiment.experiment_id, "mlflow.experimentKind", "custom_model_development")
    return experiment


def _get_or_create(client: MlflowClient, name: str) -> Experiment:
    if found := client.get_experiment_by_name(name):
        return found
    try:
        return client.get_experiment(client.create_experiment(name))
    except MlflowException:
        # Another process was first.
        if found := client.get_experiment_by_name(name):
            return found
        raise


def _refuse_unwritable(artifact_location: str) -> None:
    if urlparse(artifact_location).scheme not in ("", "file"):
        return
    folder = Path(local_file_uri_to_path(artifact_location))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(
            f"the artifact folder {str(folder)!r} of the experiment can't be written: {error.strerror}."
        ) from error


def run_url(client: MlflowClient, run: Run) -> str:
    """The address of a run's page in the MLflow UI; for an embedded store, where ``mlflow ui`` will show it."""
    uri = client.tracking_uri
    server = uri.rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=machine_learning"


def ui_command(client: MlflowClient) -> str | None:
    """The command that opens the UI on an embedded store; None when a server is already there."""
    uri = client.tracking_uri
    return None if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


def owner_tag() -> dict[str, str]:
    """The tag by which a later process can tell whether the process that owns a run is still there."""
    process = psutil.Process()
    return {"owner": f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"}


@dataclass(frozen=True)
class Unfinished:
    """A run that the store shows as RUNNING, and what is known of its process."""

    run: Run
    state: str
    left_behind: bool
    """True when its process is known to be gone, so that the run can be closed."""


def unfinished(client: MlflowClient) -> Iterator[Unfinished]:
    """Every RUNNING run of the store, whatever experiment it belongs to."""
    experiments = [e.experiment_id for e in client.search_experiments(view_type=ViewType.ACTIVE_ONLY)]
    token = None
    while experiments:
        page = client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000, page_token=token)
        for run in page:
            yield _judge(run)
        token = page.token
        if not token:
            break


def _judge(run: Run) -> Unfinished:
    # A tag of another form is somebody's own, and says nothing of a process.
    owner = re.fullmatch(r"(.+)/(\d+)/([\d.]+)", run.data.tags.get("owner", ""))
    if owner is None:
        age = time.time() - run.info.start_time / 1000
        return Unfinished(run, f"never claimed by a process, {age / 60:.0f} min old", age > ORPHAN_AGE_S)
    host, pid, started = owner.groups()
    if host != socket.gethostname():
        return Unfinished(run, f"belongs to process {pid} on {host}; ask there", left_behind=False)
    try:
        # A process of the same number that started at another time is another process.
        alive = abs(psutil.Process(int(pid)).create_time() - float(started)) < 1.0
    except psutil.NoSuchProcess:
        alive = False
    return Unfinished(run, f"process {pid} {'is at work' if alive else 'is gone'}", left_behind=not alive)


def close(client: MlflowClient, found: Unfinished) -> None:
    """End a run that was left behind as ``interrupted``."""
    run_id = found.run.info.run_id
    client.set_tag(run_id, "outcome", Outcome.INTERRUPTED.value)
    client.set_tag(run_id, "outcome.reason", f"Left behind: {found.state}; closed by doctor.")
    client.set_terminated(run_id, Outcome.INTERRUPTED.status)
