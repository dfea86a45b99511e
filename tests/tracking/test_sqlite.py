"""Addresses of SQLite files mean what they say, and a new file is whole or not there."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import create_engine, text

from harness.errors import BadInput
from harness.tracking import store as store_module
from harness.tracking.sqlite import make_whole, sqlite_file, sync_at_checkpoints
from harness.tracking.store import exclusive, look_at_store, open_store
from tests.support import python


def files(folder: Path) -> list[str]:
    """All that is in a folder and below."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["plain", "a b", "a%20b", "a?b", "a#b", "ü", "it's", "me@uni:1"])
def test_the_default_store_is_where_it_should_be_in_a_folder_of_any_name(
    name: str, outside: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / name).mkdir()
    monkeypatch.chdir(outside / name)
    monkeypatch.setattr(store_module, "_make_tables", lambda address: copied(empty_database, address))
    client = open_store()
    client.create_experiment("here")
    assert set(files(outside)) - {f"{name}/mlflow.db-wal", f"{name}/mlflow.db-shm"} == {
        name,
        f"{name}/mlflow.db",
        f"{name}/mlflow.db.lock",
    }
    with closing(sqlite3.connect("mlflow.db")) as database:
        assert ("here",) in database.execute("SELECT name FROM experiments").fetchall()


def copied(template: Path, address: str) -> None:
    """In the place of MLflow's tables, which take a second to make."""
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(sqlite_file(address).path)) as into:
        source.backup(into)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file::memory:?uri=true", "in memory"),
        ("sqlite:///x.db?mode=memory", "in memory"),
        ("sqlite:///missing.db?mode=ro", "no such file"),
        ("sqlite:///missing.db?mode=rw", "no such file"),
        ("sqlite://host/x.db", "three|Invalid|four"),
    ],
)
def test_an_address_of_no_file_is_refused_and_makes_none(
    address: str, why: str, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(BadInput, match=why):
        open_store()
    assert files(outside) == []


@pytest.mark.parametrize("form", ["sqlite:///{}?mode=ro", "sqlite:///file:{}?mode=ro&uri=true"])
@pytest.mark.parametrize("wal", [False, True])
def test_a_read_only_address_reads_that_database_and_writes_nothing(
    form: str, wal: bool, store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = outside / "mlflow.db"
    if wal:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
    before = path.read_bytes()
    for name in ("mlflow.db", str(path)):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", form.format(name))
        assert look_at_store(reading=True)
        assert files(outside) == ["mlflow.db"], "a look left something"
        client = open_store(reading=True)
        assert [each.name for each in client.search_experiments()] == ["Default"]
        with pytest.raises(BadInput, match="opened read-only"):
            open_store()
        SqlAlchemyStore._engine_map[client.tracking_uri].dispose()
        assert path.read_bytes() == before
        companions = {"mlflow.db-wal", "mlflow.db-shm"} if wal else set()
        assert set(files(outside)) <= {"mlflow.db", *companions}
        for companion in companions:
            (outside / companion).unlink()


def test_reading_changes_nothing_in_a_store_that_could_be_written(store: MlflowClient, outside: Path) -> None:
    before = (outside / "mlflow.db").read_bytes()
    open_store(reading=True).search_experiments()
    assert (outside / "mlflow.db").read_bytes() == before
    assert files(outside) == ["mlflow.db"]


def test_a_new_file_takes_its_place_when_it_is_whole(outside: Path) -> None:
    file = sqlite_file("sqlite:///new.db")
    for left in ("new.db.new", "new.db.new-journal", "new.db-wal"):
        Path(left).write_text("what a killed process left")

    def make(address: str) -> None:
        assert not Path("new.db").exists()
        with closing(sqlite3.connect(sqlite_file(address).path)) as database:
            database.execute("CREATE TABLE t (x)")

    make_whole(file, make)
    assert files(outside) == ["new.db"]
    with closing(sqlite3.connect("new.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_what_fails_in_the_making_leaves_neither_file_nor_lock(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(address: str) -> None:
        raise OSError("no room")

    monkeypatch.setattr(store_module, "_make_tables", make)
    with pytest.raises(BadInput, match="no room"):
        open_store()
    assert files(outside) == []


KILLED = """
import os, signal
from sqlalchemy import Engine, event
from harness.tracking.store import open_store

@event.listens_for(Engine, "after_cursor_execute")
def killed(connection, cursor, statement, *rest):
    if "CREATE TABLE _alembic_tmp_experiments" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

open_store()
"""


def test_a_process_that_is_killed_while_it_makes_the_tables_leaves_nothing_in_the_way_of_the_next(
    outside: Path,
) -> None:
    assert python(["-c", KILLED]).returncode == -signal.SIGKILL
    assert open_store().search_experiments()
    assert set(files(outside)) <= {"mlflow.db", "mlflow.db-shm", "mlflow.db-wal", "mlflow.db.lock"}


def test_a_new_store_stays_open_under_no_other_name(outside: Path) -> None:
    client = open_store()
    assert [each.name for each in client.search_experiments()] == ["Default"]
    assert not any(".new" in address for address in SqlAlchemyStore._engine_map)
    opened = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert not any(".new" in path for path in opened)


def test_two_names_of_one_file_have_one_lock(store: MlflowClient, outside: Path) -> None:
    (outside / "link.db").symlink_to("mlflow.db")
    with exclusive("sqlite:///link.db"):
        assert "mlflow.db.lock" in files(outside)


def old(path: Path, revision: str) -> None:
    """Make it say that its tables are of that revision."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.commit()


def another_program(path: Path) -> None:
    """A database that has nothing to do with MLflow."""
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (name, salt)")
        database.commit()


def half_made(path: Path) -> None:
    """As MLflow leaves it when it is killed while it makes its tables in place."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE _alembic_tmp_experiments (x)")
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.commit()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: old(path, "451aebb31d03"), "of an older MLflow .*mlflow db upgrade"),
        (lambda path: old(path, "ffffffffffff"), "of a newer MLflow than the 3"),
        (another_program, "of another program, with tables such as recipes"),
        (half_made, "left half made when a process was killed"),
        (lambda path: path.write_bytes(b"no database at all" * 100), "not a database"),
    ],
)
@pytest.mark.parametrize("reading", [False, True])
def test_a_database_that_is_not_of_this_mlflow_is_refused_and_not_changed(
    change: Any, why: str, reading: bool, store: MlflowClient, outside: Path
) -> None:
    path = outside / "mlflow.db"
    change(path)
    before = path.read_bytes()
    for look in (open_store, look_at_store):
        with pytest.raises(BadInput, match=why):
            look(reading=reading)
    assert path.read_bytes() == before
    assert files(outside) == ["mlflow.db"]


def test_a_store_that_mlflow_has_made_itself_is_opened_as_it_is(
    outside: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_database, "theirs.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///theirs.db")
    client = open_store()
    client.create_experiment("x")
    assert {each.name for each in client.search_experiments()} == {"Default", "x"}


def test_a_relative_address_is_another_store_in_another_folder(
    outside: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    monkeypatch.setattr(store_module, "_make_tables", lambda address: copied(empty_database, address))
    found = []
    for name in ("a", "b"):
        (outside / name).mkdir()
        monkeypatch.chdir(outside / name)
        found.append(open_store().tracking_uri)
    assert found == [f"sqlite:///{outside}/{name}/here.db" for name in ("a", "b")]
    assert (outside / "b" / "here.db").is_file()


def test_only_connections_to_the_store_wait_for_the_disk_at_checkpoints_alone(tmp_path: Path) -> None:
    ours, other = (sqlite_file(f"sqlite:///{tmp_path}/{name}.db") for name in ("ours", "other"))
    sync_at_checkpoints(ours.path)
    found = {}
    for file in (ours, other):
        for mode in ("delete", "wal"):
            with closing(sqlite3.connect(file.path)) as database:
                database.execute(f"PRAGMA journal_mode={mode}")
            engine = create_engine(file.address)
            with engine.connect() as connection:
                found[file.path.stem, mode] = connection.execute(text("PRAGMA synchronous")).scalar()
            engine.dispose()
    full, normal = 2, 1
    assert found == {
        ("ours", "delete"): full,
        ("ours", "wal"): normal,
        ("other", "delete"): full,
        ("other", "wal"): full,
    }
