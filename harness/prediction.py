"""A run's model on the rows of a file.

The model is rebuilt from the run's checkpoint, numbers and a configuration: an exported program is code, and what a store
holds is not executed.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness import problems
from harness.errors import BadInput, quoted
from harness.machine import refuse_unwritable
from harness.models import Regressor, load_checkpoint
from harness.problems.columns import Columns, check_column, numbers, read_columns, refuse_missing
from harness.tracking.fetching import download, find_run
from harness.tracking.store import lost_in_one_sentence, open_store

if TYPE_CHECKING:
    from harness.problems import Problem

FORMATS = (".parquet", ".csv")
ROUNDING = 1e-9
"""Of the width of the domain: what a row may lie outside of it by."""


@dataclass(frozen=True)
class Predicted:
    """What has been predicted, by which run, and where it is."""

    run_name: str
    run_id: str
    outcome: str
    rows: int
    outside: int
    """Rows beyond the domain on which the model was trained, where it extrapolates."""
    path: Path

    def told(self) -> list[tuple[str, str]]:
        """What the command prints, by lines of a name and what there is to say."""
        lines = [("run", f"{self.run_name}  ({self.run_id})")]
        if self.outcome != "completed":
            lines.append(("outcome", f"{self.outcome}: the model is what there was of it at the end"))
        lines.append(("predicted", f"{self.rows:,} rows"))
        if self.outside:
            lines.append(("beyond", f"{self.outside:,} of them lie outside of what the model was trained on"))
        return [*lines, ("written", str(self.path))]


def predict(run: str, points: str, out: str) -> Predicted:
    """Write the columns of ``points`` and the predictions of a run for each row, in raw units, to ``out``.

    ``run`` is an id or a name, ``points`` a file of any format that ``data`` may have, with a column for each input of
    the model, found by its name. The predictions are ``prediction``, or ``prediction/<output>`` where there are several.
    Raises BadInput for a file, a run or a checkpoint that can't be used, before anything is written.
    """
    path = Path(out)
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"out = {quoted(out)} has an extension that is not known; allowed: {', '.join(FORMATS)}.")
    refuse_unwritable("out", path, folder=False)
    columns = read_columns(points, "points")
    if path.exists() and path.samefile(points):
        raise BadInput(f"out = {quoted(out)} is the file with the points; give it another name.")
    with lost_in_one_sentence(), tempfile.TemporaryDirectory() as folder:
        client = open_store(reading=True)
        of = find_run(client, run)
        try:
            checkpoint = download(client, of.info.run_id, "checkpoint", Path(folder))
        except OSError as error:
            raise BadInput(f"run = {quoted(run)} has no model that can be had: {error}.") from error
        problem, model = _rebuilt(run, checkpoint)
    x = torch.from_numpy(_points(columns, problem))
    values = model.predict(x).double().numpy()
    outside = int((model.scaled(x).abs() > 1 + ROUNDING).any(dim=1).sum())
    _write(path, columns, problem, values)
    outcome = of.data.tags.get("outcome", of.info.status.lower())
    return Predicted(of.info.run_name, of.info.run_id, outcome, len(x), outside, path)


def _rebuilt(run: str, checkpoint: Path) -> tuple[Problem, Regressor]:
    try:
        config, model = load_checkpoint(checkpoint)
    except BadInput as error:
        said = str(error).removeprefix(f"checkpoint = {str(checkpoint)!r} ")
        raise BadInput(f"run = {quoted(run)} has a checkpoint that {said}") from error
    return problems.of_columns(config) if config.data else problems.get(config.problem), model.eval()


def _points(columns: Columns, problem: Problem) -> Any:
    """The inputs of each row, of shape ``(rows, dimension)``."""
    for name in problem.inputs:
        check_column(columns, name, "input")
    x = np.stack([numbers(columns, name) for name in problem.inputs], axis=1)
    refuse_missing(columns, list(problem.inputs), ~np.isnan(x), ", or leave it out")
    return x


def _write(path: Path, columns: Columns, problem: Problem, values: Any) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    table = columns.data
    for output, column in zip(problem.outputs, values.T, strict=True):
        name = "prediction" if len(problem.outputs) == 1 else f"prediction/{output}"
        if name in columns.names:
            raise BadInput(f"{columns.what} has a column {quoted(name)} already; give it another name.")
        table = table.append_column(name, pa.array(np.ascontiguousarray(column)))
    partial = path.resolve().with_name(f"{path.name}.part")  # what is there already stays until all is written
    try:
        with partial.open("wb") as file:
            parquet.write_table(table, file) if path.suffix.lower() == ".parquet" else csv.write_csv(table, file)
        partial.replace(path.resolve())
    except (OSError, pa.ArrowException) as error:
        partial.unlink(missing_ok=True)
        raise BadInput(f"out = {quoted(str(path))} can't be written: {str(error).splitlines()[0]}.") from error
