"""A private PostgreSQL server for the tests: real, in a folder of its own, gone with them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
from mlflow import MlflowClient


def binaries() -> Path | None:
    """The folder of the server's programs, which Debian keeps off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    on_path = shutil.which("pg_ctl")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Server:
    """A server on a free port that trusts everyone on this machine."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as: list[str] = []
        self._migrated: str | None = None
        if os.geteuid() == 0:
            # It refuses to run as root.
            shutil.chown(self.folder, "postgres", "postgres")
            self._as = ["runuser", "-u", "postgres", "--"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._call("initdb", "--auth=trust", "--username=harness", "--no-sync", "-D", str(self.folder / "data"))
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-w", "-m", mode)

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh_database(self, template: str = "template1") -> str:
        """The address of a new database, which is empty or a copy of another one."""
        with psycopg.connect(f"{self._address}/postgres", autocommit=True) as connection:
            number = connection.execute("SELECT count(*) FROM pg_database").fetchone()
            assert number is not None
            name = f"store{number[0]}"
            # Nobody may be connected to what is copied.
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [template])
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self._address.replace('postgresql:', 'postgresql+psycopg:')}/{name}"

    def migrated_database(self, artifacts: Path) -> str:
        """The address of a store that MLflow has made its tables in and nobody has used: a copy, which takes no time.

        ``artifacts`` is where its default experiment keeps them.
        """
        if self._migrated is None:
            uri = self.fresh_database()
            MlflowClient(uri).search_experiments(max_results=1)
            self._migrated = uri.rpartition("/")[2]
        uri = self.fresh_database(self._migrated)
        with psycopg.connect(f"{self._address}/{uri.rpartition('/')[2]}") as connection:
            connection.execute("UPDATE experiments SET artifact_location = %s", [str(artifacts)])
        return uri

    @property
    def _address(self) -> str:
        return f"postgresql://harness@127.0.0.1:{self.port}"

    def _control(self, *arguments: str) -> None:
        self._call("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as, str(self._programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
