"""Plug-ins: a module, a file or an installed package adds a problem or a model without a change here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import presets, problems, suites
from harness.errors import BadInput
from harness.execution.benchmark_config import configure as benchmark_of
from harness.families import FAMILIES
from harness.presets import resolve
from harness.problems import PROBLEMS
from harness.registry import Registry, check_name, load_plugins, nearest
from reports.criteria import CRITERIA
from studies.catalogue import STUDIES
from studies.plan import make_plan
from studies.study_config import configure

# What CONTRIBUTING.md shows.
PROBLEM = """
import torch
from harness.problems import Problem, register

register(
    Problem(
        name="{name}", dimension=1, target=torch.cos, gradient=lambda x: -torch.sin(x), formula="cos(x)",
        sections=("mine",), citation="none",
    )
)
"""
MODEL = """
from torch import nn
from harness.config import RunConfig, field
from harness.families import Family, register

class LineConfig(RunConfig):
    slope: float = field(2.0, "Nothing but an example.", gt=0)

register(Family("line", LineConfig, lambda config, dimension, generator: nn.Linear(dimension, 1), "A line."))
"""


def test_a_file_adds_a_problem_and_is_imported_once(outside: Path, registries: None) -> None:
    (outside / "mine.py").write_text(PROBLEM.format(name="cosine"))
    for _ in range(2):
        assert resolve({"plugins": "mine.py", "problem": "cosine"}).problem == "cosine"
    assert problems.get("cosine").sections == ("mine",)


def test_a_module_adds_a_problem(outside: Path, registries: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (outside / "my_problems_module.py").write_text(PROBLEM.format(name="cosine_of_module"))
    monkeypatch.syspath_prepend(str(outside))
    load_plugins(["my_problems_module"])
    assert problems.get("cosine_of_module").formula == "cos(x)"


def test_two_files_of_one_name_stay_apart(outside: Path, registries: None) -> None:
    for name in ("a", "b"):
        (outside / name).mkdir()
        (outside / name / "same.py").write_text(PROBLEM.format(name=f"same_{name}"))
    load_plugins(["a/same.py", "b/same.py"])
    assert {"same_a", "same_b"} <= set(PROBLEMS.names())


def test_a_file_adds_a_model_with_fields_of_its_own(outside: Path, registries: None) -> None:
    (outside / "line.py").write_text(MODEL)
    config = resolve({"plugins": "line.py", "model": "line", "slope": "3"})
    assert config.model_dump()["slope"] == 3.0
    with pytest.raises(BadInput, match="slope = '0' can't be used"):
        resolve({"plugins": "line.py", "model": "line", "slope": "0"})
    with pytest.raises(BadInput, match="slope = '1' is not a field of model 'siren'; it belongs to line"):
        resolve({"slope": "1"})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "is not there"),
        ("1 +", r"SyntaxError: invalid syntax \(.*/bad\.py, line 1\)"),
        ("\nimport no_such_module_at_all", r"ModuleNotFoundError: .* \(.*/bad\.py, line 2\)"),
        ("raise RuntimeError('at import\\nin two lines.')", r"RuntimeError: at import \(.*/bad\.py, line 1\)\.$"),
        ("import sys\n\nsys.exit(3)", r"SystemExit: 3 \(.*/bad\.py, line 3\)"),
        ("def f():\n    open('no.csv')\nf()", r"FileNotFoundError: .*no\.csv' \(.*/bad\.py, line 2\)"),
        ("import json\n\njson.loads('{')", r"JSONDecodeError: .* \(.*/bad\.py, line 3\)"),
        (PROBLEM.format(name="piecewise"), "registered twice"),
    ],
)
def test_a_plugin_that_can_not_be_used_is_bad_input(
    outside: Path, registries: None, content: str | None, complaint: str
) -> None:
    if content is not None:
        (outside / "bad.py").write_text(content)
    with pytest.raises(BadInput, match=complaint) as refused:
        resolve({"plugins": "bad.py"})
    assert "\n" not in str(refused.value)


def test_a_plugin_that_failed_is_tried_again(outside: Path, registries: None) -> None:
    plugin = outside / "later.py"
    plugin.write_text("1 +")
    with pytest.raises(BadInput):
        load_plugins([str(plugin)])
    plugin.write_text(PROBLEM.format(name="later"))
    load_plugins([str(plugin)])
    assert "later" in PROBLEMS.names()


def test_a_missing_module_is_bad_input() -> None:
    with pytest.raises(BadInput, match="plugins = 'no_such_module_at_all' can't be imported"):
        load_plugins(["no_such_module_at_all"])


@pytest.fixture
def installed(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with entry points, as pip would have left it."""
    (outside / "their_package.py").write_text(
        """
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family
from harness.problems import Problem

cosine = Problem(
    name="their_cosine", dimension=1, target=torch.cos, gradient=lambda x: -torch.sin(x), formula="cos(x)",
    sections=("theirs",), citation="none",
)
line = Family("their_line", RunConfig, lambda config, dimension, generator: nn.Linear(dimension, 1), "A line.")
"""
    )
    info = outside / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[harness.problems]\ntheir_cosine = their_package:cosine\nbroken = their_package:nothing\n"
        "[harness.models]\ntheir_line = their_package:line\n"
        "[harness.methods]\nbroken = their_package:nothing\n[harness.executors]\nbroken = their_package:nothing\n"
    )
    monkeypatch.syspath_prepend(str(outside))
    return outside


def test_installed_entry_points_are_found_and_listed(installed: Path, registries: None) -> None:
    assert "their_cosine" in PROBLEMS.names()
    assert "their_line" in FAMILIES.names()
    assert problems.get("their_cosine").sections == ("theirs",)
    assert resolve({"model": "their_line"}).model == "their_line"


def test_an_entry_point_that_can_not_be_loaded_is_bad_input(installed: Path, registries: None) -> None:
    with pytest.raises(BadInput, match="problem 'broken' can't be loaded from its plug-in 'their_package:nothing'"):
        problems.get("broken")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("cosine = 5", "it is of type int, and should be of type Problem"),
        ("class cosine: pass", "it is the class cosine, and should be of type Problem"),
        ("from harness.problems import Problem as cosine", "it is the class Problem, and should be of type Problem"),
    ],
)
def test_an_entry_point_of_another_type_is_bad_input(
    installed: Path, registries: None, line: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "their_package", raising=False)
    (installed / "their_package.py").write_text(f"{line}\n")
    with pytest.raises(
        BadInput, match=rf"'their_cosine' can't be loaded from .*'their_package:cosine': {complaint}\.$"
    ):
        problems.get("their_cosine")
    assert "their_cosine" not in PROBLEMS._things


def test_what_can_not_be_loaded_is_told_and_costs_nothing_else(installed: Path, registries: None) -> None:
    told: list[str] = []
    found = PROBLEMS.usable(told.append)
    assert list(found) == [name for name in PROBLEMS.names() if name != "broken"]
    assert "their_cosine" in found
    (sentence,) = told
    assert sentence.startswith(
        "problem 'broken' can't be loaded from its plug-in 'their_package:nothing': AttributeError"
    )


def test_an_executor_that_can_not_be_loaded_stops_only_who_asks_for_it(installed: Path, registries: None) -> None:
    with pytest.raises(BadInput, match=r"workres = .1. is not a field of a benchmark"):
        benchmark_of({"suite": "smoke", "workres": "1"})
    with pytest.raises(BadInput, match="executor 'broken' can't be loaded from its plug-in 'their_package:nothing'"):
        benchmark_of({"suite": "smoke", "executor": "broken"})


def test_a_problem_that_can_not_be_loaded_stops_only_who_asks_for_it(installed: Path, registries: None) -> None:
    assert suites.problem_names(["their_cosine"]) == suites.problem_names(["theirs"]) == ["their_cosine"]
    assert make_plan(configure({"problem": "theirs"})).problems == ("their_cosine",)
    with pytest.raises(BadInput, match="problem 'broken' can't be loaded from its plug-in 'their_package:nothing'"):
        suites.problem_names(["their_cosine", "broken"])
    with pytest.raises(BadInput, match="problems = 'thiers' is not known; did you mean 'theirs'"):
        suites.problem_names(["thiers"])


def test_a_model_that_can_not_be_loaded_stops_only_who_asks_for_it(installed: Path, registries: None) -> None:
    entry_points = installed / "their_package-1.0.dist-info" / "entry_points.txt"
    models = "[harness.models]\n"
    entry_points.write_text(entry_points.read_text().replace(models, f"{models}broken = their_package:nothing\n"))
    smoke = suites.load("smoke")
    usual = {name for name, each in FAMILIES.usable().items() if each.usual and each.can_take(equation=False)}
    assert {each.model for each in suites.configurations(smoke, [0], ["tuned"], {})} == usual
    with pytest.raises(BadInput, match="omega0 = '3' is not a field of model 'mlp'; it belongs to siren"):
        resolve({"model": "mlp", "omega0": "3"})
    with pytest.raises(BadInput, match="omega0 = '3' is a field of siren, wire, finer only"):
        benchmark_of({"suite": "smoke", "omega0": "3"})
    with pytest.raises(BadInput, match="model 'broken' can't be loaded from its plug-in 'their_package:nothing'"):
        benchmark_of({"suite": "smoke", "models": "broken"})


def test_a_method_that_can_not_be_loaded_stops_only_who_asks_for_it(installed: Path, registries: None) -> None:
    assert resolve({"model": "mlp", "optimizer": "adam", "lr": "1e-2"}).values()["lr"] == 1e-2
    with pytest.raises(BadInput, match="optimizer 'broken' can't be loaded from its plug-in 'their_package:nothing'"):
        resolve({"model": "mlp", "optimizer": "broken"})


@pytest.mark.parametrize(
    ("line", "complaint"), [("raise KeyError('x')", "KeyError: 'x'"), ("raise SystemExit('no')", "SystemExit: no")]
)
def test_an_entry_point_that_raises_or_exits_is_bad_input_with_file_and_line(
    installed: Path, registries: None, line: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "their_package", raising=False)
    (installed / "their_package.py").write_text(f"\n{line}\n")
    with pytest.raises(
        BadInput, match=rf"their_cosine' can't be loaded .*: {complaint} \(.*their_package.py, line 2\)"
    ):
        problems.get("their_cosine")


def test_names_keep_the_order_of_registration_and_nothing_is_replaced() -> None:
    registry: Registry[int] = Registry("thing", "harness.nothing")
    for name in ("b", "a"):
        registry.register(name, 1)
    assert registry.names() == ["b", "a"]
    with pytest.raises(BadInput, match="thing 'b' is registered twice"):
        registry.register("b", 2)
    assert registry.get("b") == 1


def test_nearest_names_one_or_all() -> None:
    assert nearest("sirn", ["siren", "kan"]) == "did you mean 'siren'?"
    assert nearest("zzz", ["siren", "kan"]) == "allowed: kan, siren."


def test_nearest_names_three_of_too_many() -> None:
    many = [f"problem_{number}" for number in range(200)]
    told = nearest("xx_7", many)
    assert told.startswith("allowed: 200 names, such as problem_7")
    assert told.count("problem_") == 3


BAD_NAMES = (
    "",
    "a/b",
    "it's",
    "a b",
    "a\n",
    "..",
    ".a",
    "-a",
    "_a",
    "a|b",
    "a`b",
    "é",
    "a+b",
    "a" * 101,
    "a" * 100 + "+",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_can_not_be_a_name_is_refused_wherever_something_is_named(name: str) -> None:
    makers: list[Callable[[], object]] = [
        lambda: check_name("thing", name),
        lambda: Registry[int]("thing", "harness.nothing").register(name, 1),
        lambda: replace(problems.get("piecewise"), name=name),
        lambda: replace(problems.get("piecewise"), sections=(name,)),
        lambda: replace(FAMILIES.get("mlp"), name=name),
        lambda: replace(CRITERIA.get("S1"), id=name),
        lambda: replace(STUDIES.get("siren"), name=name),
    ]
    for make in makers:
        with pytest.raises(BadInput) as refused:
            make()
        assert f"= {name!r} can't be a name; allowed: " in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [5, None, b"a", ["a"]])
def test_what_is_no_text_can_not_be_a_name(name: object) -> None:
    with pytest.raises(BadInput, match="can't be a name"):
        check_name("thing", name)


@pytest.mark.parametrize("name", ["a", "S2+", "9.a_b-C", "a" * 100, "poisson_1d_sin"])
def test_names_of_letters_digits_and_three_marks_are_taken(name: str) -> None:
    assert Registry[int]("thing", "harness.nothing").register(name, 1) == 1


def test_everything_that_comes_with_the_project_has_a_name() -> None:
    for names in (
        PROBLEMS.names(),
        FAMILIES.names(),
        CRITERIA.names(),
        STUDIES.names(),
        presets.names(),
        suites.names(),
    ):
        for name in names:
            check_name("thing", name)


def test_a_suite_file_of_a_bad_name_and_a_study_of_a_bad_name_are_refused(outside: Path) -> None:
    (outside / "it's.yaml").write_text("summary: A suite.\nproblems: [poisson_1d_sin]\n")
    with pytest.raises(BadInput, match="suite = \"it's\" can't be a name"):
        suites.load("it's.yaml")
    with pytest.raises(BadInput, match="name = \"it's\" can't be a name"):
        make_plan(configure({"name": "it's"}))


def test_an_entry_point_of_a_bad_name_is_refused(installed: Path, registries: None) -> None:
    info = installed / "their_package-1.0.dist-info" / "entry_points.txt"
    info.write_text("[harness.problems]\na/b = their_package:cosine\n")
    with pytest.raises(BadInput, match="problem = 'a/b' can't be a name"):
        problems.get("a/b")
