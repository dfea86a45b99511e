"""Suites are what their files say: every cell once, seed by seed; a malformed file is refused with its line."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from harness import problems, suites
from harness.config import RunConfig
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.models import network
from harness.models.flops import flops as count_flops
from harness.suites import problem_names
from tests.support import MODELS, ROOT


def cells(suite: str, seeds: int = 1, **given: str) -> list[RunConfig]:
    declared = suites.load(suite)
    return list(suites.configurations(declared, range(seeds), [declared.preset], given))


@pytest.mark.parametrize("name", suites.names())
def test_every_suite_that_comes_with_the_project_can_be_computed_and_repeats_nothing(
    name: str, registries: None
) -> None:
    found = [config.model_dump_json() for config in cells(name)]
    assert found
    assert len(set(found)) == len(found)
    assert suites.load(name).summary.endswith(".")


def usual() -> set[str]:
    return {name for name, each in FAMILIES.usable().items() if each.usual and each.can_take(equation=False)}


def test_section_1_is_every_model_on_every_one_of_its_fifteen_problems() -> None:
    found = Counter((config.model, config.problem) for config in cells("section1", seeds=2))
    assert set(found.values()) == {2}
    assert len(found) == len(usual()) * 15
    parts = [config for part in ("section1_1", "section1_2", "section1_3") for config in cells(part)]
    assert len(parts) == len(usual()) * 16, "poisson_1d_highfreq belongs to two"


def test_the_original_s_matrix_has_15_mlps_5_sirens_a_kan_and_a_pruned_one_on_each_of_seven_problems() -> None:
    found = cells("seed_matrix")
    assert {config.preset for config in found} == {"seed"}
    of_each = Counter(config.problem for config in found)
    assert list(of_each.values()) == [22] * 7
    assert Counter(config.model for config in found) == {"mlp": 105, "siren": 35, "kan": 7, "kan_pruned": 7}


def test_the_suite_of_the_kan_paper_has_just_the_problems_with_a_published_figure() -> None:
    with (ROOT / "docs" / "results" / "kan_paper.csv").open(newline="") as file:
        published = [row["problem"] for row in csv.DictReader(file)]
    assert sorted(published) == sorted({config.problem for config in cells("kan_paper")})
    assert {config.problem for config in cells("kan_paper_shapes")} < set(published)


def test_widths_of_equal_params_come_as_near_to_the_target_as_widths_can() -> None:
    of_parameters, of_flops = suites.load("equal_params").variants
    targets = [*of_parameters.parameters, *of_flops.flops]
    sizes = [parameters] * len(of_parameters.parameters) + [flops] * len(of_flops.flops)
    networks = [name for name, family in FAMILIES.usable().items() if family.kind in of_parameters.kinds]
    found = [config for config in cells("equal_params") if config.problem in ("sin_freq5", "poisson_2d_spec")]
    by_model: dict[tuple[str, str], list[RunConfig]] = {}
    for config in found:
        by_model.setdefault((config.problem, config.model), []).append(config)
    assert {model for _, model in by_model} == {*networks}
    for (problem, model), each in by_model.items():
        if model not in MODELS:
            continue
        widths = {config.width for config in each}  # type: ignore[attr-defined]  # each of these families has one
        assert len(widths) == len(each)
        for target, size in zip(targets, sizes, strict=True):
            near = {max(1, width + step) for width in widths for step in (-1, 0, 1)}
            off = {width: abs(size(each[0], width, problem) - target) for width in near}
            assert min(off, key=lambda width: (off[width], width)) in widths


def parameters(config: RunConfig, width: int, problem: str) -> int:
    return config.model_copy(update={"width": width}).parameters(problems.get(problem).dimension)


def flops(config: RunConfig, width: int, problem: str) -> int:
    dimension = problems.get(problem).dimension
    return count_flops(network(config.model_copy(update={"width": width}), dimension), dimension)


def test_a_variant_may_be_about_some_of_the_problems(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "summary: Mine.\nproblems: [section1_2]\nvariants:\n  - models: [mlp]\n"
        "  - models: [kan]\n    problems: [poisson_1d_sin]\n"
    )
    found = [(config.model, config.problem) for config in cells(str(file))]
    assert found.count(("kan", "poisson_1d_sin")) == 1
    assert [problem for model, problem in found if model == "mlp"] == problem_names(["section1_2"])
    assert len(found) == 4
    file.write_text(file.read_text().replace("[poisson_1d_sin]", "[sin_freq1]"))
    with pytest.raises(
        BadInput, match=r"line 6.*problems = 'sin_freq1' of a variant is not among the problems of the suite"
    ):
        cells(str(file))


def test_seeds_come_one_after_the_other_so_that_a_benchmark_cut_short_has_whole_ones() -> None:
    seeds = [config.seed for config in cells("smoke", seeds=3)]
    assert seeds == sorted(seeds)
    assert set(seeds) == {0, 1, 2}


def test_the_user_s_fields_win_over_the_suite_s() -> None:
    assert {config.epochs for config in cells("smoke", epochs="9")} == {9}


def test_models_can_be_left_out() -> None:
    declared = suites.load("smoke")
    assert {c.model for c in suites.configurations(declared, [0], ["tuned"], {}, ["kan"])} == {"kan"}


def test_a_suite_of_one_s_own_sweeps_and_shares_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
summary: Mine.
problems: [poisson_1d_sin]
fields: {epochs: 3}
variants:
  - models: [kan]
    fields: {grids: [3, 5]}
    sweep: {width: [2, 4], k: [2, 3]}
  - models: [siren]
"""
    )
    found = cells(str(path))
    assert [(c.model, c.epochs) for c in found] == [("kan", 3)] * 4 + [("siren", 3)]
    assert {(c.width, c.k) for c in found if c.model == "kan"} == {(2, 2), (2, 3), (4, 2), (4, 3)}  # type: ignore[attr-defined]
    assert suites.title(str(path)) == "mine"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("summary: x\nproblems: [poisson_1d_sin]\nmodel: siren\n", r"line 3: model: no such field"),
        ("summary: x\nproblems: []\n", r"line 2: problems: it should have at least 1 item"),
        ("problems: [poisson_1d_sin]\n", r"line 1: summary: it is needed"),
        (
            "summary: x\nproblems: [poisson_1d_sin]\nvariants:\n  - models: [siren]\n  - sweeps: {a: [1]}\n",
            r"line 5: variants.1.sweeps: no such field; did you mean 'sweep'\?",
        ),
        ("summary: x\nproblems: [a\n", r"line 3: this is not YAML"),
        ("summary: !!bool maybe\n", r"line 1: summary = 'maybe' can't be read"),
        ("summary: !!timestamp abc\n", r"line 1: summary = 'abc' can't be read"),
        ('summary: !!int ""\n', r"line 1: summary = '' can't be read"),
        ("- just\n- a list\n", r"line 1: a suite is a mapping"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line_and_field(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=sentence):
        suites.load(str(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("summary: x\nproblems: [poison]\n", r"problems = 'poison' is not known"),
        ("summary: x\nproblems: [section1_2]\nfields: {epoch: 3}\n", r"epoch = 3 is not a field of model 'mlp'"),
        ("summary: x\nproblems: [section1_2]\nvariants: [{models: [kna]}]\n", r"model = 'kna' is not known"),
    ],
)
def test_what_a_suite_names_has_to_exist(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=sentence):
        cells(str(path))


def test_an_unknown_suite_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"suite = 'section' is not known.*did you mean"):
        suites.load("section")
    with pytest.raises(BadInput, match=r"suite = 'nowhere.yaml' can't be read"):
        suites.load("nowhere.yaml")


def test_every_family_is_in_every_suite_unless_it_says_otherwise() -> None:
    assert {config.model for config in cells("smoke")} == usual()


def test_solvers_stand_beside_networks_on_equations_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    head = "summary: Both.\nproblems: [sin_freq1, solve_1d_sin]\nfields: {optimizer: adam, n_train: 50}\n"
    path.write_text(f"{head}variants:\n  - {{}}\n  - fields: {{lr: 0.5}}\n")
    solvers = {"spectral", "finite_difference"}
    found = [(config.model, config.problem, config.values()) for config in cells(str(path))]
    of_solvers = [each for each in found if each[0] in solvers]
    assert Counter(model for model, _, _ in of_solvers) == dict.fromkeys(solvers, 1)
    for _, problem, values in of_solvers:
        assert problem == "solve_1d_sin"
        assert values["n_train"] == 50
        assert "optimizer" not in values
    networks = {name for name in usual() if FAMILIES.get(name).kind != "classical"}
    for problem, of_all in (("sin_freq1", usual()), ("solve_1d_sin", networks | solvers | {"random_features"})):
        assert Counter(each[0] for each in found if each[1] == problem) == Counter([*of_all, *networks])
    path.write_text(f"{head}variants:\n  - models: [spectral]\n    fields: {{lr: 0.5}}\n")
    with pytest.raises(BadInput, match=r"lr = 0\.5 is not a field of model 'spectral'"):
        cells(str(path))
