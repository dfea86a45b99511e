"""The artifacts of the runs, wherever they lie; read when they are asked for."""

from __future__ import annotations

import tempfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from reports.reading.gone import Gone
from reports.reading.histories import History, read_history
from reports.reading.png import check_png
from reports.reading.run import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Artifacts:
    """The artifacts of the runs of a store; histories are kept once they are read (some kB each)."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._histories: dict[str, History | Gone] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="harness-report-")

    def path(self, run: Run, name: str) -> Path:
        """Where an artifact, file or folder, can be read. Raises Gone when it is not there."""
        folder = _folder(run.artifact_uri)
        if folder is not None:
            path = folder / name
            if not path.exists():
                if path.parents[name.count("/")].is_dir():
                    raise Gone(f"{name} is not there")
                raise Gone("its artifacts are gone", all_of_them=True)
            return path
        from harness.tracking.fetching import download  # with MLflow, which artifacts on this machine do without

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


@lru_cache(maxsize=64)  # several artifacts of a run are asked for, one after the other
def _folder(uri: str) -> Path | None:
    """The folder on this machine that an address names; None for one that is elsewhere. Raises Gone for no address."""
    try:
        place = urlparse(uri)
    except ValueError as error:
        raise Gone(f"its artifacts have no address: {error}") from error
    return Path(unquote(place.path)) if place.scheme in ("", "file") else None
