"""The history of a run, and other tables among its artifacts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from reports.reading.gone import Gone

Floats = npt.NDArray[np.float64]
CURVES = (
    "train/mse",
    "test/mse",
    "train/residual",
    "val/residual",
    "train/boundary",
    "lr",
    "time/train_s",
    "evals",
    "kan/grid",
)
MOST_ROWS = 1_000_000
"""The most epochs that a run can have."""


ALIKE = frozenset({"lr", "evals", "kan/grid"})
"""Curves that the seeds of a model have alike."""
MOST_KEPT = 4096
"""Of what many runs have alike, kept once for all of them."""


@dataclass(frozen=True, slots=True)
class History:
    """The curves of a run, a value for each epoch that it did; those that it did not reach are left out."""

    epoch: npt.NDArray[np.int64]
    stage: Sequence[str] = field(repr=False)
    curves: dict[str, Floats] = field(repr=False)
    planned: int = 0
    """Epochs that were planned."""

    def __getitem__(self, name: str) -> Floats:
        """A curve by the name of its metric; all NaN if the run has none of that name."""
        found = self.curves.get(name)
        return np.full(len(self.epoch), np.nan) if found is None else found

    @property
    def objective(self) -> str:
        """The curve of what the training lowers: its MSE, or of an equation its residual."""
        return "train/residual" if "train/residual" in self.curves else "train/mse"


def read_history(path: Path) -> History:
    """The history in a file. Raises Gone when it can't be read, or is not one."""
    table = _read(path, ["epoch", "stage"], CURVES)
    try:
        epoch = table["epoch"].to_numpy().astype(np.int64)
        stage = table["stage"].to_numpy().tolist()
        curves = {name: _floats(table[name]) for name in table.column_names[2:]}
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise Gone(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error
    if "train/mse" not in curves:
        raise Gone("history.parquet has no train/mse")
    planned = len(epoch)
    if not set(map(type, stage)) <= {str}:
        done = np.array([isinstance(name, str) for name in stage], dtype=bool)
        epoch, curves = epoch[done], {name: values[done] for name, values in curves.items()}
        stage = [name for name in stage if isinstance(name, str)]
    return History(
        _ints_kept_once(epoch.tobytes()),
        _names_kept_once(tuple(stage)),
        {n: _floats_kept_once(values.tobytes()) if n in ALIKE else values.copy() for n, values in curves.items()},
        planned,
    )


@lru_cache(MOST_KEPT)
def _ints_kept_once(content: bytes) -> npt.NDArray[np.int64]:
    return np.frombuffer(content, np.int64)


@lru_cache(MOST_KEPT)
def _floats_kept_once(content: bytes) -> Floats:
    return np.frombuffer(content, np.float64)


@lru_cache(MOST_KEPT)
def _names_kept_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(sys.intern, names))


def read_columns(path: Path, names: Sequence[str]) -> dict[str, Floats]:
    """Columns of numbers in a file. Raises Gone when it can't be read, or lacks one."""
    table = _read(path, names)
    try:
        return {name: _floats(table[name]) for name in names}
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise Gone(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error


def _read(path: Path, names: Sequence[str], further: Sequence[str] = ()) -> pa.Table:
    """These columns of a file, and of ``further`` ones those that are there."""
    try:
        # Not read_table, which sets up a data set of files first: five times the time for one this small. And not by its
        # path, which is taken for an address first.
        with pq.ParquetFile(pa.BufferReader(path.read_bytes())) as file:
            if file.metadata.num_rows > MOST_ROWS:
                raise Gone(f"{path.name} has {file.metadata.num_rows} rows, more than any run can have")
            there = set(file.schema_arrow.names)
            if lacking := [name for name in names if name not in there]:
                raise Gone(f"{path.name} has no column {lacking[0]!r}")
            return file.read(columns=[*names, *(name for name in further if name in there)], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise Gone(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), dtype=np.float64)
