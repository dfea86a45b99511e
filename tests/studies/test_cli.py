"""The command: what it takes, what it says, and its exit codes. Bad input is one line and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from harness import cli
from harness.execution.executors import ExecutorConfig
from studies.study_config import StudyConfig
from tests.studies.support import QUICK
from tests.support import ROOT, all_runs, as_options, write_line

Captured = pytest.CaptureFixture[str]
SMALL = as_options({**QUICK, "problem": "poisson_1d_sin", "seeds": 1, "workers": 1})


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--trials", "0"], "trials = '0'"),
        (["--study", "sirne"], "did you mean 'siren'?"),
        (["--storage", "sqlite:///nowhere/studies.db"], "storage = 'sqlite:///nowhere/studies.db' can't be used"),
        (["--storage", "redis://here"], "storage = 'redis://here' can't be used"),
        (["--trials"], "trials has no value"),
        (["export", "--fresh", "1"], "fresh = '1'"),
        (["export", "--name", "mine"], "storage = 'studies.journal' is not there"),
        (["export", "--study", "sirne"], "did you mean 'siren'?"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, store: MlflowClient, capsys: Captured
) -> None:
    assert call("study", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err
    assert all_runs(store) == []


def test_another_definition_under_the_same_name_is_one_sentence(store: MlflowClient, capsys: Captured) -> None:
    assert call("study", *SMALL, "--trials", "1", "--name", "mine") == 0
    capsys.readouterr()
    changed = [word if word != QUICK["n_test"] else "31" for word in SMALL]
    assert call("study", *changed, "--trials", "1", "--name", "mine") == 2
    assert "of another definition: base.n_test is 30 there and 31 here" in capsys.readouterr().err


def test_a_study_says_how_each_trial_ended_what_was_best_and_where_to_look(
    store: MlflowClient, capsys: Captured, outside: Path
) -> None:
    assert call("study", *SMALL, "--trials", "2") == 0
    out = capsys.readouterr().out
    for words in (
        "1 of 2  trial 0  complete",
        "2 of 2  trial 1  complete",
        "2 trials: 2 complete.",
        "best        trial",
        "optuna-dashboard studies.journal",
    ):
        assert words in out, out
    assert "mlflow ui --backend-store-uri" in out


def test_a_study_learns_the_rows_of_a_file(store: MlflowClient, capsys: Captured, outside: Path) -> None:
    data = ("--data", write_line(outside / "data" / "plane.csv"), "--outputs", "y", "--epochs", "20")
    assert call("study", *data, "--seeds", "1", "--workers", "1", "--trials", "1") == 0
    assert "1 of 1  trial 0  complete" in capsys.readouterr().out
    (run,) = [run for run in all_runs(store) if "fingerprint" in run.data.tags]
    assert (run.data.params["cfg/problem"], run.data.params["cfg/data"]) == ("plane", "plane.csv")


def test_the_entry_point_has_the_fields_with_their_defaults() -> None:
    entry = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]["study"]
    for name, parameter in entry["parameters"].items():
        field = StudyConfig.model_fields.get(name) or ExecutorConfig.model_fields[name]
        expected = "" if field.default in (None, ()) else str(field.default)
        assert parameter["default"] == expected, name
    words = [word for name in entry["parameters"] for word in (f"--{name}", f"{{{name}}}")]
    assert entry["command"].split() == ["python", "-m", "harness", "study", *words]


def test_list_names_the_studies(capsys: Captured) -> None:
    assert call("list", "studies") == 0
    out = capsys.readouterr().out
    assert "siren  " in out
    assert "kan_pruned" in out
