"""The logged model is of use to someone who has MLflow and not this project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from mlflow import MlflowClient

from harness.data import dense_points
from harness.models import load_checkpoint
from harness.problems import get
from harness.run import run
from tests.support import MODELS, python, small

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

import mlflow.pyfunc, numpy
for name, uri in json.load(open("models.json")).items():
    model = mlflow.pyfunc.load_model(uri)
    for points in ("few", "dense"):
        numpy.save(f"{name}-{points}.npy", model.predict(numpy.load(f"{points}.npy")))
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
    uris = {}
    for model, run_id in runs.items():
        outputs = store.get_run(run_id).outputs
        assert outputs is not None
        uris[model] = f"models:/{outputs.model_outputs[0].model_id}"
    (outside / "models.json").write_text(json.dumps(uris))

    done = python(["-c", SCRIPT], PYTHONPATH="")
    assert done.returncode == 0, done.stderr

    import torch

    for model, run_id in runs.items():
        _, checkpoint = load_checkpoint(Path(store.download_artifacts(run_id, "checkpoint", str(outside))))
        for name, points in inputs.items():
            expected = checkpoint(torch.from_numpy(points)).detach().numpy()
            predicted = np.load(outside / f"{model}-{name}.npy")
            assert predicted.shape == expected.shape, model
            assert np.abs(predicted - expected).max() <= 1e-6 * np.abs(expected).max(), (model, name)
