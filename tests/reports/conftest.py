"""A store made by real, tiny runs: a benchmark of eleven cells, one of them planned and never run, and what surrounds it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from harness.config import RunConfig
from harness.fingerprint import fingerprint_of
from harness.run import run
from harness.tracking.parent import child_tags, end_parent, open_parent, write_table
from harness.tracking.store import open_store
from tests.conftest import MLFLOW_VARIABLES
from tests.support import made_once, small

BENCHMARK = "tiny-00000001"
PLANNED: list[RunConfig] = [
    *(small("siren", epochs=24, seed=seed) for seed in range(3)),
    small("siren", problem="poisson_1d_poly", epochs=24, preset="lm"),
    small("siren", epochs=24, lr=1e6),
    small("mlp", epochs=3),
    small("kan", epochs=6),
    *(small("kan_pruned", epochs=8, seed=seed) for seed in range(2)),
    small("kan_pruned", problem="poisson_1d_poly", epochs=8),
]
MISSING = small("mlp", problem="poisson_1d_poly", epochs=3)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that store; tests get copies."""
    return made_once(tmp_path_factory, "reported", _fill)


def _fill(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in MLFLOW_VARIABLES:
            patch.delenv(name, raising=False)
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        client = open_store()
        plan_and_run(client, BENCHMARK, [*PLANNED, MISSING], PLANNED)
        run(small("siren", epochs=4, seed=9))  # of no benchmark
        with closing(sqlite3.connect("mlflow.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def plan_and_run(client: MlflowClient, name: str, planned: list[RunConfig], made: list[RunConfig]) -> str:
    """A benchmark as the driver leaves it, without its worker processes. Gives the parent's id."""
    tags = {"benchmark": name, "suite": "tiny"}
    parent = str(open_parent(client, "tiny", name, tags).info.run_id)
    rows = [
        {field: getattr(config, field) for field in ("model", "problem", "preset", "seed", "epochs")}
        | {"fingerprint": fingerprint_of(config)}
        for config in planned
    ]
    write_table(client, parent, "plan.json", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "tiny")
        for config in made:
            run(config, tags=tags | child_tags(parent))
    end_parent(client, parent, "completed", "All done.", "FINISHED")
    return parent


@pytest.fixture
def filled(template: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A copy of the store, artifacts and all, named by ``MLFLOW_TRACKING_URI``, that a test may damage."""
    copied(template, outside / "store", monkeypatch)
    return MlflowClient(os.environ["MLFLOW_TRACKING_URI"])


def copied(template: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A copy of the store, in use while the patch holds."""
    # MLflow remembers where the artifacts of a run id are, and these ids have been used by other copies.
    _artifact_repos_cache.clear()
    shutil.copytree(template, folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(template), str(folder)))
        database.commit()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
