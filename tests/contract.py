"""Hold one tracked run against the contract (docs/contract.md): what is not as it says, a sentence each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.image import imread
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run

from harness import problems
from harness.config import RunConfig
from harness.data import of
from harness.families import FAMILIES, has_twin
from harness.models import load_checkpoint
from harness.presets import digest
from harness.problems.pictures import pictures_of

STATUS = {
    "completed": "FINISHED",
    "diverged": "FAILED",
    "timeout": "FAILED",
    "error": "FAILED",
    "interrupted": "KILLED",
}
BY_EPOCH = ("train/mse", "test/mse", "val/mse", "grad/norm", "time/train_s", "evals")
OF_AN_EQUATION = ("train/residual", "val/residual", "train/boundary")
OF_A_KAN = ("kan/grid", "kan/active_edges", "stage")
FINAL = ("dense_mse", "dense_nmse", "log10_nmse", "linf", "rel_l2", "h1_rel")
PRUNE = ("params_before", "params_after", "reduction", "mse_before", "mse_after_cut", "mse_final", "base_dense_mse")
EVENT_COLUMNS = {"step", "stage", "evaluation", "what", "value", "lr", "grad_norm", "last_finite_loss"}


def shortfalls(client: MlflowClient, run_id: str, config: RunConfig, folder: Path) -> list[str]:
    """What the run of ``config`` falls short of; ``folder`` is where its artifacts are put to be looked at."""
    return list(_Check(client, run_id, config, folder).all())


class _Check:
    def __init__(self, client: MlflowClient, run_id: str, config: RunConfig, folder: Path) -> None:
        self.client = client
        self.config = config
        self.run: Run = client.get_run(run_id)
        self.metrics: dict[str, float] = self.run.data.metrics
        self.tags: dict[str, str] = self.run.data.tags
        self.outcome = self.tags.get("outcome", "none")
        self.completed = self.outcome == "completed"
        self.kan = config.model.startswith("kan")
        self.solver = FAMILIES.get(config.model).kind == "classical"
        self.problem = problems.of(config)
        self.rows = self.problem.table is not None
        self.files = set(self._files())
        self.folder = folder
        self.folder.mkdir(parents=True)
        client.download_artifacts(run_id, "", str(folder))

    def _files(self, path: str | None = None) -> Iterator[str]:
        for entry in self.client.list_artifacts(self.run.info.run_id, path):
            if entry.is_dir:
                yield from self._files(entry.path)
            else:
                yield entry.path

    def curve(self, name: str) -> list[tuple[int, float]]:
        return sorted((m.step, m.value) for m in self.client.get_metric_history(self.run.info.run_id, name))

    def all(self) -> Iterator[str]:
        yield from self.identity()
        yield from self.curves()
        yield from self.numbers_at_the_end()
        yield from self.events()
        yield from self.artifacts()
        if {"checkpoint/config.json", "checkpoint/state.safetensors"} <= self.files:
            yield from self.checkpoint()
        if self.rows:
            yield from self.place_of_the_file()

    def identity(self) -> Iterator[str]:
        config, info = self.config, self.run.info
        first, last = f"{config.model}-{config.problem}-{config.preset}-", f"-s{config.seed}"
        if not (info.run_name.startswith(first) and info.run_name.endswith(last)):
            yield f"the run is called {info.run_name}"
        params = {name: value for name, value in self.run.data.params.items() if name.startswith("cfg/")}
        expected = {
            f"cfg/{name}": ",".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in config.shown().items()
        }
        if params != expected:
            yield f"params differ from the configuration: {set(params.items()) ^ set(expected.items())}"
        if self.tags.get("preset.digest") != digest(config.preset, self.problem.equation is not None, config.model):
            yield f"tag preset.digest is {self.tags.get('preset.digest')}"
        if STATUS.get(self.outcome) != info.status:
            yield f"status {info.status} with outcome {self.outcome}"
        for tag in (
            "fingerprint",
            "comparability",
            "problem.facts",
            "outcome.reason",
            "nan.occurred",
            "mlflow.note.content",
        ):
            if not self.tags.get(tag):
                yield f"tag {tag} is missing"
        if ("error.type" in self.tags) != (self.outcome == "error"):
            yield "error.type does not go with the outcome"
        if self.tags.get("mlflow.source.git.dirty") not in ("true", "false"):
            yield "mlflow.source.git.dirty is neither true nor false"
        if not info.end_time:
            yield "the run has no end"
        inputs = {
            (entry.dataset.name, tag.value)
            for entry in (self.run.inputs.dataset_inputs if self.run.inputs else [])
            for tag in entry.tags
            if tag.key == "mlflow.data.context"
        }
        name = f"{config.problem}-s{config.seed}"
        if inputs != {(name, "train"), (name, "test"), *([] if self.rows else [(f"{config.problem}-dense", "dense")])}:
            yield f"datasets are {inputs}"
        if (self.kan or self.solver) != ("stages" in self.tags):
            yield "the tag stages does not go with the model"

    def curves(self) -> Iterator[str]:
        of_equation = OF_AN_EQUATION if self.problem.equation else ()
        names = [*BY_EPOCH, *(OF_A_KAN if self.kan else ()), *of_equation, *(("stage",) if self.solver else ())]
        reached = len([value for _, value in self.curve("test/mse")])
        for name in names:
            steps = [step for step, value in self.curve(name) if not math.isnan(value)]
            if steps != list(range(1, reached + 1)):
                yield f"{name} has the steps {steps[:3]}...{steps[-1:]} for {reached} epochs"
        if self.completed and reached != self.config.epochs and not self.config.takes_best:
            yield f"{reached} epochs of {self.config.epochs}"
        rates = [step for step, _ in self.curve("lr")]
        missing = 1 if has_twin(self.config.model) and reached else 0  # the cut has no rate
        if reached and not self.solver and not reached - missing <= len(rates) <= reached:
            yield f"lr has {len(rates)} steps for {reached} epochs"
        for name in ("time/train_s", "evals"):
            values = [value for _, value in self.curve(name)]
            if values != sorted(values):
                yield f"{name} is not cumulative"
        facts = json.loads(self.tags.get("problem.facts", "{}"))
        logarithms = [(step, math.log10(max(value / facts["scale2"], 1e-20))) for step, value in self.curve("test/mse")]
        if not np.allclose(self.curve("test/log10_nmse"), logarithms, rtol=1e-12):
            yield "test/log10_nmse is not the logarithm of test/mse"
        for name in ("train/mse", "test/mse", "val/mse", *OF_AN_EQUATION):
            if any(value < 0 for _, value in self.curve(name)):
                yield f"{name} is negative"
        if "history.parquet" in self.files:
            yield from self.history(names)

    def history(self, names: list[str]) -> Iterator[str]:
        frame = pd.read_parquet(self.folder / "history.parquet")
        if list(frame["epoch"]) != list(range(1, self.config.epochs + 1)):
            yield f"history.parquet has {len(frame)} rows for {self.config.epochs} planned epochs"
            return
        for name in names:
            if name == "stage":
                continue  # a name there, an index as a metric
            logged = dict(self.curve(name))
            column = [logged.get(epoch, math.nan) for epoch in frame["epoch"]]
            if reached_any(frame, name) and not np.array_equal(frame[name].to_numpy(float), column, equal_nan=True):
                yield f"history.parquet and the metric {name} differ"

    def numbers_at_the_end(self) -> Iterator[str]:
        for name, value in self.metrics.items():
            if math.isinf(value) or abs(value) > 1e300:
                yield f"{name} is infinite"
        for name in ("nan/count", "inf/count", "nan/first_step"):
            if len(self.curve(name)) != 1:
                yield f"{name} is not there once"
        if ("kept" in self.tags) != any(name.startswith("kept/") for name in self.metrics):
            yield "the tag kept does not go with the metrics"
        if self.completed and "kept" in self.tags:
            yield "something is kept, though nothing failed"
        if "kept" in self.tags:
            yield from (f"{name}, though the training failed" for name in self.metrics if name.startswith("final/"))
        if not self.completed:
            return
        names = [f"final/{name}" for name in FINAL if name != "h1_rel" or not self.rows]
        names += ["model/params", "model/active_params"]
        names += ["final/roughness_ratio"] if self.problem.has_grid and self.problem.dimension == 2 else []
        names += [] if self.problem.has_grid else ["final/dense_nmse_low", "final/dense_nmse_high"]
        names += ["final/psnr"] if self.problem.kind == "picture" else []
        names += ["final/residual_nmse"] if self.problem.equation else []
        names += [f"prune/{name}" for name in PRUNE] if has_twin(self.config.model) else []
        lost = {event["what"] for event in self.nan_events()}
        for name in names:
            values = [value for _, value in self.curve(name)]
            if name in lost:
                if values:
                    yield f"{name} is {values}, and an event says that it is not finite"
            elif len(values) != 1 or not math.isfinite(values[0]):
                yield f"{name} is {values}, not one finite number"
        if not any(name.startswith("system/") for name in self.metrics):
            yield "no system metrics"

    def nan_events(self) -> list[dict[str, Any]]:
        if "nan_events.json" not in self.files:
            return []
        table = json.loads((self.folder / "nan_events.json").read_text())
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]

    def events(self) -> Iterator[str]:
        count = self.metrics.get("nan/count", 0) + self.metrics.get("inf/count", 0)
        if self.tags.get("nan.occurred") != str(count > 0).lower():
            yield f"nan.occurred is {self.tags.get('nan.occurred')} with {count} events"
        if (count > 0) != ("nan.kind" in self.tags):
            yield "nan.kind does not go with the number of events"
        if (count > 0) != (self.metrics.get("nan/first_step", -1) > 0):
            yield f"nan/first_step is {self.metrics.get('nan/first_step')} with {count} events"
        if self.outcome == "diverged" and count == 0:
            yield "diverged without an event"
        if "nan_events.json" in self.files:
            table: dict[str, Any] = json.loads((self.folder / "nan_events.json").read_text())
            if set(table["columns"]) != EVENT_COLUMNS:
                yield f"nan_events.json has the columns {table['columns']}"
            if len(table["data"]) != count:
                yield f"nan_events.json has {len(table['data'])} rows for {count} events"

    def artifacts(self) -> Iterator[str]:
        wanted = {"history.parquet", "dense.parquet", "nan_events.json", "figures/loss.png"}
        wanted |= {"checkpoint/state.safetensors", "checkpoint/config.json"}
        wanted |= {f"figures/{name}" for name in pictures_of(self.problem.kind, self.problem.dimension)}
        wanted |= {"figures/kan.png"} if self.kan else set()
        wanted |= {"error/traceback.txt"} if self.outcome == "error" else set()
        for path in sorted(wanted - self.files):
            yield f"{path} is missing"
        if self.outcome != "error" and "error/traceback.txt" in self.files:
            yield "a traceback without an error"
        for path in sorted(self.files):
            if path.endswith(".png"):
                image = imread(self.folder / path)
                if (image[..., :3] < 0.98).any(axis=-1).mean() < 0.005:
                    yield f"{path} is blank"
        models = getattr(self.run.outputs, "model_outputs", None) or []
        if len(models) != int(self.completed):
            yield f"{len(models)} models are logged"
        for model in models:
            yield from self.model(self.client.get_logged_model(model.model_id))

    def model(self, model: LoggedModel) -> Iterator[str]:
        if model.name != self.run.info.run_name.replace(".", "_"):
            yield f"the model is called {model.name}"
        if (model.model_type, model.status, model.source_run_id) != ("regressor", "READY", self.run.info.run_id):
            yield f"the model is a {model.model_type}, {model.status}, of the run {model.source_run_id}"
        params = {name: value for name, value in self.run.data.params.items() if name.startswith("cfg/")}
        if model.params != params:
            yield "the model's params are not the run's"
        files = {path.removeprefix("model/") for path in self.files if path.startswith("model/")}
        if not {"MLmodel", "data/model.pt2"} <= files:
            yield f"the run's folder model holds {files}"
        if any(path.suffix in (".pkl", ".pickle", ".pth") for path in map(Path, files)):
            yield "the model has a pickle"
        inputs = self.run.inputs.dataset_inputs if self.run.inputs else []
        context = "test" if self.rows else "dense"
        (dense,) = (
            (each.dataset.name, each.dataset.digest)
            for each in inputs
            if context in [tag.value for tag in each.tags if tag.key == "mlflow.data.context"]
        )
        linked = {metric.key: metric for metric in model.metrics or []}
        final = ("final/", "model/", "prune/mse_final", "prune/base_dense_mse", "symbolic/")
        if set(linked) != {name for name in self.metrics if name.startswith(final)}:
            yield f"the model has the metrics {sorted(linked)}"
        for name, metric in linked.items():
            if metric.value != self.metrics.get(name):
                yield f"the model's {name} is not the run's"
            if (metric.dataset_name, metric.dataset_digest) != ((None, None) if name.startswith("model/") else dense):
                yield f"the model's {name} is of the dataset {metric.dataset_name}"

    def place_of_the_file(self) -> Iterator[str]:
        place = Path(self.config.data).parent.name
        said = {"param " + name: value for name, value in self.run.data.params.items()}
        said |= {"tag " + name: value for name, value in self.tags.items()}
        yield from (f"{what} says where the file is: {text}" for what, text in said.items() if place in text)
        for path in sorted(self.files):
            if place.encode() in (self.folder / path).read_bytes():
                yield f"{path} says where the file is"

    def checkpoint(self) -> Iterator[str]:
        config, model = load_checkpoint(self.folder / "checkpoint")
        known: dict[str, Any] = {"plugins": ()}
        if self.rows:  # what the model needs to know of the file, and not where it is
            known |= {
                "data": PurePath(config.data).name,
                "inputs": self.problem.inputs,
                "outputs": self.problem.outputs,
            }
        if config != self.config.model_copy(update=known):
            yield "the checkpoint has another configuration"
        data = of(self.config)
        error = (model(data.train.x) - data.train.y).square().mean().item()
        finite = [value for _, value in self.curve("train/mse") if not math.isnan(value)]
        if "kept" in self.tags:
            finite = finite[: int(self.metrics["kept/epoch"])]
        if "val/best_epoch" in self.metrics:
            finite = finite[: int(self.metrics["val/best_epoch"])]
        if not math.isfinite(error):
            yield "the checkpoint is not finite"
        if finite and not math.isclose(error, finite[-1], rel_tol=1e-12):
            yield f"the checkpoint's train MSE is {error}, the last one logged {finite[-1]}"


def reached_any(frame: pd.DataFrame, name: str) -> bool:
    """Whether the column is expected: a run without an epoch has none of a family's own columns."""
    return name in frame or not frame["train/mse"].isna().all()
