"""Whose tables a database has: looked at before anything is changed in it."""

from __future__ import annotations

from pathlib import Path

import mlflow
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store import db_migrations
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import Connection, inspect

from harness.tracking.queries import has_experiments


def has_tables(connection: Connection) -> bool:
    """Whether MLflow's tables are in a database, of this MLflow; False for one with nothing in it.

    Raises ValueError for those of another MLflow, which opening the store would migrate or break, and for tables of another
    program.
    """
    tables = set(inspect(connection).get_table_names())
    revisions = MigrationContext.configure(connection).get_current_heads()
    ours = {"experiments", "runs"} <= tables
    if not tables - {"alembic_version"} and not revisions:
        return False
    if any(name.startswith("_alembic_tmp_") for name in tables):
        raise ValueError(
            "it was left half made when a process was killed; if it never held a run, remove it, else restore a backup"
        )
    if ours and not revisions:
        # As a process leaves it that was killed between the first tables and their revision: MLflow goes on from there.
        if tables == set(InitialBase.metadata.tables) and not has_experiments(connection):
            return False
        raise ValueError("its tables are of an MLflow from before 1.0")
    if not ours:
        some = ", ".join(sorted(tables - {"alembic_version"})[:3])
        raise ValueError(f"it is the database of another program, with tables such as {some}; give another database")
    scripts = ScriptDirectory(str(Path(db_migrations.__file__).parent))
    if set(revisions) == set(scripts.get_heads()):
        return True
    found = ", ".join(revisions)
    if set(revisions) <= {script.revision for script in scripts.walk_revisions()}:
        raise ValueError(
            f"its tables are those of an older MLflow (schema {found}); back it up and bring them up to date with "
            "`mlflow db upgrade` and its address"
        )
    raise ValueError(
        f"its tables (schema {found}) are of a newer MLflow than the {mlflow.__version__} here; update MLflow"
    )
