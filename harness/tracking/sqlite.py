"""A SQLite file: what its address means, a look at it that changes nothing, and making a new one whole.

For MLflow's tables and for Optuna's alike.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import URL, Engine, event, make_url

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database while it is at work."""
_OF_THE_DRIVER = ("uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements")
_TRUE = ("true", "1", "yes", "on")


@dataclass(frozen=True)
class SqliteFile:
    """What an address says."""

    path: Path
    """The file itself, symbolic links followed: two names of one file have one lock."""
    address: str
    """The same for any working folder, and for whatever opens it: MLflow, Optuna or SQLAlchemy."""
    reads_only: bool

    @property
    def is_there(self) -> bool:
        """False also for an empty file, which SQLite takes for a new database."""
        return self.path.is_file() and self.path.stat().st_size > 0

    def untouched(self) -> str:
        """An address at which a look leaves no trace, not even a companion, which a read-only WAL database gets."""
        beside = any(self.path.with_name(self.path.name + end).exists() for end in COMPANIONS)
        return _address(self.path, {"mode": "ro"} if beside else {"immutable": "1"})


def is_sqlite(address: str) -> bool:
    """Whether an address names a SQLite file."""
    return address.partition(":")[0].partition("+")[0].lower() == "sqlite"


def sqlite_file(address: str) -> SqliteFile:
    """What an address of SQLite says: ``sqlite:///file``, ``sqlite:////absolute/file``, ``sqlite:///file:...?uri=true``.

    ``mode=ro`` opens it read-only also without ``uri=true``, without which SQLAlchemy would drop it. Raises ValueError or
    SQLAlchemyError for an address that is malformed or names no file.
    """
    url = make_url(address)
    if url.host or url.username or url.port:
        raise ValueError("write sqlite:///file.db, or with four slashes an absolute path")
    options = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    name = url.database or ":memory:"
    if options.pop("uri", "").lower() in _TRUE and name.startswith("file:"):
        name = unquote(name.removeprefix("file:"))
        name = name if not name.startswith("//") else "/" + name[2:].partition("/")[2]
    if ":memory:" in name or options.get("mode") == "memory":
        raise ValueError("a database in memory is gone with the process that made it; give a file")
    path = Path(name).absolute()
    reads_only = options.get("mode") == "ro" or options.get("immutable", "").lower() in _TRUE
    if options.get("mode") in ("ro", "rw") and not path.is_file():
        raise ValueError("there is no such file")
    if reads_only and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        options["immutable"] = "1"  # SQLite could not make the companions that it reads a WAL database with
    return SqliteFile(path.resolve(), _address(path, options), reads_only)


def _address(path: Path, options: dict[str, str]) -> str:
    if not options.keys() - set(_OF_THE_DRIVER):
        plain = "&".join(f"{name}={value}" for name, value in options.items())
        address = f"sqlite:///{path}" + (f"?{plain}" if plain else "")
        if make_url(address).database == str(path):
            return address
    # Without slashes, because MLflow makes the folders of whatever it takes for a path.
    name = "file:" + quote(os.fsencode(path), safe="")
    return URL.create("sqlite", database=name, query={**options, "uri": "true"}).render_as_string()


def check_place(file: SqliteFile) -> None:
    """Raise OSError unless the file could be made, or is one."""
    if file.path.exists() and not file.path.is_file():
        raise OSError("it is a folder" if file.path.is_dir() else "it is no file")
    if not file.path.parent.is_dir():
        raise OSError(f"there is no folder {str(file.path.parent)!r}")
    if not file.is_there and not os.access(file.path.parent, os.W_OK):
        raise OSError(f"the folder {str(file.path.parent)!r} can't be written")


def make_whole(file: SqliteFile, make: Callable[[str], None]) -> None:
    """Let ``make`` fill a new database beside the file, and put it in its place when it is whole.

    To be called under the file's lock. A process that is killed here leaves at most the file beside it, which the next
    one removes. In WAL mode, in which readers and writers of several processes get past one another (sqlite.org/wal.html).
    """
    beside = file.path.with_name(f"{file.path.name}.new")
    _remove(beside)
    try:
        with closing(sqlite3.connect(beside)) as database:
            database.execute(
                "PRAGMA journal_mode=WAL"
            )  # first: with a journal, making the tables takes five times as long
        make(_address(beside, {}))
        with beside.open("rb") as made:
            os.fsync(made)  # what was made :func:`unsynced` is on the disk before it has the name of a store
        # Those of a file that was deleted: SQLite too removes them when it makes a new one.
        for end in COMPANIONS:
            file.path.with_name(file.path.name + end).unlink(missing_ok=True)
        beside.replace(file.path)
    except BaseException:
        _remove(beside)
        raise


@contextmanager
def unsynced(path: Path) -> Iterator[None]:
    """Connections to this database that begin in here don't wait for the disk: for a file that no other process uses yet.

    MLflow makes its tables in hundreds of transactions, and waiting for the disk after each took a second.
    """

    def begin(connection: Any, record: object) -> None:
        if _opens(connection, {str(path)}):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", begin)
    try:
        yield
    finally:
        event.remove(Engine, "connect", begin)


def sync_at_checkpoints(path: Path) -> None:
    """From now on, this process waits for the disk once in a thousand pages of this database, not at each of its commits.

    In WAL mode, and only then, that is safe: the file stays whole, and of a process that is killed nothing is lost. A power cut
    may take back the last transactions, whole ones and the newest first (sqlite.org/pragma.html#pragma_synchronous). Connections
    of other processes wait as they like.
    """
    if not _at_checkpoints:
        event.listen(Engine, "connect", _begin_at_checkpoints)
    _at_checkpoints.add(str(path))


_at_checkpoints: set[str] = set()


def _begin_at_checkpoints(connection: Any, record: object) -> None:
    if _opens(connection, _at_checkpoints) and connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        connection.execute("PRAGMA synchronous=NORMAL")


def _opens(connection: Any, paths: set[str]) -> bool:
    """Whether a connection is one to SQLite, and to one of these files."""
    if not isinstance(connection, sqlite3.Connection):
        return False
    return any(name in paths for _, _, name in connection.execute("PRAGMA database_list"))


def _remove(path: Path) -> None:
    for end in ("", *COMPANIONS):
        path.with_name(path.name + end).unlink(missing_ok=True)
