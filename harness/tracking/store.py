"""The store: opening it safely, and choosing the experiment."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from harness.errors import BadInput, StoreLost

STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
"""What a store raises that can't be used any more; OSError where artifacts are files."""


@contextmanager
def lost_in_one_sentence() -> Iterator[None]:
    """A store that fails in here is StoreLost."""
    try:
        yield
    except STORE_ERRORS as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreLost(f"The store failed: {why}; when it can be written again, the same command goes on.") from error


PATIENCE_S = 120.0
"""Seconds for which a database may be locked or away before a call to it fails."""
_INSERTED_BY_ANOTHER = ("UNIQUE constraint failed", "duplicate key value violates unique constraint")
"""How SQLite and PostgreSQL say it; a tracking server passes their words on, and nothing else of the error."""


def _is_transient(error: BaseException) -> bool:
    """Whether the same call can succeed later.

    It can when the database is locked, restarting or out of reach; MLflow gives all of these one code, once it is
    connected. It also can when another process inserted the same row between MLflow's look and its insertion, as two
    workers do that begin on one dataset: the second call finds the row. A full disk is not transient: waiting for room,
    call after call, would take hours.
    """
    if isinstance(error, MlflowException) and any(said in str(error) for said in _INSERTED_BY_ANOTHER):
        return True
    away = isinstance(error, OperationalError) or (
        isinstance(error, MlflowException) and error.error_code == "TEMPORARILY_UNAVAILABLE"
    )
    return away and "disk is full" not in str(error)


patiently = retry(
    retry=retry_if_exception(_is_transient),
    wait=wait_random_exponential(0.2, max=5),
    stop=stop_after_delay(PATIENCE_S),
    reraise=True,
)


class PatientClient(MlflowClient):
    """MLflow's client, which outlasts a database that is away for a while. For a server MLflow does so itself.

    Each call may be made twice: they are repeated with the same arguments, time stamps included, and of a run that was
    made twice :func:`harness.tracking.claims.claim` closes one.
    """

    create_run = patiently(MlflowClient.create_run)
    delete_logged_model = patiently(MlflowClient.delete_logged_model)
    delete_run = patiently(MlflowClient.delete_run)
    get_run = patiently(MlflowClient.get_run)
    update_run = patiently(MlflowClient.update_run)
    search_runs = patiently(MlflowClient.search_runs)
    search_experiments = patiently(MlflowClient.search_experiments)
    get_experiment_by_name = patiently(MlflowClient.get_experiment_by_name)
    log_batch = patiently(MlflowClient.log_batch)
    log_inputs = patiently(MlflowClient.log_inputs)
    log_artifact = patiently(MlflowClient.log_artifact)
    log_artifacts = patiently(MlflowClient.log_artifacts)
    log_figure = patiently(MlflowClient.log_figure)
    log_table = patiently(MlflowClient.log_table)
    log_text = patiently(MlflowClient.log_text)
    set_experiment_tag = patiently(MlflowClient.set_experiment_tag)
    set_tag = patiently(MlflowClient.set_tag)
    set_terminated = patiently(MlflowClient.set_terminated)


_trusted: set[str] = set()
"""Stores that were opened by this process, or by the one that sent it here: what fails there later will pass."""


def trust(uri: str) -> None:
    """Make ``uri``, which another process has opened, the store of this one."""
    mlflow.set_tracking_uri(uri)
    _trusted.add(uri)


def open_store() -> MlflowClient:
    """The store that MLflow's own settings name (``MLFLOW_TRACKING_URI``; by default ``sqlite:///mlflow.db`` here).

    Raises BadInput, before anything is created, when it can't be reached or written. A SQLite database is made and
    migrated under a file lock, because processes that find a fresh one at the same time break it.
    """
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # They say a lot about each fault of the database, also about those that a second call overcomes.
    for noisy in ("mlflow.store.db.utils", "mlflow.system_metrics", "psycopg"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # we say where to look ourselves
    uri = mlflow.get_tracking_uri()
    if uri in _trusted:
        return PatientClient(uri)
    try:
        scheme = urlparse(uri).scheme
        if scheme in ("http", "https"):
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10):
                pass
        with exclusive(uri):
            if scheme == "sqlite":
                _open_sqlite(_sqlite_path(uri))
            MlflowClient(uri).search_experiments(max_results=1)
            _index_fingerprints(uri)
    except (OSError, sqlite3.Error, SQLAlchemyError, MlflowException, ImportError) as error:
        raise BadInput(
            f"MLFLOW_TRACKING_URI = {uri!r} can't be used: {_first_line(error)}; name a store that can be reached and written."
        ) from error
    _trusted.add(uri)
    return PatientClient(uri)


@cache
def database(uri: str) -> Engine | None:
    """The database behind a store, for questions that MLflow's interface answers slowly; None for a tracking server."""
    return None if uri.startswith("http") else create_engine(uri, pool_pre_ping=True)


def store_exists() -> bool:
    """False for a SQLite store whose file is not there yet, which opening would make."""
    uri = mlflow.get_tracking_uri()
    return urlparse(uri).scheme != "sqlite" or _sqlite_path(uri).is_file()


def _sqlite_path(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("sqlite:///"))).resolve()


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """While this is open, nobody else is inside of it for the same store; a tracking server has no such lock to offer.

    Raises what the database raises when it can't be reached.
    """
    scheme = urlparse(uri).scheme
    if scheme == "sqlite":
        path = _sqlite_path(uri)
        if not path.parent.is_dir():
            raise OSError(f"there is no folder {str(path.parent)!r}")
        with FileLock(f"{path}.lock", timeout=120):
            yield
    elif scheme.partition("+")[0] in ("postgresql", "mysql", "mssql"):
        engine = create_engine(uri)
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":
                    # Released with the connection, so that a process that dies holds up nobody.
                    connection.execute(text("SELECT pg_advisory_lock(hashtext('harness'))"))
                yield
        finally:
            engine.dispose()
    else:
        yield


def _open_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=60)) as database:
        # Readers and writers of several processes get past one another (sqlite.org/wal.html).
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("BEGIN IMMEDIATE")
        database.rollback()


def _index_fingerprints(uri: str) -> None:
    """Let a fingerprint be found without reading through all that there are: 0.1 ms instead of 10 at 10,000 runs.

    Partial, since PostgreSQL can't index values as long as a note.
    """
    engine = database(uri)
    if engine is None or engine.dialect.name not in ("sqlite", "postgresql"):
        return
    try:
        with engine.begin() as connection:
            connection.execute(
                text("CREATE INDEX IF NOT EXISTS harness_fingerprint ON tags (value) WHERE key = 'fingerprint'")
            )
    except ProgrammingError:
        return  # not our tables, where somebody else administers them: it works without, only slower


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


def run_page(client: MlflowClient, experiment_id: str, run_id: str) -> tuple[str, str | None]:
    """The address of a run's page in the MLflow UI, and for an embedded store the command that makes it answer there."""
    uri = client.tracking_uri
    server = uri.rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"
    page = f"{server}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
    return page, None if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"
