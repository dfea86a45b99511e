"""What every test gets: types and shapes checked while it runs, one torch thread, and a store of its own."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import tests.typechecking

# Before anything imports the package: annotations, array shapes included, are then checked at each call.
tests.typechecking.install(["harness", "reports", "studies"])

import pytest  # noqa: E402
import torch  # noqa: E402
from alembic.script import ScriptDirectory  # noqa: E402
from hypothesis import settings  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

from harness.tracking.store import open_store  # noqa: E402
from tests.postgres import Server, binaries  # noqa: E402

# Whoever has started the tests under nohup, or in the background of a script, has SIGHUP or SIGINT ignored, which the
# commands would inherit and, as they should, keep.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.dont_write_bytecode = True  # beside a plug-in of a test, which looks at what a command leaves
logging.getLogger("torch.__trace").setLevel(logging.WARNING)  # else a failure is buried under its lines
settings.register_profile("harness", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("harness")

MLFLOW_VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_ALLOW_FILE_STORE",
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def migrations_read_once() -> Iterator[None]:
    """MLflow reads its fifty migration scripts for each store that is opened, which takes 40 ms; they stay the same."""
    heads: dict[str, Any] = {}
    get_heads = ScriptDirectory.get_heads

    def once(scripts: ScriptDirectory) -> Any:
        if scripts.dir not in heads:
            heads[scripts.dir] = get_heads(scripts)
        return heads[scripts.dir]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "get_heads", once)
        yield


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store that MLflow has migrated and nobody has used; a copy of it costs nothing, a new one 1.3 s."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and none of the caller's MLflow settings."""
    for name in MLFLOW_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    # What a test before this one has called set_tracking_uri with would win over the environment.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(outside: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A real SQLite store in a folder of its own, named by ``MLFLOW_TRACKING_URI``; the working folder is beside it."""
    path = outside / "mlflow.db"
    shutil.copy(empty_database, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE experiments SET artifact_location = ?", (str(outside / "mlruns" / "0"),))
        database.commit()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    return MlflowClient(os.environ["MLFLOW_TRACKING_URI"])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; without Debian's package the test is left out, except in CI."""
    programs = binaries()
    if programs is None:
        if "CI" in os.environ:
            pytest.fail("CI needs Debian's postgresql")
        pytest.skip("needs Debian's postgresql")
    server = Server(programs)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store(request: pytest.FixtureRequest, outside: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A store of each kind, named by ``MLFLOW_TRACKING_URI``."""
    if request.param == "sqlite":
        return request.getfixturevalue("store")  # type: ignore[no-any-return]
    server: Server = request.getfixturevalue("postgres")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.migrated_database(outside / "mlruns" / "0"))
    return open_store()


@pytest.fixture
def registries() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    from harness.execution.executors import EXECUTORS
    from harness.families import FAMILIES
    from harness.methods import METHODS
    from harness.problems import PROBLEMS
    from harness.registry import Registry
    from studies.catalogue import STUDIES

    registries: list[Registry[Any]] = [PROBLEMS, FAMILIES, METHODS, EXECUTORS, STUDIES]
    kept = [(registry, dict(registry._things)) for registry in registries]
    yield
    for registry, things in kept:
        registry._things = things
    for plugin in ("harness.execution.faults", "harness.problems.shipped"):
        sys.modules.pop(plugin, None)  # which registers when it is imported


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def any_storage(request: pytest.FixtureRequest, outside: Path) -> str:
    """An address of each kind at which a study can be kept, and nothing there yet."""
    if request.param == "journal":
        return str(outside / "studies.journal")
    if request.param == "sqlite":
        return f"sqlite:///{outside}/studies.db"
    server: Server = request.getfixturevalue("postgres")
    return server.fresh_database()
