"""Real runs on a formula of three inputs, on two outputs and on a file, and what a report makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from harness import problems
from harness.presets import resolve
from harness.problems import Problem
from harness.run import run
from harness.tracking.store import open_store
from reports.pages.contents import Report, contents_of
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Selection, gather
from reports.reading.targets import target
from reports.verdicts.record_rules import generalises, has_its_pictures, is_finite_throughout
from reports.verdicts.verdict import Verdict
from tests.support import SMALL, small


def three(x: torch.Tensor) -> torch.Tensor:
    return x[:, :1] * x[:, 1:2] + x[:, 2:]


def two(x: torch.Tensor) -> torch.Tensor:
    return torch.hstack([x.prod(dim=1, keepdim=True), 100 * x[:, :1]])


@pytest.fixture
def reported(store: MlflowClient, outside: Path, registries: None) -> Report:
    """The report on one run of each."""
    about = {"formula": "a formula", "sections": ("mine",), "citation": "none"}
    problems.register(Problem(name="three", dimension=3, target=three, **about))  # type: ignore[arg-type]
    problems.register(Problem(name="two", dimension=2, target=two, outputs=("u", "v"), **about))  # type: ignore[arg-type]
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 2)).repeat(2, axis=0)
    y = x[:, 0] - x[:, 1] + 0.1 * generator.normal(size=120)
    np.savetxt("rows.csv", np.column_stack([x, y]), delimiter=",", header="a,b,y", comments="")
    run(small("kan", problem="three"))
    run(small("mlp", problem="two"))
    of_file = {"data": str(outside / "rows.csv"), "outputs": ("y",), "problem": "rows"}
    run(resolve({"model": "mlp", "epochs": 8, **SMALL["mlp"], **of_file}))
    client = open_store()
    return contents_of(gather(client, Selection()), Artifacts(client))


def test_each_has_its_pictures_its_final_errors_and_a_place_on_the_page(reported: Report, store: MlflowClient) -> None:
    cells: dict[str, Cell] = {cell.problem: cell for cell in reported.evidence.cells}
    assert set(cells) == {"three", "two", "rows"}
    artifacts = Artifacts(store)
    for name, cell in cells.items():
        assert cell.outcome == "completed", cell.run
        assert has_its_pictures(cell, artifacts).verdict is Verdict.PASS, has_its_pictures(cell, artifacts)
        assert is_finite_throughout(cell, artifacts).verdict is Verdict.PASS, is_finite_throughout(cell, artifacts)
        (picture,) = (each for each in reported.pictures if each.name == f"agreement-{name}-tuned")
        assert picture.png is not None, picture.description
    of_rows = target(cells["rows"])
    assert of_rows is not None
    assert (of_rows.kind, of_rows.inputs, of_rows.outputs) == ("table", ("a", "b"), ("y",))
    assert 0 < of_rows.floor_nmse < 0.1, "rows of equal inputs tell the noise"
    assert generalises(cells["rows"], artifacts).figure is not None
    verdicts = {each.criterion.id: each.verdict for each in reported.judgements}
    assert verdicts["B2"] is verdicts["X1"] is Verdict.NOT_APPLICABLE
    assert verdicts["D1"] is Verdict.FAIL, "eight epochs learn nothing"
    assert reported.summary is not None
    assert reported.summary.sizes == {"smooth 2D": 1, "3 inputs or more": 1, "rows of files": 1}
