"""How MLflow predicts with a model of this project: this file lies beside the model, and runs where the project is not.

The flavour of MLflow alone would round the numbers of a DataFrame to float32, and would take one dtype only.
"""

from __future__ import annotations

from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd


class Predictor:
    """Predictions at points that come as an array, a list of rows, or a DataFrame."""

    def __init__(self, model: Any, inputs: list[str]) -> None:
        self.model = model
        self.inputs = inputs

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Float64 of shape ``(points,)``, or ``(points, outputs)`` where there are several.

        Columns of a DataFrame that have the names of the inputs are found by them, others by their position. Raises
        ValueError where some have and some have not. A NaN gives a NaN for that point.
        """
        if isinstance(data, pd.DataFrame):
            known = [name for name in self.inputs if name in data.columns]
            if known and known != self.inputs:
                raise ValueError(f"The columns are {list(data.columns)}; the model's inputs are {self.inputs}.")
            data = data[known] if known else data
        return self.model.predict(np.array(data, dtype=np.float64, order="C"), params)


def _load_pyfunc(path: str, model_config: dict[str, Any]) -> Predictor:
    """What MLflow calls; the names of the inputs come from the file MLmodel."""
    return Predictor(mlflow.pytorch._load_pyfunc(path, model_config), model_config["inputs"])
