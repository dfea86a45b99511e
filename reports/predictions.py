"""What a model of the store predicts on the dense grid, from its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harness import problems
from harness.data import dense_points
from harness.errors import BadInput
from harness.models import load_checkpoint
from reports.evidence import Cell
from reports.histories import Artifacts, Floats, Gone


@dataclass(frozen=True)
class Prediction:
    """Inputs ``(points, dimension)``, target and prediction ``(points,)`` on the dense grid, in raw units."""

    cell: Cell
    x: Floats
    target: Floats
    values: Floats

    @property
    def mse(self) -> float:
        """Dense MSE, computed anew."""
        return float(np.mean((self.values - self.target) ** 2))


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
    """Load the checkpoint of a cell's run and evaluate it. Raises Gone when it is not there or can't be loaded."""
    if cell.run is None:
        raise Gone("there is no run")
    try:
        config, model = load_checkpoint(artifacts.path(cell.run, "checkpoint"))
        problem = problems.get(config.problem)
        x = dense_points(problem)
        target = problem.values(x)
    except BadInput as error:
        raise Gone(str(error)) from error
    with torch.no_grad():
        values = model(x.to(model.mean.dtype)).double()
    return Prediction(cell, x.numpy(), target.flatten().numpy(), values.flatten().numpy())
