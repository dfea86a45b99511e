"""The presets that come with the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import presets
from harness.config import PrunedKANConfig, SirenConfig
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.families import resolve as resolve_place
from harness.presets import by_hand, is_equation, knows_target, load, names, resolve, summary
from harness.problems import PROBLEMS
from harness.training import Event, StageStarted
from harness.training.loop import Training
from tests.support import FEW_POINTS, MODELS, harness, parts


def test_the_presets_are_those_of_the_contract() -> None:
    assert names() == ["lm", "lm_plain", "paper", "seed", "seed_default", "tuned"]


FITS = ("lm", "lm_plain", "seed", "seed_default", "tuned")
"""Those that have values for fits; for equations all have."""
FIT, EQUATION = "poisson_2d_sin", "solve_2d_highfreq"


@pytest.mark.parametrize(
    ("preset", "problem"), [*((name, FIT) for name in FITS), *((name, EQUATION) for name in names())]
)
@pytest.mark.parametrize("model", MODELS)
def test_each_preset_has_values_for_each_model_and_they_are_in_force(preset: str, problem: str, model: str) -> None:
    content = load(preset, of_equation=problem == EQUATION)
    config = resolve({"model": model, "preset": preset, "problem": problem})
    own = content.get("problems", {}).get(model, {}).get(config.problem, {})
    chosen = content["all"] | content["models"][model] | own
    assert chosen
    for name, value in chosen.items():
        assert config.values()[name] == value, name


def test_each_preset_says_what_it_is_in_a_sentence_and_that_is_no_value_of_a_run() -> None:
    listed = harness("list", "presets").stdout
    for preset in names():
        assert re.fullmatch(r"[A-Z].{20,150}\.", summary(preset))
        problem = FIT if preset in FITS else EQUATION
        assert "summary" not in by_hand(resolve({"preset": preset, "problem": problem}))
        assert summary(preset) in listed


def test_the_user_s_value_wins_over_the_preset_s_and_the_preset_s_over_the_default() -> None:
    assert resolve({"model": "siren", "preset": "seed"}).model_dump()["width"] == 5
    assert resolve({"model": "siren", "preset": "seed", "width": "7"}).model_dump()["width"] == 7
    assert SirenConfig.model_fields["width"].default not in (5, 7)


def test_seed_is_the_document_s_recipe() -> None:
    siren, pruned = (resolve({"model": model, "preset": "seed"}) for model in ("siren", "kan_pruned"))
    assert isinstance(siren, SirenConfig)
    assert tuple(siren.values()[name] for name in ("omega0", "optimizer", "lr", "lr_decay", "clip")) == (
        30.0,
        "adam",
        1e-4,
        0.1,
        0.1,
    )
    assert siren.standardise is False
    assert isinstance(pruned, PrunedKANConfig)
    assert (pruned.lamb, pruned.node_th, pruned.edge_th) == (1e-2, 1e-2, 3e-2)


@pytest.mark.parametrize(
    ("preset", "model", "stages"),
    [
        ("seed", "kan", {f"grid_{grid}": 200 for grid in (3, 5, 10, 20, 50, 100)}),
        ("seed", "kan_pruned", {"sparsify": 200, "prune": 1, "retrain": 200}),
        ("seed_default", "kan", {"grid_3": 200}),
        ("seed_default", "kan_pruned", {"sparsify": 100, "prune": 1, "retrain": 99}),
        ("seed", "siren", {"train": 200}),
        ("seed_default", "mlp", {"train": 200}),
    ],
)
def test_the_steps_are_those_of_the_document_and_of_its_command_line(
    preset: str, model: str, stages: dict[str, int]
) -> None:
    config = resolve({"model": model, "preset": preset, "problem": "poisson_1d_sin", **FEW_POINTS})
    took: list[tuple[str, int]] = []

    class Counted(Training):
        """The stages of the plan, without the work."""

        def stage(self, name: str, epochs: int, **how: Any) -> Iterator[Event]:
            took.append((name, epochs))
            self.epoch += epochs
            yield StageStarted(len(took) - 1, name)

    model_and_data = parts(config)
    list(resolve_place(FAMILIES.get(model).plan)(Counted(*model_and_data, config)))
    assert dict(took) == stages
    assert sum(stages.values()) == config.epochs
    twin = config.twin()
    assert twin is None or (twin.epochs, twin.stages()) == (config.epochs, config.stages())  # type: ignore[attr-defined]  # a KAN's


def test_an_empty_problem_is_the_default_or_the_rows_of_the_file(tmp_path: Path) -> None:
    """MLproject hands it over whether it is given or not."""
    assert resolve({"problem": ""}) == resolve({})
    file = tmp_path / "a table.csv"
    file.write_text("a,b\n" + "\n".join(f"{i},{i * i}" for i in range(30)))
    assert resolve({"problem": "", "data": str(file), "outputs": "b"}).problem == "a_table"
    with pytest.raises(BadInput, match=r"problem = 'sin_freq1' is a declared problem; beside data = 'a table\.csv'"):
        resolve({"problem": "sin_freq1", "data": str(file), "outputs": "b"})


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_epochs_is_the_preset_s_own_and_a_given_one_stands(model: str) -> None:
    own = resolve({"model": model, "preset": "seed"})
    assert resolve({"model": model, "preset": "seed", "epochs": ""}) == own
    assert resolve({"model": model, "preset": "seed", "epochs": "7"}).epochs == 7
    assert resolve({"model": model, "preset": "tuned", "epochs": ""}).epochs == 200


def test_what_extends_a_preset_has_its_values_but_none_of_a_problem_s_own() -> None:
    for problem in PROBLEMS.names():
        plain = resolve({"model": "siren", "preset": "lm_plain", "problem": problem})
        assert isinstance(plain, SirenConfig)
        assert (plain.width, plain.depth, plain.omega0, plain.optimizer) == (14, 2, 10.0, "lm")


def test_only_shapes_of_the_problem_s_own_are_chosen_with_knowledge_of_the_target() -> None:
    def knows(**given: str) -> bool:
        return knows_target(resolve({"model": "siren", "preset": "lm", "problem": "poisson_2d_sin", **given}))

    assert knows()
    assert knows(width="20")
    assert not knows(problem="sawtooth")
    assert not knows(model="mlp")
    assert not knows(preset="lm_plain")
    assert not knows(preset="tuned")
    assert not knows(width="14", depth="2", omega0="10")


@pytest.mark.parametrize("model", sorted(set(MODELS) - {"siren"}))
def test_lm_plain_is_lm_for_all_but_siren_so_that_lm_s_results_are_its_own(model: str) -> None:
    for problem in (name for name in PROBLEMS.names() if not is_equation(name)):
        plain, own = (resolve({"model": model, "problem": problem, "preset": p}).values() for p in ("lm_plain", "lm"))
        assert {**plain, "preset": "lm"} == own


@pytest.mark.parametrize("preset", sorted(set(names()) - {"seed"}))  # there the two have steps of their own
def test_a_pruned_kan_starts_from_the_preset_s_kan_on_every_problem(preset: str) -> None:
    for problem in PROBLEMS.names():
        if preset not in FITS and not is_equation(problem):
            continue
        given = {"problem": problem, "preset": preset}
        kan, pruned = (resolve({"model": model, **given}) for model in ("kan", "kan_pruned"))
        twin = pruned.twin()
        assert twin is not None
        assert kan.values() == twin.values(), problem


def test_a_preset_for_equations_is_refused_for_a_fit() -> None:
    with pytest.raises(BadInput, match="preset = 'paper' is about equations, and the problem is none; allowed: lm,"):
        resolve({"preset": "paper", "problem": FIT})
    assert resolve({"preset": "paper", "problem": EQUATION, "model": "kan"}).n_train == 10_000


def test_the_default_problem_is_a_fit_so_that_nothing_is_loaded_to_find_out() -> None:
    assert PROBLEMS.get(resolve({}).problem).equation is None


def test_values_for_equations_leave_those_for_fits_and_their_digest_alone() -> None:
    assert load("lm")["models"] != load("lm", of_equation=True)["models"]
    assert load("seed") == load("seed", of_equation=True)
    assert presets.digest("lm") != presets.digest("lm", of_equation=True)
    assert {presets.digest("lm"), presets.digest("lm", of_equation=True)} < presets.digests("lm")


def test_values_for_competitors_stand_in_a_file_of_their_own_with_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", "competitors", "equations", "equations/competitors"):
        (tmp_path / folder).mkdir(exist_ok=True)
    first, beside = "all: {epochs: 9}\nmodels: {mlp: {width: 3}}\n", "all: {epochs: 7}\nmodels: {siren: {width: 4}}\n"
    (tmp_path / "tuned.yaml").write_text(first)
    (tmp_path / "competitors" / "tuned.yaml").write_text(beside)
    monkeypatch.setattr(presets, "files", lambda package: tmp_path)
    presets._files.cache_clear()
    presets._load.cache_clear()
    try:
        found = {model: resolve({"model": model}) for model in ("mlp", "siren", "kan")}
        digests = {model: presets.digest("tuned", model=model) for model in found}
    finally:
        presets._files.cache_clear()
        presets._load.cache_clear()
    assert [config.epochs for config in found.values()] == [9, 7, 9]
    assert (found["mlp"].values()["width"], found["siren"].values()["width"]) == (3, 4)
    assert digests["mlp"] == digests["kan"] != digests["siren"]


def test_no_family_has_values_in_two_files_of_a_preset() -> None:
    for preset in names():
        for of_equation, folder in ((False, ""), (True, "equations/")):
            if preset in presets._files(f"{folder}competitors"):
                beside = presets._load(preset, f"{folder}competitors")["models"]
                assert not {*beside} & {*load(preset, of_equation)["models"]}


def test_a_digest_is_of_the_values_whatever_their_order_comments_and_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "a": "summary: one\nall: {lr: 0.1, width: 3}\n",
        "b": "# why\nall:\n  width: 3  # because\n  lr: 0.1\nsummary: two\n",
        "c": "summary: one\nall: {lr: 0.1, width: 4}\n",
    }
    monkeypatch.setattr(presets, "load", lambda name, *file: yaml.safe_load(texts[name]))
    assert presets.digest("a") == presets.digest("b") != presets.digest("c")


@pytest.mark.parametrize(
    ("rows", "given"),
    [
        (["x,z,y", *(f"{n},{n % 3},{n % 5}" for n in range(40)), "7,,2"], {"missing": "drop"}),
        (["x,same,y", *(f"{n},1,{n % 5}" for n in range(40))], {"inputs": "x"}),
        (["x,note,y", *(f"{n},word {n},{n % 5}" for n in range(40))], {"inputs": "x"}),
        (
            ["x,part,y", *(f"{n},{('train', 'train', 'val', 'test')[n % 4]},{n % 5}" for n in range(40))],
            {"split_column": "part"},
        ),
    ],
    ids=["a gap", "a constant", "text", "a column of parts"],
)
def test_what_a_user_says_of_a_file_s_columns_holds_when_the_run_is_named(
    rows: list[str], given: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    config = resolve({"model": "linear", "data": str(tmp_path / "rows.csv"), "outputs": "y", **given})
    assert by_hand(config) == {name: value for name, value in config.values().items() if name in {"outputs", *given}}
