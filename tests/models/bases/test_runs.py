"""A run of each family, pruned or not, is complete: it trains, cuts, is held against its twin, drawn, exported and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.families import FAMILIES, has_twin
from harness.outcome import Outcome
from harness.presets import resolve
from harness.run import run
from harness.tracking.naming import run_name
from tests.contract import shortfalls
from tests.models.bases.test_network import FAMILIES as SHAPES
from tests.support import FEW_POINTS


@pytest.mark.parametrize("model", [*SHAPES, *(f"{name}_pruned" for name in SHAPES)])
def test_a_run_keeps_the_contract(model: str, store: MlflowClient, tmp_path: Path) -> None:
    shape = SHAPES[model.removesuffix("_pruned")]
    fields = {"problem": "poisson_2d_sin", "optimizer": "lbfgs", "iterations": 5, "width": 3, "epochs": 6, **FEW_POINTS}
    config = resolve({"model": model, **fields, **shape})
    result = run(config)
    assert result.ending.outcome is Outcome.COMPLETED, result.ending
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert ("prune/base_dense_mse" in result.metrics) == has_twin(model) == model.endswith("_pruned")
    assert FAMILIES.get(model).kind == "kan"


def test_a_pruned_chebyshev_kan_of_two_stages_gives_a_formula_where_it_is_asked_for_one(
    store: MlflowClient, tmp_path: Path
) -> None:
    pytest.importorskip("kan")
    fields = {"problem": "poisson_1d_sin", "optimizer": "lm", "width": 1, "epochs": 8, **FEW_POINTS}
    pruning = {"degrees": (3,), "retrain_grids": (6,), "lamb": 1e-6, "symbolic": True}
    config = resolve({"model": "kan_chebyshev_pruned", **fields, **pruning})
    of_twin = config.twin()
    assert of_twin is not None
    assert (of_twin.model, of_twin.values()["degrees"]) == ("kan_chebyshev", [3, 6])
    result = run(config)
    assert result.ending.outcome is Outcome.COMPLETED, result.ending
    run_ = store.get_run(result.run_id)
    assert "symbolic.error" not in run_.data.tags
    assert run_.data.tags["symbolic.formula"]


def test_degrees_set_by_hand_leave_a_preset_s_further_degrees_behind_as_grids_do() -> None:
    config = resolve({"model": "kan_chebyshev_pruned", "degrees": "3,5"})
    assert config.values()["retrain_grids"] == []
    assert run_name(config) == "kan_chebyshev_pruned-poisson_2d_sin-tuned-degrees3_5-s0"


@pytest.mark.parametrize("preset", ["tuned", "lm"])
@pytest.mark.parametrize("problem", ["poisson_2d_sin", "solve_2d_sin"])
@pytest.mark.parametrize("model", SHAPES)
def test_a_pruned_family_starts_from_the_preset_s_unpruned_one(model: str, problem: str, preset: str) -> None:
    given = {"problem": problem, "preset": preset}
    of_twin = resolve({"model": f"{model}_pruned", **given}).twin()
    assert of_twin is not None
    assert of_twin.values() == resolve({"model": model, **given}).values()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "kan_wavelet_pruned", "retrain_grids": "5"}, "retrain_grids = '5'.*is not for kan_wavelet_pruned"),
        ({"model": "kan_legendre_pruned", "degrees": "4", "retrain_grids": "3"}, "than the last of degrees, 4"),
        ({"model": "kan_fourier", "degrees": "8,4"}, "degrees = '8,4' is not increasing"),
        ({"model": "kan_rational", "denominator": "3"}, "denominator = '3'"),
    ],
)
def test_bad_grids_are_refused_in_one_sentence(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        resolve(fields)
