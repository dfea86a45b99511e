"""The command line: what it takes, what it says, and its exit codes. What it refuses: ``test_doors.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness import __version__, cli
from harness.config import RunConfig
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.problems import PROBLEMS
from tests.support import MODELS, all_runs, as_options, only_run, python, small
from tests.test_registry import PROBLEM

Captured = pytest.CaptureFixture[str]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    "uri", ["sqlite:///nowhere/mlflow.db", "http://127.0.0.1:9", "postgresql://nobody@127.0.0.1:9/x"]
)
def test_a_store_that_can_not_be_reached_is_bad_input(
    uri: str, outside: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert call("run", *as_options(small("siren").values())) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert uri in err
    assert list(outside.iterdir()) == []


def test_a_completed_run_exits_with_0_and_says_what_and_where(store: MlflowClient, capsys: Captured) -> None:
    assert call("run", *as_options(small("mlp", epochs=3).values())) == 0
    out = capsys.readouterr().out
    run = only_run(store)
    for part in ("mlp-poisson_2d_sin-s0", "completed", "All 3 epochs were done.", "mlflow ui --backend-store-uri"):
        assert part in out
    assert f"runs/{run.info.run_id}?workflowType=machine_learning" in out
    assert f"{run.data.metrics['final/dense_mse']:.3e}" in out
    assert "epoch 3/3" in out


def test_a_run_that_ended_otherwise_exits_with_1(store: MlflowClient, capsys: Captured) -> None:
    assert call("run", *as_options(small("siren", epochs=20, lr=1e6).values())) == 1
    out = capsys.readouterr().out
    assert "diverged" in out
    assert only_run(store).data.tags["outcome.reason"] in out


def test_a_problem_of_a_plugin_can_be_run(
    store: MlflowClient, outside: Path, registries: None, capsys: Captured
) -> None:
    (outside / "mine.py").write_text(PROBLEM.format(name="cosine_run"))
    fields = small("siren", epochs=2).values() | {"problem": "cosine_run", "plugins": ["mine.py"]}
    assert call("run", *as_options(fields)) == 0
    assert only_run(store).data.params["cfg/problem"] == "cosine_run"
    assert store.get_experiment(only_run(store).info.experiment_id).name == "mine"


def test_given_fields_reads_pairs_in_both_spellings() -> None:
    assert cli.given_fields(["--lr", "1e-3", "--grids=3,5", "--clip", "none", "--name=a=b"]) == {
        "lr": "1e-3",
        "grids": "3,5",
        "clip": "none",
        "name": "a=b",
    }
    assert cli.given_fields([]) == {}
    for words in (["--"], ["lr"], ["--lr"]):
        with pytest.raises(BadInput):
            cli.given_fields(words)


def test_list_names_every_problem_model_and_preset(capsys: Captured) -> None:
    assert call("list") == 0
    out = capsys.readouterr().out
    for name in (*PROBLEMS.names(), *MODELS, "seed", "tuned", "section1_2", "2 pi^2 sin(pi x) sin(pi y)"):
        assert name in out
    assert call("list", "models") == 0
    out = capsys.readouterr().out
    assert "siren" in out
    assert "poisson" not in out


def test_list_knows_plugins(outside: Path, registries: None, capsys: Captured) -> None:
    (outside / "mine.py").write_text(PROBLEM.format(name="cosine_listed"))
    assert call("list", "problems", "--plugins", "mine.py") == 0
    assert "cosine_listed" in capsys.readouterr().out


def test_help_documents_every_field_of_every_model(capsys: Captured) -> None:
    assert call("run", "--help") == 0
    out = capsys.readouterr().out
    for model in MODELS:
        for field in FAMILIES.get(model).config.model_fields:
            assert f"--{field} " in out, field
    assert "[200]" in out
    assert len(RunConfig.model_fields) > 15


def test_the_version_is_the_package_s(capsys: Captured) -> None:
    assert call("--version") == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "--lr", "abc"],
        ["run", "--explain"],
        ["study", "--help"],
        ["study", "--trials", "0"],
    ],
    ids=" ".join,
)
def test_help_and_bad_input_import_neither_torch_nor_mlflow(arguments: list[str], outside: Path) -> None:
    script = """
import sys
from harness.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"torch", "mlflow", "matplotlib", "pandas", "numpy"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    assert python(["-c", script, *arguments]).returncode == 0


def test_a_refused_store_leaves_no_run(store: MlflowClient, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "424242")
    assert call("run", *as_options(small("siren").values())) == 2
    assert "MLFLOW_EXPERIMENT_ID = '424242'" in capsys.readouterr().err
    assert all_runs(store) == []


def test_a_dry_run_shows_the_plan_and_makes_nothing(outside: Path, capsys: Captured) -> None:
    assert call("benchmark", "--suite", "section1_2", "--seeds", "2", "--dry-run", "--models", "siren,kan") == 0
    out = capsys.readouterr().out
    assert "12 cells to compute" in out
    assert "siren" in out
    assert list(outside.iterdir()) == []


def test_suites_are_listed_with_what_they_are(capsys: Captured) -> None:
    assert call("list", "suites") == 0
    out = capsys.readouterr().out
    assert "smoke" in out
    assert "seed_matrix" in out


def test_help_of_a_benchmark_names_every_field(capsys: Captured) -> None:
    from harness.execution.config import BenchmarkConfig

    assert call("benchmark", "--help") == 0
    out = capsys.readouterr().out
    assert all(f"--{name}" in out for name in BenchmarkConfig.model_fields if name != "fields")
