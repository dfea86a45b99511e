"""Cells made by hand: of problems that are in no registry, with predictions in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow import MlflowClient

from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.histories import Floats
from reports.reading.run import Run

NOTHING = Artifacts(MlflowClient("http://127.0.0.1:1"))
"""No test with this asks a server: what it reads lies in folders."""


def facts(inputs: Sequence[str], outputs: Sequence[str] = ("f",), kind: str = "formula", **others: Any) -> str:
    """The tag ``problem.facts``."""
    known: dict[str, Any] = {"dimension": len(inputs), "scale2": 1.0, "smooth": True, "formula": "f"}
    known["sections"] = ["mine"]
    return json.dumps(known | {"inputs": list(inputs), "outputs": list(outputs), "kind": kind} | others)


def made(
    of: str,
    metrics: Mapping[str, float] | None = None,
    *,
    model: str = "kan",
    problem: str = "mine",
    seed: int = 0,
    folder: Path | str = "/nowhere",
    outcome: str = "completed",
    tags: Mapping[str, str] | None = None,
    variant: str = "",
    **fields: Any,
) -> Cell:
    """A cell whose run has ended, of a problem with these facts; ``fields`` are those of its configuration."""
    params = {f"cfg/{name}": str(value) for name, value in fields.items()}
    run = Run(
        f"{model}-{problem}-{seed}-{folder}",  # what the artifacts are remembered by
        "0",
        "e",
        "n",
        "FINISHED",
        0.0,
        1.0,
        str(folder),
        {"outcome": outcome, **(tags or {})},
        params,
        dict(metrics or {}),
    )
    return Cell(f"{model}{seed}{params}", model, problem, "tuned", seed, 10, run, facts=of, variant=variant)


def write_dense(folder: Path, columns: Mapping[str, Floats]) -> None:
    """``dense.parquet``, as a run leaves it."""
    pq.write_table(pa.table({name: np.asarray(values) for name, values in columns.items()}), folder / "dense.parquet")


def write_history(folder: Path, curves: Mapping[str, Sequence[float] | Floats], stages: Sequence[str] = ()) -> Path:
    """``history.parquet`` of as many epochs as the curves have values, in a folder that is made for it; gives the folder."""
    count = len(next(iter(curves.values())))
    table = {"epoch": np.arange(1, count + 1), "stage": list(stages) or ["train"] * count, "train/mse": np.ones(count)}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({**table, **{name: np.array(values) for name, values in curves.items()}}), folder / "history.parquet"
    )
    return folder
