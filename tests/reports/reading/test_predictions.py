"""What is read of predictions: any number of inputs and outputs, by the names that the run has recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.data import scale2
from reports.reading.gone import Gone
from reports.reading.histories import Floats
from reports.reading.predictions import predict, scale2_of
from reports.reading.targets import target
from tests.reports.support import NOTHING, facts, made, write_dense

SOME = np.linspace(0.0, 1.0, 50)


def test_inputs_and_outputs_are_read_by_their_names(tmp_path: Path) -> None:
    outputs = {"target/u": SOME, "prediction/u": SOME + 0.1, "target/v": 10 * SOME, "prediction/v": 10 * SOME + 1}
    write_dense(tmp_path, {"a": SOME, "b": SOME**2, "c": -SOME, **outputs})
    found = predict(made(facts("abc", "uv"), folder=tmp_path), NOTHING)
    np.testing.assert_array_equal(found.x, np.stack([SOME, SOME**2, -SOME], 1))
    np.testing.assert_array_equal(found.target, np.stack([SOME, 10 * SOME], 1))
    assert found.nmse == pytest.approx(0.01 / SOME.var()), "each output over its own variance"


def test_one_output_has_no_name_in_its_columns(tmp_path: Path) -> None:
    write_dense(tmp_path, {"a": SOME, "b": SOME, "target": SOME, "prediction": SOME})
    found = predict(made(facts("ab", "y", "table"), folder=tmp_path), NOTHING)
    assert found.values.shape == (50, 1)
    assert found.nmse == 0


def test_a_formula_on_a_grid_has_all_its_points_or_can_not_be_shown(tmp_path: Path) -> None:
    write_dense(tmp_path, {"x": SOME, "y": SOME, "target": SOME, "prediction": SOME})
    with pytest.raises(Gone, match="50 points, which is not the dense grid"):
        predict(made(facts("xy"), folder=tmp_path), NOTHING)
    write_dense(tmp_path, {"a": SOME, "b": SOME})
    with pytest.raises(Gone, match="no column 'target'"):
        predict(made(facts("ab", "y", "table"), folder=tmp_path), NOTHING)


def test_runs_from_before_names_were_recorded_are_known_still() -> None:
    old = '{"dimension": 2, "scale2": 2.0, "smooth": true, "sections": ["s"], "formula": "xy"}'
    known = target(made(old))
    assert known is not None
    assert (known.inputs, known.outputs, known.kind, known.on_grid) == (("x", "y"), ("f",), "formula", True)


@pytest.mark.parametrize(
    "strange",
    [
        {"dimension": 4},
        {"dimension": True, "inputs": ["x"]},
        {"dimension": "3"},
        {"outputs": []},
        {"inputs": 3},
        {"kind": "dream"},
        {"scale2": 0.0},
        {"floor": "none"},
    ],
    ids=str,
)
def test_facts_of_another_form_are_no_facts(strange: dict[str, object]) -> None:
    assert target(made(facts("abc", "y", "table"))) is not None
    assert target(made(json.dumps(json.loads(facts("abc", "y", "table")) | strange))) is None


def test_the_scale_of_an_output_is_its_variance_or_its_square_if_it_is_constant() -> None:
    assert scale2_of(SOME) == pytest.approx(SOME.var())
    assert scale2_of(np.full(5, 3.0)) == 9.0
    assert scale2_of(np.zeros(5)) == 1.0


@pytest.mark.parametrize("values", [SOME, np.full(50, 3.0), np.zeros(50)])
def test_errors_are_put_in_relation_to_the_same_as_those_of_a_run(values: Floats) -> None:
    assert scale2_of(values) == pytest.approx(scale2(torch.from_numpy(values).unsqueeze(1)), rel=1e-14)
