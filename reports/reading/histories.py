"""What lies in the artifacts of a run: its history, its figures, its last finite state. Read when it is asked for."""

from __future__ import annotations

import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from reports.reading.store import Run, download

if TYPE_CHECKING:
    from mlflow import MlflowClient

Floats = npt.NDArray[np.float64]
CURVES = ("train/mse", "test/mse", "lr", "time/train_s", "evals", "kan/grid")
MOST_ROWS = 1_000_000
"""The most epochs that a run can have."""
MOST_PIXELS = 20_000
"""Of a row of a picture."""
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a pixel, by the colour type of a PNG."""
PNG = b"\x89PNG\r\n\x1a\n"


class Gone(Exception):
    """An artifact that a verdict needs is not there or is damaged; the message says which and how."""

    def __init__(self, message: str, all_of_them: bool = False) -> None:
        super().__init__(message)
        self.all_of_them = all_of_them
        """Whether the run has no artifacts at all."""


@dataclass(frozen=True)
class History:
    """The curves of a run, a value for each epoch that it did; those that it did not reach are left out."""

    epoch: npt.NDArray[np.int64]
    stage: list[str] = field(repr=False)
    curves: dict[str, Floats] = field(repr=False)
    planned: int = 0
    """Epochs that were planned."""

    def __getitem__(self, name: str) -> Floats:
        """A curve by the name of its metric; all NaN if the run has none of that name."""
        return self.curves.get(name, np.full(len(self.epoch), np.nan))


class Artifacts:
    """The artifacts of the runs of a store; histories are kept once they are read (some kB each)."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._histories: dict[str, History | Gone] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="harness-report-")

    def path(self, run: Run, name: str) -> Path:
        """Where an artifact, file or folder, can be read. Raises Gone when it is not there."""
        try:
            place = urlparse(run.artifact_uri)
        except ValueError as error:
            raise Gone(f"its artifacts have no address: {error}") from error
        if place.scheme in ("", "file"):
            path = Path(unquote(place.path)) / name
            if not path.exists():
                if path.parents[name.count("/")].is_dir():
                    raise Gone(f"{name} is not there")
                raise Gone("its artifacts are gone", all_of_them=True)
            return path
        try:
            # Not by the run's id: that is what the server says it is.
            return download(self._client, run.run_id, name, Path(tempfile.mkdtemp(dir=self._folder.name)))
        except OSError as error:
            raise Gone(str(error)) from error

    def history(self, run: Run) -> History:
        """The history of a run. Raises Gone when ``history.parquet`` is not there or can't be read."""
        if run.run_id not in self._histories:
            try:
                self._histories[run.run_id] = read_history(self.path(run, "history.parquet"))
            except Gone as gone:
                self._histories[run.run_id] = gone
        found = self._histories[run.run_id]
        if isinstance(found, Gone):
            raise found
        return found

    def check_picture(self, run: Run, name: str) -> None:
        """Raise Gone unless the PNG is there, whole, and shows more than one colour."""
        try:
            check_png(self.path(run, name).read_bytes())
        except (OSError, ValueError, zlib.error) as error:
            raise Gone(f"{name}: {error}") from error


def read_history(path: Path) -> History:
    """The history in a file. Raises Gone when it can't be read, or is not one."""
    table = _read(path, ["epoch", "stage"], CURVES)
    try:
        epoch = table["epoch"].to_numpy().astype(np.int64)
        stage = table["stage"].to_pylist()
        curves = {name: _floats(table[name]) for name in CURVES if name in table.column_names}
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise Gone(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error
    if "train/mse" not in curves:
        raise Gone("history.parquet has no train/mse")
    done = np.array([isinstance(name, str) for name in stage], dtype=bool)
    return History(
        epoch[done],
        [sys.intern(name) for name in stage if isinstance(name, str)],  # a name a stage, not one an epoch
        {name: values[done] for name, values in curves.items()},
        len(epoch),
    )


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
        # Not read_table, which sets up a data set of files first: five times the time for one this small.
        with pq.ParquetFile(path) as file:
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


def check_png(content: bytes) -> None:
    """Raise ValueError unless this is a whole PNG, by its checksums, of more than one colour.

    It is unpacked only as far as it takes to see a second colour: a picture of one colour has at most ten different rows
    after the five filters of PNG (specification, section 9), each on the first row and on others.
    """
    if not content.startswith(PNG):
        raise ValueError("is not a PNG")
    width, bits, packed, ended = 0, 0, [], False
    for kind, data in _chunks(content):
        if kind == b"IHDR":
            width, bits = int.from_bytes(data[:4]), data[8] * SAMPLES.get(data[9], 0) if len(data) == 13 else 0
            if not 0 < width <= MOST_PIXELS or not bits:
                raise ValueError("has a header that is of no picture")
        elif kind == b"IDAT":
            packed.append(data)
        ended = kind == b"IEND"
    if not ended or not packed:
        raise ValueError("is cut short")
    row = 1 + (width * bits + 7) // 8
    unpack, rest, seen = zlib.decompressobj(), b"".join(packed), set()
    left = b""
    while rest or left:
        block = left + unpack.decompress(rest, 32 * row)
        rest = unpack.unconsumed_tail
        seen |= {block[start : start + row] for start in range(0, len(block) - row + 1, row)}
        left = block[len(block) - len(block) % row :] if rest else b""
        if len(seen) > 10:
            return
    raise ValueError("is blank")


@dataclass(frozen=True)
class Panel:
    """Axes of a figure: the limits of y, and the least and largest y of each curve by its name."""

    shown: tuple[float, float]
    data: dict[str, tuple[float, float]]


PANELS = TypeAdapter(list[Panel])


def panels(path: Path) -> list[Panel]:
    """What a figure of a run says of its axes, in its own text chunk ``axes``. Raises Gone where it says nothing usable."""
    try:
        for kind, data in _chunks(path.read_bytes()):
            name, _, text = data.partition(b"\0")
            if (kind, name) == (b"tEXt", b"axes"):
                return PANELS.validate_json(text)
    except (OSError, ValueError) as error:
        raise Gone(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error
    raise Gone(f"{path.name} says nothing of its axes; an older version drew it")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        if zlib.crc32(kind + data) != int.from_bytes(content[at + 8 + size : at + 12 + size]):
            raise ValueError("is damaged")
        yield kind, data
        at += 12 + size
