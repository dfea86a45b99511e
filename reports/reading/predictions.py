"""What a model of the store predicts on the dense points, as its run has recorded it: no model is loaded for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.protocol import DENSE_POINTS
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.gone import Gone
from reports.reading.histories import Floats, read_columns
from reports.reading.targets import target

BOTH = ("target", "prediction")


@dataclass(frozen=True)
class Prediction:
    """Inputs ``(points, dimension)``, target and prediction ``(points, outputs)`` on the dense points, in raw units: a grid, in
    more than two dimensions scattered points, of a file its held-out rows.
    """

    cell: Cell
    x: Floats
    target: Floats
    values: Floats

    @property
    def mse(self) -> float:
        """Dense MSE, computed anew, the mean over the outputs."""
        return float(np.mean((self.values - self.target) ** 2))

    @property
    def nmse(self) -> float:
        """Dense NMSE, computed anew: of each output over its own variance, the mean over the outputs."""
        errors = np.square(self.values - self.target).mean(axis=0)
        return float(np.mean(errors / np.array([scale2_of(column) for column in self.target.T])))


def scale2_of(values: Floats) -> float:
    """:func:`harness.data.scale2` of an output's numbers that were read; to rounding, and without torch."""
    variance, square = float(values.var()), float(np.square(values).mean())
    return variance if variance > 1e-24 * square else square or 1.0


def median_cell(cells: Sequence[Cell]) -> Cell:
    """The completed cell whose final error is the median, of two middle ones the worse. Raises Gone, with the reasons why
    there is none.
    """
    done = [
        (error, cell.seed, cell)
        for cell in cells
        if cell.outcome == "completed" and (error := cell.error()) is not None
    ]
    if not done:
        raise Gone(why_missing(cells))
    return sorted(done, key=lambda entry: entry[:2])[len(done) // 2][2]


def why_missing(cells: Sequence[Cell]) -> str:
    """Why a model can't be shown, from its first cell that says so."""
    if not cells:
        return "not planned"
    said = next((cell for cell in cells if cell.run is not None), cells[0])
    return f"{said.outcome}{f': {said.run.reason}' if said.run and said.run.reason else ''}"


def predict(cell: Cell, artifacts: Artifacts) -> Prediction:
    """What a cell's run has in ``dense.parquet``. Raises Gone when that is not there, or has other points than it should."""
    known = target(cell)
    if cell.run is None or known is None:
        raise Gone("there is no run" if cell.run is None else "no run says what problem this is")
    alone = len(known.outputs) == 1
    names = {each: [each if alone else f"{each}/{output}" for output in known.outputs] for each in BOTH}
    wanted = [*known.inputs, *names["target"], *names["prediction"]]
    columns = read_columns(artifacts.path(cell.run, "dense.parquet"), wanted)
    count = len(columns[wanted[0]])
    if known.on_grid and count != DENSE_POINTS[known.dimension] ** known.dimension:
        raise Gone(f"dense.parquet has {count} points, which is not the dense grid")
    if not count:
        raise Gone("dense.parquet has no points")
    x, *both = (np.stack([columns[name] for name in some], 1) for some in (known.inputs, *names.values()))
    return Prediction(cell, x, *both)


def predictions_of(
    models: Mapping[str, Sequence[Cell]], artifacts: Artifacts
) -> tuple[dict[str, Prediction], dict[str, str]]:
    """That of the median cell of each model; and of those that have none, why."""
    found, missing = {}, {}
    for model, cells in models.items():
        try:
            found[model] = predict(median_cell(cells), artifacts)
        except Gone as gone:
            missing[model] = str(gone)
    return found, missing
