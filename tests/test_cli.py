"""The command line: what it takes, what it says, and its exit codes. What it refuses: ``test_doors.py``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from harness import __version__, cli
from harness.config import RunConfig, fields_of
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.methods import METHODS
from harness.problems import PROBLEMS
from tests.support import FEW_POINTS, MODELS, ROOT, all_runs, as_options, only_run, python, small
from tests.test_registry import PROBLEM, installed  # noqa: F401  (a fixture)

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
    for part in (run.info.run_name, "completed", "All 3 epochs were done.", "mlflow ui --backend-store-uri"):
        assert part in out
    assert f"runs/{run.info.run_id}?workflowType=machine_learning" in out
    assert f"{run.data.metrics['final/dense_mse']:.3e}" in out
    assert "epoch 3/3" in out


def test_a_run_that_ended_otherwise_exits_with_1(store: MlflowClient, capsys: Captured) -> None:
    assert call("run", *as_options(small("siren", epochs=20, lr=1e6).values())) == 1
    out = capsys.readouterr().out
    assert "diverged" in out
    assert only_run(store).data.tags["outcome.reason"] in out


EXITING = """
import sys
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register

class Exiting(nn.Module):
    def __init__(self, dimension):
        super().__init__()
        self.line, self.calls = nn.Linear(dimension, 1), 0
    def forward(self, x):
        self.calls += torch.is_grad_enabled()
        if {when}:
            sys.exit(0)
        return self.line(x)

register(Family("exiting", RunConfig, lambda config, dimension, generator: Exiting(dimension), "Exits."))
"""


@pytest.mark.parametrize(
    ("when", "reason"),
    [("self.calls == 3", "SystemExit in epoch 3: 0"), ("len(x) > 500", "SystemExit in the evaluation: 0")],
    ids=["training", "evaluation"],
)
def test_a_plugin_that_exits_with_0_ends_the_run_as_error_and_the_command_with_1(
    when: str, reason: str, store: MlflowClient, outside: Path, registries: None, capsys: Captured
) -> None:
    (outside / "exiting.py").write_text(EXITING.format(when=when))
    fields = {"model": "exiting", "problem": "poisson_1d_sin", "optimizer": "adam", "epochs": 5, **FEW_POINTS}
    assert call("run", *as_options(fields | {"plugins": "exiting.py"})) == 1
    assert reason in capsys.readouterr().out
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert run.data.tags["error.type"] == "SystemExit"


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
    for name in (
        *PROBLEMS.names(),
        *MODELS,
        *METHODS.names(),
        "seed",
        "tuned",
        "section1_2",
        "2 pi^2 sin(pi x) sin(pi y)",
    ):
        assert name in out
    assert call("list", "models") == 0
    out = capsys.readouterr().out
    assert "siren" in out
    assert "poisson" not in out


def test_problems_are_listed_by_section_or_of_one_section(capsys: Captured) -> None:
    assert call("list", "problems") == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert titles[:2] == ["problems of section1_1", "problems of section1_2"]
    assert "problems of feynman" in titles
    assert call("list", "problems", "--section", "section1_2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "problems of section1_2"
    assert [line.split()[0] for line in lines[1:]] == ["poisson_1d_highfreq", "poisson_1d_sin", "poisson_1d_poly"]
    assert lines[2].split(maxsplit=2)[1:] == ["1D", "pi^2 sin(pi x)"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("problems", "--section", "section1_4"), "section = 'section1_4' is not known; did you mean 'section1_3'?"),
        (("models", "--section", "toy"), "section = 'toy' is one of problems; write harness list problems --section"),
        (("--section", "toy"), "section = 'toy' is one of problems"),
    ],
)
def test_a_section_that_is_not_known_or_not_of_problems_is_refused(
    words: tuple[str, ...], complaint: str, capsys: Captured
) -> None:
    assert call("list", *words) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("installed", "registries")
def test_list_shows_the_rest_and_says_which_entry_point_can_not_be_loaded(capsys: Captured) -> None:
    assert call("list") == 0
    out, err = capsys.readouterr()
    assert "their_cosine" in out
    assert "S2+" in out
    assert "broken" not in out
    said = [line.partition(": Attr")[0] for line in err.splitlines()]
    kinds = ("problem", "optimizer", "executor")
    assert said == [
        f"harness: {kind} 'broken' can't be loaded from its plug-in 'their_package:nothing'" for kind in kinds
    ]


def test_list_knows_plugins(outside: Path, registries: None, capsys: Captured) -> None:
    (outside / "mine.py").write_text(PROBLEM.format(name="cosine_listed"))
    assert call("list", "problems", "--plugins", "mine.py") == 0
    assert "cosine_listed" in capsys.readouterr().out


def test_help_documents_every_field_of_every_model(capsys: Captured) -> None:
    assert call("run", "--help") == 0
    out = capsys.readouterr().out
    for model in MODELS:
        for field in fields_of(FAMILIES.get(model).config):
            assert f"--{field} " in out, field
    assert "[200]" in out
    assert len(fields_of(RunConfig)) > 15


def test_help_for_a_model_shows_its_fields_alone_with_the_values_in_force_and_what_they_may_be(
    capsys: Captured,
) -> None:
    assert call("run", "--help", "--model=siren", "--preset=lm", "--problem=polynomial", "--width=7") == 0
    out = " ".join(capsys.readouterr().out.split())
    for part in ("--omega0", "[10.0]", "--width", "[7]", "--damping", "One of adam, lbfgs, lm. [lm]", "[true]"):
        assert part in out, part
    for absent in ("--activation", "--clip", "--grids", "[64]"):
        assert absent not in out, absent


@pytest.mark.parametrize("command", ["run", "benchmark", "study", "study export"])
def test_every_command_of_fields_has_help(command: str, capsys: Captured) -> None:
    assert call(*command.split(), "--help") == 0
    assert "--" in capsys.readouterr().out


def test_help_offers_a_field_to_the_models_that_have_it(capsys: Captured) -> None:
    assert call("run", "--help") == 0
    groups = capsys.readouterr().out.split("\nFields of ")
    with_activation = next(group for group in groups if "--activation" in group)
    assert with_activation.startswith("mlp, mlp_fourier:")
    with_width = next(group for group in groups if "--width" in group)
    assert with_width.startswith(
        "mlp, mlp_fourier, mlp_bspline, siren, wire, finer, gauss, kan, kan_pruned, kan_chebyshev,"
    )
    assert "[mlp, mlp_fourier: 32;" in " ".join(with_width.split())


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


@pytest.mark.parametrize("arguments", [["list"], ["--help"]], ids=" ".join)
def test_what_there_is_is_listed_without_torch_mlflow_matplotlib_and_optuna(
    arguments: list[str], outside: Path
) -> None:
    script = """
import sys
from harness.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code
    print(*{"torch", "mlflow", "matplotlib", "optuna", "pandas", "sqlalchemy"} & set(sys.modules), file=sys.stderr)
"""
    assert python(["-c", script, *arguments]).stderr == "\n"


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
    from harness.execution.benchmark_config import OWN
    from harness.execution.executors import every_field

    assert call("benchmark", "--help") == 0
    out = capsys.readouterr().out
    assert all(f"--{name} " in out for name in OWN | every_field())


COMMANDS = {
    "run": ("--epochs", "1"),
    "benchmark": ("--suite", "smoke"),
    "benchmark --dry_run": ("--suite", "smoke"),
    "predict": ("a", str(ROOT / "examples" / "pendulum.csv")),
    "report": (),
    "report compare": ("a", "b"),
    "study": ("--problem", "poisson_1d_sin"),
    "study export": ("--problem", "poisson_1d_sin"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "uri",
    [
        "http://me:MARKER@[::bad",
        "http://me:MARKER@127.0.0.1:notaport",
        "nonsense://me:MARKER@host/db",
        "postgresql+psycopg://me:MARKER@127.0.0.1:9/none",
        "sqlite:///theirs.db",
    ],
)
def test_every_command_refuses_a_store_that_can_not_be_used_in_one_line_without_its_password(
    command: str, uri: str, outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with closing(sqlite3.connect("theirs.db")) as database:
        database.execute("CREATE TABLE recipes (name)")
    before = Path("theirs.db").read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert call(*command.split(), *COMMANDS[command]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("harness: MLFLOW_TRACKING_URI = ")
    assert said.err.count("\n") == 1
    assert "MARKER" not in said.err
    assert [path.name for path in outside.iterdir()] == ["theirs.db"]
    assert Path("theirs.db").read_bytes() == before


@pytest.mark.parametrize("command", [("report",), ("report", "--benchmark", "nope"), ("report", "compare", "a", "b")])
def test_a_report_on_no_store_leaves_nothing(command: tuple[str, ...], outside: Path, capsys: Captured) -> None:
    assert call(*command) == 2
    assert capsys.readouterr().err.startswith("harness: there is no store here")
    assert list(outside.iterdir()) == []


def test_a_report_on_an_unknown_benchmark_leaves_no_folder(
    store: MlflowClient, outside: Path, capsys: Captured
) -> None:
    assert call("report", "--benchmark", "nope") == 2
    assert "'nope'" in capsys.readouterr().err
    assert [path.name for path in outside.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("kind", ["benchmark", "study"])
@pytest.mark.parametrize(
    "scheduler",
    ["tcp://me:MARKER@[::bad", "127.0.0.1:notaport", "nonsense://h:1", "tcp://me:MARKER@127.0.0.1:9", "tcp://"],
)
def test_a_scheduler_that_can_not_be_used_is_refused_and_leaves_nothing(
    kind: str, scheduler: str, outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("harness.execution.executors.dask.CONNECT_S", 0.2)
    what = ("--suite", "smoke") if kind == "benchmark" else ("--problem", "poisson_1d_sin")
    assert call(kind, *what, "--executor", "dask", "--scheduler", scheduler) == 2
    err = capsys.readouterr().err
    assert err.startswith("harness: scheduler = ")
    assert err.count("\n") == 1
    assert "MARKER" not in err
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "storage", ["redis://h", "sqlite://", "nowhere/x.journal", "postgresql+psycopg://u:MARKER@[::bad/x"]
)
@pytest.mark.parametrize("command", [("study",), ("study", "export")])
def test_a_storage_that_can_not_be_used_is_refused_and_leaves_nothing(
    command: tuple[str, ...], storage: str, outside: Path, capsys: Captured
) -> None:
    assert call(*command, "--problem", "poisson_1d_sin", "--storage", storage) == 2
    err = capsys.readouterr().err
    assert err.startswith("harness: storage = ")
    assert err.count("\n") == 1
    assert "MARKER" not in err
    assert list(outside.iterdir()) == []


def test_a_dry_run_and_the_doctor_make_no_store(outside: Path, capsys: Captured) -> None:
    assert call("benchmark", "--suite", "smoke", "--dry_run") == 0
    assert call("doctor") == 0
    assert "is not there yet" in capsys.readouterr().out
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "report", "report compare", "study", "doctor"])
def test_a_store_that_is_lost_is_one_sentence(
    command: str, store: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def lost(*arguments: object, **named: object) -> NoReturn:
        raise MlflowException("the connection to postgresql://me:MARKER@host/db was lost\nat a place in the code")

    for name in (
        "harness.tracking.recorder._start",
        "harness.tracking.claims.search",
        "harness.execution.driving.open_parent",
    ):
        monkeypatch.setattr(name, lost)
    for name in ("reports.report.gather", "reports.compare.gather"):
        monkeypatch.setattr(name, lost)
    arguments = COMMANDS.get(command, ())
    assert call(*command.split(), *arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("harness: The store failed: the connection to postgresql://me:***@host/db was lost; ")
    assert err.count("\n") == 1


def test_what_nobody_expected_shows_its_traceback_without_a_password(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def broken(*arguments: object) -> NoReturn:
        raise RuntimeError("at http://me:MARKER@host/")

    monkeypatch.setattr("harness.cli.table", broken)
    assert call("list") == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("RuntimeError: at http://me:***@host/\n")
