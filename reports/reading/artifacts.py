"""The artifacts of the runs, wherever they lie; read when they are asked for."""

from __future__ import annotations

import gc
import itertools
import os
import stat
import tempfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from reports.parallel import parallel_map
from reports.reading.gone import Gone
from reports.reading.histories import History, read_history
from reports.reading.png import check_png
from reports.reading.run import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient


AHEAD = 4096
"""Runs that are read at once: so many histories pass from one process to another."""
MOST_PICTURES, LARGEST_PICTURE = 50, 2**26
"""Pictures of a run that are looked at before they are asked for, and bytes of one: several times what runs leave."""


class Artifacts:
    """The artifacts of the runs of a store. What is known of histories (some kB each) and of pictures is kept."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._histories: dict[str, History | Gone] = {}
        self._pictures: dict[tuple[str, str], Gone | None] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="harness-report-")

    def path(self, run: Run, name: str) -> Path:
        """Where an artifact, file or folder, can be read. Raises Gone when it is not there."""
        folder = _folder(run.artifact_uri)
        if folder is not None:
            path = folder / name
            if _status(path) is None:
                of_folder = _status(folder)
                if of_folder is not None and stat.S_ISDIR(of_folder.st_mode):
                    raise Gone(f"{name} is not there")
                raise Gone("its artifacts are gone", all_of_them=True)
            return path
        from harness.tracking.fetching import download  # with MLflow, which artifacts on this machine do without

        try:
            # Not by the run's id: that is what the server says it is.
            return download(self._client, run.run_id, name, Path(tempfile.mkdtemp(dir=self._folder.name)))
        except OSError as error:
            raise Gone(str(error)) from error

    def read_ahead(self, runs: Iterable[Run]) -> None:
        """Read the histories of these runs, and look at their pictures, by several processes. What lies on another machine is
        read when it is asked for.
        """
        here = list(filter(is_here, runs))
        for start in range(0, len(here), AHEAD):
            part = here[start : start + AHEAD]
            for run, (history, pictures) in zip(part, parallel_map(self._look_at, part), strict=True):
                self._histories[run.run_id] = history
                self._pictures |= {(run.run_id, name): found for name, found in pictures.items()}
            gc.freeze()  # they stay, as the runs do (reports.report)

    def _look_at(self, run: Run) -> tuple[History | Gone, dict[str, Gone | None]]:
        """Its history, and the pictures that are there, each with what is wrong with it."""
        try:
            there = itertools.islice(self.path(run, "figures").glob("*.png"), MOST_PICTURES)
            pictures = {f"figures/{path.name}": path for path in there}
        except (Gone, OSError):
            pictures = {}
        return self._read_history(run), {name: _flaw(path, name) for name, path in pictures.items()}

    def history(self, run: Run) -> History:
        """The history of a run. Raises Gone when ``history.parquet`` is not there or can't be read."""
        if run.run_id not in self._histories:
            self._histories[run.run_id] = self._read_history(run)
        found = self._histories[run.run_id]
        if isinstance(found, Gone):
            raise found.with_traceback(None)  # which would grow each time
        return found

    def _read_history(self, run: Run) -> History | Gone:
        try:
            return read_history(self.path(run, "history.parquet"))
        except Gone as gone:
            return gone

    def check_picture(self, run: Run, name: str) -> None:
        """Raise Gone unless the PNG is there, whole, and shows more than one colour."""
        key = run.run_id, name
        if key not in self._pictures:
            self._pictures[key] = _flaw(self.path(run, name), name)
        if (gone := self._pictures[key]) is not None:
            raise gone.with_traceback(None)


def _flaw(path: Path, name: str) -> Gone | None:
    """What is wrong with a picture; None for nothing."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Gone(f"{name} is no file")
        if status.st_size > LARGEST_PICTURE:
            return Gone(f"{name} is larger than any picture of a run")
        check_png(path.read_bytes())
    except (OSError, ValueError, zlib.error) as error:
        return Gone(f"{name}: {error}")
    return None


def _status(path: Path) -> os.stat_result | None:
    """None for what is not there, or can't be: :meth:`Path.exists` raises for a name that is too long."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def is_here(run: Run) -> bool:
    """Whether its artifacts lie on this machine, where they can be read without the store."""
    try:
        return _folder(run.artifact_uri) is not None
    except Gone:
        return False


@lru_cache(maxsize=64)  # several artifacts of a run are asked for, one after the other
def _folder(uri: str) -> Path | None:
    """The folder on this machine that an address names; None for one that is elsewhere. Raises Gone for no address."""
    try:
        place = urlparse(uri)
    except ValueError as error:
        raise Gone(f"its artifacts have no address: {error}") from error
    return Path(unquote(place.path)) if place.scheme in ("", "file") else None
