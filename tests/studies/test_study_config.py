"""What a user can ask of a study, and what is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from studies.plan import make_plan
from studies.study_config import configure

PLUGIN = """
from studies.definition import Objective, Study, register
from studies.measures import log10_nmse
from studies.space import Real
register(Study("mine", "mlp", "Mine.", {"lr": Real(%s)}, (Objective("error", log10_nmse, 3.0),)))
"""


def test_the_default_is_siren_on_the_seven_poisson_problems() -> None:
    plan = make_plan(configure({}))
    assert plan.name == "siren-poisson"
    assert len(plan.problems) == 7
    assert list(plan.seeds) == [0, 1, 2]


def test_problems_and_sections_can_be_named_and_give_the_study_its_name() -> None:
    plan = make_plan(configure({"study": "kan", "problem": "section1_2,poisson_2d_sin"}))
    assert plan.problems == ("poisson_1d_highfreq", "poisson_1d_sin", "poisson_1d_poly", "poisson_2d_sin")
    assert plan.name == "kan-section1_2-poisson_2d_sin"


def test_fields_of_runs_are_taken_and_a_suite_s_own_too() -> None:
    plan = make_plan(configure({"suite": "smoke", "epochs": "7"}))
    config = plan.resolved({"lr": 0.01}, "poisson_1d_sin", 3)
    assert (config.epochs, config.n_train, config.seed) == (7, 100, 3)


def test_the_command_can_be_typed_again() -> None:
    assert configure({"study": "kan", "trials": "7"}).command() == "harness study --study kan --trials 7"


def test_a_pruned_kan_follows_its_twin_and_both_are_the_same_for_trials_that_differ_in_pruning_only() -> None:
    plan = make_plan(configure({"study": "kan", "problem": "poisson_1d_sin", "seeds": "2"}))
    values: dict[str, object] = {"lamb": 1e-3, "node_th": 1e-2, "edge_th": 1e-2, "sparsify_fraction": 0.5}
    values |= {"grids": "5", "prune_mode": "greedy"}
    runs = list(plan.runs(values))
    assert [run.config.model for run in runs] == ["kan", "kan_pruned"] * 2
    assert [run.step for run in runs] == [None, 0, None, 1]
    assert runs[1].twin == runs[0].fingerprint
    assert next(plan.runs(values | {"lamb": 1e-4})).fingerprint == runs[0].fingerprint


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"trials": "0"}, r"trials = '0' can't be used: .* greater than or equal to 1\."),
        ({"trials": "many"}, r"trials = 'many' can't be used"),
        ({"seeds": "0"}, r"seeds = '0' can't be used"),
        ({"sampler": "tpo"}, r"sampler = 'tpo' can't be used: .*'tpe'"),
        ({"workers": "0"}, r"workers = '0' can't be used"),
        ({"timeout": "-1"}, r"timeout = '-1' can't be used"),
        ({"problem": "poisson_1d_sin", "suite": "smoke"}, r"suite = 'smoke' can't be used with problem = "),
        ({"model": "mlp"}, r"model = 'mlp' is decided by the study"),
        ({"trails": "3"}, r"trails = '3' is not a field of a study; did you mean 'trials'\?"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        configure(given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"study": "sirne"}, r"study = 'sirne' is not known; did you mean 'siren'\?"),
        ({"suite": "poison"}, r"suite = 'poison' is not known.*did you mean 'poisson'\?"),
        ({"problem": "poisson_1d_sni"}, r"problems = 'poisson_1d_sni' is not known; did you mean"),
        (
            {"problem": "poisson_2d_sin,solve_2d_sin"},
            r"has an equation, 'solve_2d_sin', and a fit, 'poisson_2d_sin'; a study",
        ),
        ({"preset": "tunde"}, r"preset = 'tunde' is not known; did you mean 'tuned'\?"),
        ({"lr": "0.1"}, r"lr = '0.1' is searched by study 'siren'; leave it out\."),
        ({"grids": "5"}, r"grids = '5' is not a field of model 'siren'"),
        ({"study": "kan", "epochs": "2"}, r"epochs = 2 is too few for kan_pruned"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(
    given: dict[str, str], sentence: str, outside: Path
) -> None:
    with pytest.raises(BadInput, match=sentence):
        make_plan(configure(given))
    assert list(outside.iterdir()) == []


def test_a_study_of_one_s_own_comes_with_a_plugin(outside: Path, registries: None) -> None:
    Path("mine.py").write_text(PLUGIN % "1e-3, 1.0, log=True")
    plan = make_plan(configure({"study": "mine", "plugins": "mine.py"}))
    assert plan.study.model == "mlp"


def test_low_above_high_in_a_plugin_is_one_sentence(outside: Path, registries: None) -> None:
    Path("upside_down.py").write_text(PLUGIN % "1.0, 1e-3")
    with pytest.raises(BadInput, match=r"study 'mine' can't be used: lr goes from low = 1 to high = 0\.001"):
        configure({"plugins": "upside_down.py"})
