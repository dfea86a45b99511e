"""A run's model on the rows of a file: its own numbers, under the file's names, and nothing executed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.models import load_checkpoint, regressor
from harness.prediction import predict
from harness.presets import resolve
from harness.run import run
from tests.support import SMALL, harness, only_run, small


def rows(path: Path, count: int = 40) -> Path:
    """A table of two inputs and two outputs, with a column of text between them."""
    x = np.random.default_rng(0).uniform(0, 5, (count, 2)).round(3)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["width", "sample", "größe", "u", "v"])
        writer.writerows([a, f"no {i}", b, a + b, a * b] for i, (a, b) in enumerate(x.tolist()))
    return path


def trained(path: Path, **fields: Any) -> str:
    """The id of a run on the rows of a file."""
    given = {"model": "mlp", "data": str(path), "outputs": "u,v", "epochs": 3, **SMALL["mlp"], **fields}
    return run(resolve(given)).run_id


def test_predictions_are_the_model_s_in_raw_units_beside_the_file_s_own_columns(
    store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = trained(rows(outside / "rows.csv"))
    loaded = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    new = pd.read_csv(outside / "rows.csv")[["größe", "sample", "width"]].iloc[::-1]
    new.to_parquet(outside / "new.parquet", index=False)

    def execute(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("what a store holds was executed")

    for place, name in (
        (torch, "load"),
        (torch.export, "load"),
        (mlflow.pytorch, "load_model"),
        (mlflow.pyfunc, "load_model"),
    ):
        monkeypatch.setattr(place, name, execute)
    monkeypatch.setattr(regressor, "CHUNK", 7)
    done = predict(run_id, "new.parquet", "out.parquet")
    assert (done.run_id, done.outcome, done.rows) == (run_id, "completed", 40)
    found = pd.read_parquet("out.parquet")
    assert list(found.columns) == ["größe", "sample", "width", "prediction/u", "prediction/v"]
    assert found["sample"].tolist() == new["sample"].tolist()
    expected = loaded.predict(new[["width", "größe"]])
    assert np.allclose(found[["prediction/u", "prediction/v"]], expected, rtol=1e-12, atol=1e-12)


def test_a_run_of_a_formula_predicts_too_and_is_found_by_its_name_the_latest_first(
    store: MlflowClient, outside: Path
) -> None:
    config = small("siren", epochs=2)
    run(config)
    latest = run(config).run_id
    name = store.get_run(latest).info.run_name
    (outside / "points.csv").write_text("y;x\n0,5;-1\n0,25;3\n")
    done = predict(name, "points.csv", "out.csv")
    assert (done.run_id, done.rows, done.outside) == (latest, 2, 1)
    _, model = load_checkpoint(Path(store.download_artifacts(latest, "checkpoint", str(outside))))
    expected = model(torch.tensor([[-1.0, 0.5], [3.0, 0.25]], dtype=torch.float64)).flatten().tolist()
    found = pd.read_csv("out.csv")
    assert list(found.columns) == ["y", "x", "prediction"]
    assert found["prediction"].tolist() == pytest.approx(expected, rel=1e-12)
    assert ("beyond", "1 of them lie outside of what the model was trained on") in done.told()


@pytest.mark.parametrize(
    ("content", "out", "sentence"),
    [
        ("x,z\n1,2\n", "out.csv", "input = 'y' is no column of 'points.csv'; allowed: x, z."),
        (
            "x,y\n1,2\n1,\n",
            "out.csv",
            "points = 'points.csv' has no value in column 'y', row 2; fill it in, or leave it out.",
        ),
        (
            "x,y\n1,2\n1,up\n",
            "out.csv",
            "points = 'points.csv' has 'up' in column 'y', row 2, which is no number; correct it.",
        ),
        ("x,y,prediction\n1,2,3\n", "out.csv", "points = 'points.csv' has a column 'prediction' already"),
        ("x,y\n", "points.csv", "out = 'points.csv' is the file with the points; give it another name."),
        ("x,y\n", "out.xlsx", "out = 'out.xlsx' has an extension that is not known; allowed: .parquet, .csv."),
        ("x,y\n", "nowhere/out.csv", "out = 'nowhere/out.csv' can't be written: No such file or directory."),
        (None, "out.csv", "points = 'points.csv' can't be read: No such file or directory."),
    ],
)
def test_points_that_can_not_be_used_are_refused_in_one_sentence(
    store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, out: str, sentence: str
) -> None:
    from harness.models import save_checkpoint
    from tests.support import parts

    config = small("mlp", epochs=2)
    of = store.create_run("0", run_name="mine")
    save_checkpoint(outside / "kept", config, parts(config)[0].state_dict())
    store.log_artifacts(of.info.run_id, str(outside / "kept"), "checkpoint")
    if content is not None:
        (outside / "points.csv").write_text(content)
    with pytest.raises(BadInput) as raised:
        predict("mine", "points.csv", out)
    assert sentence in str(raised.value)
    assert not (outside / "out.csv").exists()


def test_what_was_there_stays_where_the_new_file_can_not_be_written(store: MlflowClient, outside: Path) -> None:
    run_id = trained(rows(outside / "rows.csv"))
    points = pd.read_csv(outside / "rows.csv")[["größe", "width"]]
    points["parts"] = pd.Series([[1, 2]] * len(points))
    points.to_parquet(outside / "points.parquet", index=False)
    (outside / "out.csv").write_text("earlier")
    with pytest.raises(BadInput, match=r"out = 'out.csv' can't be written: .*list"):
        predict(run_id, "points.parquet", "out.csv")
    assert (outside / "out.csv").read_text() == "earlier"
    assert not list(outside.glob("*.part"))
    predict(run_id, "points.parquet", "out.parquet")
    assert len(pd.read_parquet("out.parquet")) == len(points)


@pytest.mark.parametrize("run_name", ["nobody", "0" * 32, "' OR 1 = 1", ""])
def test_a_run_that_is_not_there_is_refused(store: MlflowClient, outside: Path, run_name: str) -> None:
    (outside / "points.csv").write_text("x,y\n1,2\n")
    with pytest.raises(BadInput, match=r"^run = .* is no run of the store; give the name of a run, .*, or its id\.$"):
        predict(run_name, "points.csv", "out.csv")


def test_a_run_without_a_model_is_refused_and_so_is_one_whose_checkpoint_is_damaged(
    store: MlflowClient, outside: Path
) -> None:
    (outside / "points.csv").write_text("x,y\n1,2\n")
    run_id = store.create_run("0", run_name="empty").info.run_id
    with pytest.raises(BadInput, match=r"^run = 'empty' has no model that can be had: checkpoint can't be fetched"):
        predict("empty", "points.csv", "out.csv")
    store.log_text(run_id, "{}", "checkpoint/config.json")
    with pytest.raises(BadInput, match=r"^run = 'empty' has a checkpoint that can't be read: "):
        predict("empty", "points.csv", "out.csv")
    assert not (outside / "out.csv").exists()


def test_the_command_says_what_it_has_done_and_bad_input_in_one_sentence(store: MlflowClient, outside: Path) -> None:
    trained(rows(outside / "rows.csv"))
    name = str(only_run(store).info.run_name)
    done = harness("predict", name, "rows.csv")
    assert done.returncode == 0, done.stderr
    assert "predicted   40 rows" in done.stdout
    assert "written     predictions.parquet" in done.stdout
    assert list(pd.read_parquet("predictions.parquet").columns)[-2:] == ["prediction/u", "prediction/v"]
    refused = harness("predict", name, "rows.csv", "--out", "a.csv", "--out", "b.csv")
    assert (refused.returncode, refused.stderr) == (2, "harness: out is given twice: 'a.csv' and 'b.csv'.\n")
