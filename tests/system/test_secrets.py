"""A password in every address, and none of it on the terminal, in the stores, the artifacts or the report."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.postgres import Server
from tests.studies.support import QUICK
from tests.support import as_options
from tests.test_cli import call


def contents(address: str) -> str:
    """Everything that a PostgreSQL database holds, as text."""
    with psycopg.connect(address.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for (name,) in tables]
    assert sum(map(len, rows)) > 10, "the commands have written something"
    return str(rows)


def test_no_password_leaves_through_what_the_commands_say_and_write(
    postgres: Server, outside: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store, storage = (postgres.fresh_database().replace("harness@", "harness:MARK%40ER@") for _ in range(2))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    study = ["study", "--problem", "poisson_1d_sin", "--trials", "1", "--seeds", "1", "--workers", "1"]
    said = ""
    for command in (
        ["run", "--model", "mlp", *as_options(QUICK), "--width", "4"],
        [*study, "--storage", storage, *as_options(QUICK)],
        ["report", "--experiment", "siren-poisson_1d_sin"],
        ["doctor"],
    ):
        code = call(*command)
        shown = capfd.readouterr()
        said += shown.out + shown.err
        assert code == 0, said
    for address in (store, storage):
        assert f"{address.replace('MARK%40ER', '***')}" in said, "the address is shown, without the password"
    written = said + contents(store) + contents(storage)
    files = [path for path in outside.rglob("*") if path.is_file()]
    assert {"report.html", "command.txt"} <= {path.name for path in files}
    for spelled in ("MARK%40ER", "MARK@ER"):
        assert spelled not in written
        assert [path for path in files if spelled.encode() in path.read_bytes()] == []
