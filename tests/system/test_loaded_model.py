"""The logged model is of use to someone who has MLflow and not this project."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from harness.data import dense_points
from harness.models import load_checkpoint
from harness.problems import get
from harness.run import run
from tests.support import MODELS, parts, python, served, small

SCRIPT = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("harness", "kan", "tests"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
try:
    import harness
except ImportError:
    pass
else:
    sys.exit("harness can be imported")

import mlflow.pyfunc, mlflow.pytorch, numpy, pandas, torch
for name, uri in json.load(open("models.json")).items():
    model = mlflow.pyfunc.load_model(uri)
    for points in ("few", "dense"):
        numpy.save(f"{name}-{points}.npy", model.predict(numpy.load(f"{points}.npy")))

x = numpy.load("few.npy")
frame = pandas.DataFrame(x, columns=["x", "y"], index=[7, 3, 5])
whole = pandas.DataFrame({"x": [0, 1], "y": [2, -1]}, dtype="int32")
forms = {
    "list": x.tolist(),
    "named": frame,
    "turned": frame[["y", "x"]],
    "unnamed": frame.set_axis(["a", "b"], axis=1),
    "dictionary": {"x": x[:, 0], "y": x[:, 1]},
    "single": x.astype("float32"),
    "single frame": frame.astype("float32"),
    "whole": whole,
}
found = {form: model.predict(data).tolist() for form, data in forms.items()}
raw = mlflow.pytorch.load_model(uri)
found |= {f"raw {dtype}": raw(torch.tensor(x).to(dtype)).tolist() for dtype in (torch.float64, torch.float32)}
found["expected"] = model.predict(x).tolist()
found["expected whole"] = model.predict(whole.to_numpy("float64")).tolist()
try:
    model.predict(frame.rename(columns={"y": "z"}))
except ValueError as error:
    found["refused"] = str(error)
json.dump(found, open("forms.json", "w"))
"""


def test_each_model_predicts_the_same_in_a_process_that_does_not_know_the_project(
    store: MlflowClient, outside: Path
) -> None:
    inputs = {
        "few": np.array([[0.25, -0.5], [1.0, 1.0], [-1.0, 0.3]]),
        "dense": dense_points(get("poisson_2d_sin")).numpy(),
    }
    for name, points in inputs.items():
        np.save(outside / f"{name}.npy", points)
    runs = {model: run(small(model, epochs=4)).run_id for model in MODELS}
    # By the id of the model, and by both names that MLflow has for a model of a run.
    uris = {model: f"models:/{model_of(store, run_id)}" for model, run_id in runs.items()}
    uris["siren"] = f"runs:/{runs['siren']}/model"
    uris["kan"] = f"runs:/{runs['kan']}/{store.get_run(runs['kan']).info.run_name}"
    (outside / "models.json").write_text(json.dumps(uris))

    # As on a machine with a GPU, which MLflow would take, and an exported program can't be moved to.
    done = python(["-c", SCRIPT], PYTHONPATH="", MLFLOW_DEFAULT_PREDICTION_DEVICE="cuda")
    assert done.returncode == 0, done.stderr

    import torch

    for model, run_id in runs.items():
        _, checkpoint = load_checkpoint(Path(store.download_artifacts(run_id, "checkpoint", str(outside))))
        for name, points in inputs.items():
            expected = checkpoint(torch.from_numpy(points)).detach().numpy().squeeze(-1)
            predicted = np.load(outside / f"{model}-{name}.npy")
            assert predicted.shape == expected.shape, model
            assert np.abs(predicted - expected).max() <= 1e-6 * np.abs(expected).max(), (model, name)

    found = json.loads((outside / "forms.json").read_text())
    for form in ("list", "named", "turned", "unnamed", "dictionary", "raw torch.float64"):
        assert found[form] == found["expected"], form
    for form in ("single", "single frame", "raw torch.float32"):
        assert found[form] == pytest.approx(found["expected"], rel=1e-4), form
    assert found["whole"] == found["expected whole"]
    assert found["refused"] == "The columns are ['x', 'z']; the model's inputs are ['x', 'y']."


def test_a_model_is_registered_evaluated_and_served_by_mlflow(store: MlflowClient, outside: Path) -> None:
    done = run(small("mlp", epochs=4))
    model = f"models:/{model_of(store, done.run_id)}"
    version = mlflow.register_model(model, "best").version
    store.set_registered_model_alias("best", "champion", version)

    sample = parts(small("mlp"))[1].dense
    frame = pd.DataFrame(np.hstack([sample.x, sample.y]), columns=["x", "y", "target"])
    for data in (frame, frame.astype("float32")):
        found = mlflow.models.evaluate(model, data, targets="target", model_type="regressor").metrics
        # Up to 2e-8 of the points themselves in single precision.
        assert found["mean_squared_error"] == pytest.approx(done.metrics["final/dense_mse"], rel=1e-5)

    few = frame[["x", "y"]].iloc[[3, 5000]]
    expected = mlflow.pyfunc.load_model("models:/best@champion").predict(few).tolist()
    command = ["models", "serve", "-m", "models:/best@champion", "--env-manager", "local", "--workers", "1"]
    with served(command, outside, PYTHONPATH="") as address:
        for body in ({"dataframe_split": few.to_dict("split")}, {"inputs": few.to_numpy().tolist()}):
            request = urllib.request.Request(
                f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.load(answer) == {"predictions": expected}


def model_of(store: MlflowClient, run_id: str) -> str:
    outputs = store.get_run(run_id).outputs
    assert outputs is not None
    return str(outputs.model_outputs[0].model_id)
