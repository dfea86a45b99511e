"""What a run leaves behind besides numbers: datasets, as MLflow itself would describe them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas

from harness.data import Sample
from harness.problems import Problem
from harness.tracking.artifacts import write_datasets
from tests.figures.support import formula, rows

NUMBERS = np.linspace(0, 1, 12).reshape(6, 2)
PROBLEMS = [
    (formula(lambda x: x[:, :1], 2), ["x", "y", "target"]),
    (formula(lambda x: x, 2, outputs=("p", "q")), ["x", "y", "target/p", "target/q"]),
    (rows(NUMBERS, NUMBERS, ("a", "b $"), ("größe", "d")), ["a", "b $", "größe", "d"]),
]


@pytest.mark.parametrize(("problem", "columns"), PROBLEMS, ids=["a formula", "several outputs", "rows of a file"])
def test_a_dataset_is_described_as_by_mlflow_which_looks_at_every_number(
    problem: Problem, columns: list[str], store: MlflowClient
) -> None:
    x = torch.from_numpy(NUMBERS)
    sample = Sample(x, x[:, : len(problem.outputs)])
    run = store.create_run("0")
    write_datasets(store, run, problem, {("mine", "train"): sample})
    inputs = store.get_run(run.info.run_id).inputs
    assert inputs is not None
    (found,) = inputs.dataset_inputs
    frame = pd.DataFrame(np.hstack([sample.x, sample.y]), columns=columns)
    expected = from_pandas(frame, name="mine", targets=columns[2], digest=sample.digest)._to_mlflow_entity()
    assert dict(found.dataset) == dict(expected)
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "train")]
