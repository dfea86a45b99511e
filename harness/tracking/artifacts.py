"""What a run leaves behind besides numbers, each by a function that writes it or raises."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus, Run
from torch import Tensor

from harness.config import RunConfig
from harness.data import Sample
from harness.loading import load
from harness.models import Regressor, save_checkpoint
from harness.models.frozen import Program, save_program
from harness.problems import Problem
from harness.tracking import harness_logged_model
from harness.tracking.store import patiently
from harness.training import NonFinite

if TYPE_CHECKING:
    from mlflow.models import Model


def import_what_models_need() -> None:
    """Import what :func:`write_model` needs, which takes a second: at the latest there, and before in a process that has time."""
    load("mlflow.pyfunc", "torch.export._trace")


def write_datasets(client: MlflowClient, run: Run, problem: Problem, samples: Mapping[tuple[str, str], Sample]) -> None:
    """Log samples, by their name and their context, as inputs of the run, with the digests of their numbers."""
    inputs, columns = [], [*problem.inputs, *target_columns(problem)]
    # All numbers are float64, so one row says what MLflow would look for in each of them, by Python: seconds for a long file.
    row = pd.DataFrame(np.zeros((1, len(columns))), columns=columns)
    one = from_pandas(row, targets=columns[problem.dimension])._to_mlflow_entity()
    for (name, context), sample in samples.items():
        size = json.dumps({"num_rows": len(sample.x), "num_elements": len(sample.x) * len(columns)})
        dataset = Dataset(name, sample.digest, one.source_type, one.source, one.schema, size)
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    client.log_inputs(run.info.run_id, datasets=inputs)


def write_history(client: MlflowClient, run: Run, history: pd.DataFrame) -> None:
    """``history.parquet``: one row for each planned epoch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.parquet"
        history.to_parquet(path, index=False)
        client.log_artifact(run.info.run_id, str(path))


def target_columns(problem: Problem) -> list[str]:
    """``target``, or ``target/<output>`` of each where there are several; the name of the column for the rows of a file."""
    if problem.table is not None:
        return list(problem.outputs)
    return ["target"] if len(problem.outputs) == 1 else [f"target/{name}" for name in problem.outputs]


def write_dense(client: MlflowClient, run: Run, problem: Problem, dense: Sample, prediction: Tensor) -> None:
    """``dense.parquet``: inputs, target and prediction at the dense points, in raw units.

    Of several outputs the columns are ``target/<output>`` and ``prediction/<output>``.
    """
    suffixes = [""] if len(problem.outputs) == 1 else [f"/{name}" for name in problem.outputs]
    columns = [*problem.inputs, *(f"{what}{suffix}" for what in ("target", "prediction") for suffix in suffixes)]
    values = torch.hstack([dense.x, dense.y, prediction]).cpu().double().numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dense.parquet"
        # 150 kB at most, where the default encoding takes 430.
        table = pa.table(dict(zip(columns, values.T, strict=True)))
        pq.write_table(table, path, compression="zstd", use_dictionary=False, use_byte_stream_split=True)
        client.log_artifact(run.info.run_id, str(path))


EVENTS = "nan_events.json"
TABLES = {"mlflow.loggedArtifacts": json.dumps([{"path": EVENTS, "type": "table"}])}
"""The tag by which MLflow's UI opens a table of a run."""


def write_events(client: MlflowClient, run: Run, events: Sequence[NonFinite]) -> None:
    """``nan_events.json``, a table (``TABLES``); JSON has no NaN or infinity, so these are spelled out."""
    columns = [column.name for column in fields(NonFinite)]
    rows = [{name: _json(value) for name, value in asdict(event).items()} for event in events]
    table = pd.DataFrame(rows, columns=columns).rename(columns={"epoch": "step"})
    # As MLflow's log_table, which looks for an earlier table to add to.
    client.log_text(run.info.run_id, table.to_json(orient="split", index=False, date_format="iso"), EVENTS)


def _json(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_checkpoint(
    client: MlflowClient, run: Run, config: RunConfig, problem: Problem, state: Mapping[str, Tensor]
) -> None:
    """``checkpoint/``, from which :func:`harness.models.load_checkpoint` rebuilds the model."""
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), config, {name: tensor.cpu() for name, tensor in state.items()}, problem)
        client.log_artifacts(run.info.run_id, folder, "checkpoint")


@patiently
def write_model(
    client: MlflowClient,
    run: Run,
    model: Regressor,
    problem: Problem,
    example: Tensor,
    name: str,
    params: Mapping[str, str],
) -> str:
    """Log the model as an exported program, which loads where this project is not installed. Gives MLflow's id of it.

    ``example`` holds inputs of more than one point. The signature is float64 whatever the dtype of the model.
    """
    import_what_models_need()
    from mlflow.models import Model

    _refuse_full_disk(model)
    example = example.cpu().double().clone()  # of a view the whole storage would be saved
    # The steps of mlflow.pytorch.log_model, which follows the process-wide active run, and there is none here; it also
    # fetches the whole history of every metric, one request each, for those of a step that is not ours.
    logged = client.create_logged_model(
        run.info.experiment_id, name, source_run_id=run.info.run_id, params=dict(params), model_type="regressor"
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            described = Model(logged.artifact_location, run.info.run_id, model_id=logged.model_id)
            path = _save_model(Program(model), described, example, list(problem.inputs), folder)
            client.log_model_artifacts(logged.model_id, path)
            # MLflow finds runs:/<run>/model by the name of the model, which is the run's, or else in the run itself.
            client.log_artifacts(run.info.run_id, path, "model")
        client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    except BaseException:
        client.delete_logged_model(logged.model_id)  # half of it; where the database was away, all of it is done again
        raise
    return str(logged.model_id)


def _save_model(program: Program, described: Model, example: Tensor, columns: list[str], folder: str) -> str:
    """What mlflow.pytorch.save_model would leave, which exports each model anew. Gives its path, in ``folder``."""
    from mlflow import pyfunc
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, Schema

    exported, path = Path(folder, "model.pt2"), str(Path(folder, "model"))
    save_program(program, example, exported)
    with torch.no_grad():
        outputs = infer_signature(example.numpy(), program(example).numpy()).outputs
    described.add_flavor("pytorch", model_data="data", pytorch_version=str(torch.__version__), code="code")
    pyfunc.save_model(
        path,
        loader_module=Path(harness_logged_model.__file__).stem,
        data_path=str(exported),
        code_paths=[harness_logged_model.__file__],
        mlflow_model=described,
        # One of columns takes all dtypes that fit.
        signature=ModelSignature(Schema([ColSpec("double") for _ in columns]), outputs),
        input_example=example.numpy(),
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in ("torch", "numpy")],
        model_config={"device": "cpu", "inputs": columns},
        uv_project_path=folder,  # else MLflow takes the uv.lock of the caller's folder for the model's
    )
    flavour = described.flavors["python_function"]
    flavour |= {"data": "data", "pickle_module_name": "mlflow.pytorch.pickle_module"}
    del flavour["streamable"]
    described.save(str(Path(path, "MLmodel")))
    return path


def _refuse_full_disk(model: Regressor) -> None:
    """Raise OSError while torch would still abort the whole process instead: it can't survive a full disk."""
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    needed = 4 * size + 2**22
    folder = tempfile.gettempdir()
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)
