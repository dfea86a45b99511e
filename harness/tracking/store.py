"""The store: opening it safely, and choosing the experiment."""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from harness.addresses import as_typed, clean, fault, guard, masked, page_of
from harness.errors import BadInput, StoreLost
from harness.tracking import queries
from harness.tracking.pages import ANY_RUNS, OF_AN_EXPERIMENT, how_to_read
from harness.tracking.schema import has_tables
from harness.tracking.sqlite import (
    SqliteFile,
    check_place,
    is_sqlite,
    make_whole,
    sqlite_file,
    sync_at_checkpoints,
    unsynced,
)

STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
"""What a store raises that can't be used any more; OSError where artifacts are files."""
SERVERS = frozenset({"http", "https"})
KINDS = frozenset({"sqlite", "postgresql", "mysql", "mssql"}) | SERVERS
"""The kinds of stores, as an address begins; a database may add its driver after a plus."""


@contextmanager
def lost_in_one_sentence() -> Iterator[None]:
    """A store that fails in here is StoreLost."""
    try:
        yield
    except STORE_ERRORS as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreLost(f"The store failed: {why}; when it can be written again, the same command goes on.") from error


BATCH = 1000
"""Metrics that MLflow takes in one call."""
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

    It writes no tag that shows a password: tags quote commands, addresses and exceptions.

    Each call may be made twice: they are repeated with the same arguments, time stamps included, and of a run that was
    made twice :func:`harness.tracking.claims.claim` closes one.
    """

    create_run = patiently(MlflowClient.create_run)
    delete_logged_model = patiently(MlflowClient.delete_logged_model)
    delete_run = patiently(MlflowClient.delete_run)
    delete_tag = patiently(MlflowClient.delete_tag)
    get_run = patiently(MlflowClient.get_run)
    update_run = patiently(MlflowClient.update_run)
    search_runs = patiently(MlflowClient.search_runs)
    search_experiments = patiently(MlflowClient.search_experiments)
    get_experiment_by_name = patiently(MlflowClient.get_experiment_by_name)
    log_inputs = patiently(MlflowClient.log_inputs)
    log_artifact = patiently(MlflowClient.log_artifact)
    log_artifacts = patiently(MlflowClient.log_artifacts)
    log_figure = patiently(MlflowClient.log_figure)
    log_text = patiently(MlflowClient.log_text)
    set_experiment_tag = patiently(MlflowClient.set_experiment_tag)
    set_terminated = patiently(MlflowClient.set_terminated)

    @patiently
    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> Any:
        """Write metrics, params and tags of a run at once."""
        shown = [RunTag(tag.key, clean(tag.value)) for tag in tags]
        return super().log_batch(run_id, metrics, params, shown, synchronous)

    @patiently
    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Write one tag of a run."""
        return super().set_tag(run_id, key, clean(str(value)), synchronous)


_trusted: set[str] = set()
"""Stores that were opened by this process, or by the one that sent it here: what fails there later will pass."""


def trust(uri: str) -> None:
    """Make ``uri``, which another process has opened, the store of this one."""
    mlflow.set_tracking_uri(uri)
    if is_sqlite(uri):
        sync_at_checkpoints(sqlite_file(uri).path)
    _trusted.add(uri)


def open_store(*, reading: bool = False) -> MlflowClient:
    """The store that MLflow's own settings name (``MLFLOW_TRACKING_URI``; by default ``sqlite:///mlflow.db`` here).

    It is made if it is not there, and then made ready: a SQLite database for readers and writers of several processes, an
    index for fingerprints. With ``reading`` nothing is made and nothing changed, and an address that opens a database
    read-only will do. Raises BadInput, before anything is created, when it can't be reached or used.
    """
    _quieten()
    given = mlflow.get_tracking_uri()
    with _refused(given):
        uri, file = _understood(given)
        if uri in _trusted:
            return PatientClient(uri)
        there = _look(uri, file, reading)
        if reading and not there:
            raise BadInput(f"there is no store at {masked(given)!r} yet; make runs first, or name another one.")
        if reading:
            return PatientClient(uri)
        if file is None:
            with exclusive(uri):
                MlflowClient(uri).search_experiments(max_results=1)
                _index_fingerprints(uri)
        else:
            _open_sqlite(file)
            _index_fingerprints(uri)
    _trusted.add(uri)
    return PatientClient(uri)


def look_at_store(*, reading: bool = False) -> bool:
    """Whether the store is there that opening it would make. Nothing is made or changed.

    Raises BadInput when it can't be reached, or is none: the database of another program, or of another MLflow.
    """
    _quieten()
    given = mlflow.get_tracking_uri()
    with _refused(given):
        uri, file = _understood(given)
        return uri in _trusted or _look(uri, file, reading)


def store_address() -> str:
    """The address of the store that :func:`open_store` opens; :func:`look_at_store` has found it usable."""
    return _understood(mlflow.get_tracking_uri())[0]


def _quieten() -> None:
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # They say a lot about each fault of the database, also about those that a second call overcomes; and where there is no git.
    for noisy in ("mlflow.store.db.utils", "mlflow.system_metrics", "mlflow.utils.git_utils", "psycopg"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # we say where to look ourselves


@contextmanager
def _refused(given: str) -> Iterator[None]:
    """What fails in here is the user's to see: this store can't be used."""
    try:
        yield
    except (OSError, ValueError, sqlite3.Error, SQLAlchemyError, MlflowException, ImportError) as error:
        raise BadInput(
            f"MLFLOW_TRACKING_URI = {masked(given)!r} can't be used: {_first_line(error)}; "
            "name a store that can be reached and written."
        ) from error


def _understood(given: str) -> tuple[str, SqliteFile | None]:
    """The address as everything that opens it understands it, and the file that it names, if it does.

    Raises ValueError or SQLAlchemyError for one that is malformed, or that no store of ours can be at.
    """
    guard(given)
    if not mlflow.is_tracking_uri_set() and is_sqlite(given):
        given = "sqlite:///mlflow.db"  # MLflow's own spelling of it makes a folder where the path has a space in it
    if is_sqlite(given):
        file = sqlite_file(given)
        return file.address, file
    kind = given.partition(":")[0].partition("+")[0].lower()
    if "://" not in given or kind not in KINDS:
        raise ValueError("give sqlite:///file.db, postgresql+psycopg://..., or the http address of a tracking server")
    if kind in SERVERS and (wrong := fault(given)) is not None:
        raise ValueError(wrong)
    if kind not in SERVERS and fault(given) is not None and make_url(given).host:
        raise ValueError(fault(given))
    return given, None


def _look(uri: str, file: SqliteFile | None, reading: bool) -> bool:
    """Whether MLflow's tables are there. Nothing is changed, and left, where they are not, or are others."""
    if is_server(uri):
        with _impatiently():
            MlflowClient(uri).search_experiments(max_results=1)
        return True
    if file is not None:
        if file.reads_only and not reading:
            raise OSError(
                "it is opened read-only, which will do only for report, compare, predict, doctor and a dry run"
            )
        check_place(file)
        if not file.is_there:
            _refuse_identities_of_nothing()
            return False
    engine = create_engine(uri if file is None else file.untouched(), connect_args=_patience_to_connect(uri))
    try:
        with engine.connect() as connection:
            there = has_tables(connection)
    finally:
        engine.dispose()
    if not there:
        _refuse_identities_of_nothing()
    return there


def _refuse_identities_of_nothing() -> None:
    """What is not there has no run or experiment for the caller to name; 0 is the one that it is made with."""
    for name, made in (("MLFLOW_RUN_ID", ()), ("MLFLOW_EXPERIMENT_ID", ("0",))):
        if (value := os.environ.get(name)) and value not in made:
            raise BadInput(f"{name} = {value!r} can't be used: the store that it should be in is not there yet.")


@contextmanager
def _impatiently() -> Iterator[None]:
    """A server that is not there is refused within seconds; during the work MLflow's own patience holds."""
    brief = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    ours = {name: value for name, value in brief.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _patience_to_connect(uri: str) -> dict[str, Any]:
    return {"connect_timeout": 10} if uri.startswith("postgresql") and "connect_timeout" not in uri else {}


def is_server(uri: str) -> bool:
    """Whether a store is a tracking server, rather than a database that this process opens itself."""
    return uri.partition(":")[0].lower() in SERVERS


def reads_only(uri: str) -> bool:
    """Whether the address of a store opens it read-only."""
    return is_sqlite(uri) and sqlite_file(uri).reads_only


@cache
def database(uri: str) -> Engine | None:
    """The database behind a store, for questions that MLflow's interface answers slowly; None for a tracking server."""
    return None if is_server(uri) else create_engine(uri, pool_pre_ping=True)


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """A lock: one process at a time is in here for the same store. A tracking server has no such lock.

    Raises what the database raises when it can't be reached. What is refused in here leaves no new lock file.
    """
    if is_sqlite(uri):
        file = sqlite_file(uri)
        check_place(file)
        with lock_file(file.path.with_name(f"{file.path.name}.lock")):
            yield
    elif uri.partition(":")[0].partition("+")[0] in KINDS - SERVERS:
        engine = create_engine(uri, connect_args=_patience_to_connect(uri))
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":
                    # Released with the connection, so that a process that dies blocks no other.
                    connection.execute(text("SELECT pg_advisory_lock(hashtext('harness'))"))
                yield
        finally:
            engine.dispose()
    else:
        yield


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold a lock file, which stays for the next one, unless it was made for what then failed.

    A process that waited for a file that is gone by then takes a new one (filelock looks).
    """
    new = not path.exists()
    with FileLock(path, timeout=120):
        try:
            yield
        except BaseException:
            if new:
                path.unlink(missing_ok=True)
            raise


def _open_sqlite(file: SqliteFile) -> None:
    if not file.is_there:
        with exclusive(file.address):
            if not file.is_there:
                make_whole(file, _make_tables)
    with closing(sqlite3.connect(file.path, timeout=60)) as database:
        # Readers and writers of several processes get past one another (sqlite.org/wal.html).
        database.execute("PRAGMA journal_mode=WAL")
    check_writable(file.address)
    sync_at_checkpoints(file.path)
    MlflowClient(file.address).search_experiments(max_results=1)


def check_writable(uri: str) -> None:
    """Raise BadInput for a SQLite store that can't be written now, though its address is not a read-only one."""
    if not is_sqlite(uri) or (file := sqlite_file(uri)).reads_only:
        return
    with _refused(uri), closing(sqlite3.connect(file.path, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.rollback()


def _make_tables(address: str) -> None:
    """MLflow's tables and its default experiment in a database that then gets another name: nothing keeps it open."""
    with unsynced(sqlite_file(address).path):
        SqlAlchemyStore(address, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
        SqlAlchemyStore._engine_map.pop(address).dispose()


def _index_fingerprints(uri: str) -> None:
    engine = database(uri)
    if engine is None or engine.dialect.name not in ("sqlite", "postgresql"):
        return
    try:
        with engine.begin() as connection:
            queries.index_fingerprints(connection)
    except ProgrammingError:
        return  # not our tables, where somebody else administers them: it works without, only slower


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def experiment_of(client: MlflowClient, section: str, about: str = ANY_RUNS) -> Experiment:
    """The caller's experiment (``MLFLOW_EXPERIMENT_ID``, ``MLFLOW_EXPERIMENT_NAME``), else one named after the section.

    ``about`` says, in Markdown, what one that is made here holds. Raises BadInput when the caller's
    experiment is not there or its artifacts can't be written.
    """
    identifier, name = os.environ.get("MLFLOW_EXPERIMENT_ID"), os.environ.get("MLFLOW_EXPERIMENT_NAME", section)
    try:
        experiment = (
            client.get_experiment(identifier)
            if identifier
            else _get_or_create(client, name, about if name == section else ANY_RUNS)
        )
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
    _refuse_unwritable(experiment.artifact_location, client.tracking_uri)
    return experiment


def _get_or_create(client: MlflowClient, name: str, about: str) -> Experiment:
    if found := client.get_experiment_by_name(name):
        return found
    try:
        made = client.create_experiment(name, tags=OF_AN_EXPERIMENT)
        client.set_experiment_tag(made, "mlflow.note.content", how_to_read(made, about))
        return client.get_experiment(made)
    except MlflowException:
        # Another process was first.
        if found := client.get_experiment_by_name(name):
            return found
        raise


def _refuse_unwritable(artifact_location: str, uri: str) -> None:
    """Raise BadInput for a folder that can't be written, and for an address elsewhere that MLflow can't write to from here.

    Nothing is written there: whether it takes what comes is seen only then.
    """
    if urlparse(artifact_location).scheme not in ("", "file"):
        try:
            if isinstance(get_artifact_repository(artifact_location, uri), S3ArtifactRepository):
                importlib.import_module("boto3")  # which MLflow looks for no sooner than it writes
        except Exception as error:  # each client has errors of its own
            raise BadInput(
                f"the artifacts of the experiment can't be written to {masked(artifact_location)!r}: {_first_line(error)}; "
                "install what MLflow needs for it, or name another experiment with MLFLOW_EXPERIMENT_NAME."
            ) from error
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
    server = page_of(uri) if is_server(uri) else "http://127.0.0.1:5000"
    page = f"{server}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
    return page, None if is_server(uri) else as_typed(["mlflow", "ui", "--backend-store-uri", uri])
