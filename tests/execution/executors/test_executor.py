"""An executor is one file; its fields are its own, and what belongs to another one is refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.execution.benchmark_config import configure
from harness.execution.executors import EXECUTORS, ExecutorConfig, ExecutorKind, register
from harness.execution.executors.dask import DaskConfig
from studies.study_config import configure as configure_study
from tests.support import ROOT, all_runs, harness, python

SUITE = """
summary: One cell of a moment.
problems: [poisson_1d_sin]
fields: {epochs: 2, n_train: 30, n_val: 20, n_test: 20}
plugins: [look.py]
variants: [{models: [siren], fields: {width: 4}}]
"""
LOOK = "import os, pathlib\nwith pathlib.Path('nice').open('a') as file:\n    print(os.nice(0), file=file)\n"


@pytest.fixture
def polite(outside: Path) -> str:
    """The executor that CONTRIBUTING.md prints, as a plug-in."""
    page = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an executor")[2]
    (outside / "polite.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    return str(outside / "polite.py")


def test_an_executor_of_one_file_computes_the_cells_as_its_own_field_says(
    polite: str, store: MlflowClient, outside: Path
) -> None:
    (outside / "tiny.yaml").write_text(SUITE)
    (outside / "look.py").write_text(LOOK)
    suite = ("--suite", "tiny.yaml", "--seeds", "1", "--workers", "1")
    done = harness("benchmark", *suite, "--executor", "polite", "--nice", "7", "--plugins", "polite.py")
    assert done.returncode == 0, done.stdout + done.stderr
    ours = python(["-c", "import os; print(os.nice(0))"]).stdout
    assert set(map(int, (outside / "nice").read_text().split())) == {int(ours), int(ours) + 7}, "driver, worker"
    (cell,) = [run for run in all_runs(store) if "fingerprint" in run.data.tags]
    assert (cell.info.status, cell.data.tags["outcome"]) == ("FINISHED", "completed")


def test_a_field_of_a_plugin_s_executor_is_refused_for_another_executor(polite: str, outside: Path) -> None:
    done = harness("benchmark", "--suite", "smoke", "--nice", "7", "--plugins", "polite.py")
    assert done.returncode == 2
    assert done.stderr == "harness: nice = '7' belongs to executor=polite, not to executor=process.\n"
    assert not (outside / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"executor": "polite", "nice": "70"}, r"nice = '70' can't be used: .* less than or equal to 19\."),
        (
            {"executor": "polite", "cluster": "pbs"},
            r"cluster = 'pbs' belongs to executor=dask, not to executor=polite\.",
        ),
        ({"executor": "polite", "workers": "1000"}, r"workers = 1000 with threads = 1 is more than the \d+ cores"),
        ({"executor": "polit"}, r"executor = 'polit' can't be used: did you mean 'polite'\?"),
        ({"executor": "polite", "nicer": "3"}, r"nicer = '3' is not a field of a .*; did you mean 'nice'\?"),
    ],
)
def test_what_can_not_be_is_one_sentence_for_a_benchmark_and_a_study(
    given: dict[str, str], sentence: str, polite: str, registries: None
) -> None:
    for asked in (configure, configure_study):
        with pytest.raises(BadInput, match=sentence):
            asked({**given, "plugins": polite})


def test_its_own_field_arrives_and_the_absence_of_another_s_is_no_fault(polite: str, registries: None) -> None:
    given = {"executor": "polite", "nice": "3", "scheduler": "none", "threads": "1", "plugins": polite}
    for where in (configure(given).where, configure_study(given).where):
        assert where.model_dump() == {
            "executor": "polite",
            "workers": "auto",
            "threads": 1,
            "max_memory": None,
            "nice": 3,
        }
    assert isinstance(configure({"executor": "dask"}).where, DaskConfig)


def test_an_executor_can_not_take_a_field_that_the_command_has(registries: None) -> None:
    class Greedy(ExecutorConfig):
        epochs: int = 3

    register(ExecutorKind("greedy", Greedy, EXECUTORS.get("process").open, "Wants too much."))
    for asked in (configure, configure_study):
        with pytest.raises(
            BadInput, match="executor = 'greedy' can't be used: its field 'epochs' is one of the command's"
        ):
            asked({"executor": "greedy"})


def test_what_only_computing_needs_is_not_imported_to_configure() -> None:
    late = ["dask", "distributed", "pebble", "sqlalchemy", "torch", "mlflow"]
    code = f"import sys, harness.execution.executors; print([n for n in {late} if n in sys.modules])"
    assert python(["-c", code]).stdout == "[]\n"
