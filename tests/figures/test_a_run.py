"""Runs that solve an equation leave every figure that the contract names, and criterion O2 finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness import problems
from harness.run import run
from harness.tracking.store import open_store
from reports.reading.artifacts import Artifacts
from reports.reading.evidence import Selection, gather
from reports.verdicts.record_rules import has_its_pictures
from reports.verdicts.verdict import Verdict
from tests.contract import shortfalls
from tests.figures.support import poisson
from tests.support import small


@pytest.mark.parametrize(
    ("problem", "names"),
    [
        ("solve_1d_sin", "loss.png, fit.png, residual.png"),
        ("solve_2d_poly", "loss.png, heatmap.png, residual.png"),
        ("box", "loss.png, prediction.png, slices.png, residual.png"),
    ],
)
def test_a_run_that_solves_has_its_pictures(
    problem: str, names: str, store: MlflowClient, registries: None, tmp_path: Path
) -> None:
    problems.register(replace(poisson(3), name="box"))
    config = small("siren", problem=problem, epochs=2)
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    client = open_store()
    (cell,) = gather(client, Selection()).cells
    found = has_its_pictures(cell, Artifacts(client))
    assert found.verdict is Verdict.PASS
    assert found.note == names
