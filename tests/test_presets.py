"""The presets that come with the project."""

from __future__ import annotations

import re

import pytest
import yaml

from harness import presets
from harness.config import KANConfig, PrunedKANConfig, SirenConfig
from harness.presets import by_hand, load, names, resolve, summary
from harness.problems import PROBLEMS
from tests.support import MODELS, harness


def test_the_presets_are_those_of_the_contract() -> None:
    assert names() == ["lm", "seed", "tuned"]


@pytest.mark.parametrize("preset", ["lm", "seed", "tuned"])
@pytest.mark.parametrize("model", MODELS)
def test_each_preset_has_values_for_each_model_and_they_are_in_force(preset: str, model: str) -> None:
    content = load(preset)
    config = resolve({"model": model, "preset": preset})
    problem = content.get("problems", {}).get(model, {}).get(config.problem, {})
    chosen = content["all"] | content["models"][model] | problem
    assert chosen
    for name, value in chosen.items():
        assert getattr(config, name) == (tuple(value) if isinstance(value, list) else value), name


def test_each_preset_says_what_it_is_in_a_sentence_and_that_is_no_value_of_a_run() -> None:
    listed = harness("list", "presets").stdout
    for preset in names():
        assert re.fullmatch(r"[A-Z].{20,150}\.", summary(preset))
        assert "summary" not in by_hand(resolve({"preset": preset}))
        assert summary(preset) in listed


def test_the_user_s_value_wins_over_the_preset_s_and_the_preset_s_over_the_default() -> None:
    assert resolve({"model": "siren", "preset": "seed"}).model_dump()["width"] == 5
    assert resolve({"model": "siren", "preset": "seed", "width": "7"}).model_dump()["width"] == 7
    assert SirenConfig.model_fields["width"].default not in (5, 7)


def test_seed_is_the_document_s_recipe() -> None:
    siren, pruned = (resolve({"model": model, "preset": "seed"}) for model in ("siren", "kan_pruned"))
    assert isinstance(siren, SirenConfig)
    assert (siren.omega0, siren.optimizer, siren.lr, siren.lr_decay, siren.clip) == (30.0, "adam", 1e-4, 0.1, 0.1)
    assert siren.standardise is False
    assert isinstance(pruned, PrunedKANConfig)
    assert (pruned.lamb, pruned.node_th, pruned.edge_th) == (1e-2, 1e-2, 3e-2)
    assert pruned.grids == (3, 5, 10, 20, 50, 100)
    assert pruned.steps_per_grid == 200


@pytest.mark.parametrize("preset", ["lm", "seed", "tuned"])
def test_a_pruned_kan_starts_from_the_preset_s_kan_on_every_problem(preset: str) -> None:
    for problem in PROBLEMS.names():
        given = {"problem": problem, "preset": preset}
        kan, pruned = (resolve({"model": model, **given}) for model in ("kan", "kan_pruned"))
        twin = pruned.twin()
        assert twin is not None
        for name in KANConfig.model_fields:
            assert getattr(kan, name) == getattr(twin, name), (problem, name)


def test_a_digest_is_of_the_values_whatever_their_order_comments_and_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "a": "summary: one\nall: {lr: 0.1, width: 3}\n",
        "b": "# why\nall:\n  width: 3  # because\n  lr: 0.1\nsummary: two\n",
        "c": "summary: one\nall: {lr: 0.1, width: 4}\n",
    }
    monkeypatch.setattr(presets, "load", lambda name: yaml.safe_load(texts[name]))
    assert presets.digest("a") == presets.digest("b") != presets.digest("c")
