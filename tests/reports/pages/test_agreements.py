"""Prediction against truth on a page: who is shown, who is not and why, and on which scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.pages.agreements import MOST_POINTS, agreements
from reports.reading.cells import Cell
from reports.reading.png import check_png
from reports.reading.targets import Target, target
from tests.reports.support import NOTHING, facts, made, write_dense


def shown(folder: Path, model: str, outputs: str, points: int, error: float) -> Cell:
    (home := folder / model).mkdir()
    truth = np.random.default_rng(0).normal(size=points)
    columns = dict.fromkeys("abc", truth)
    for output in outputs:
        suffix = f"/{output}" if len(outputs) > 1 else ""
        columns |= {f"target{suffix}": truth, f"prediction{suffix}": truth + error}
    write_dense(home, columns)
    return made(facts("abc", outputs), {"final/dense_nmse": error**2}, model=model, folder=home)


def of(cell: Cell) -> Target:
    known = target(cell)
    assert known is not None
    return known


@pytest.mark.parametrize("outputs", ["y", "uv", "opqrst"])
@pytest.mark.parametrize("error", [0.0, 0.1, 1e9, np.nan])
def test_models_with_a_result_are_drawn_and_the_others_named(tmp_path: Path, outputs: str, error: float) -> None:
    first, second = (shown(tmp_path, model, outputs, 2 * MOST_POINTS, error) for model in ("kan", "mlp"))
    group = {"kan": [first], "mlp": [second], "siren": [made(first.facts, model="siren", outcome="diverged")]}
    picture = agreements(of(first), "tuned", group, NOTHING)
    assert picture.png is not None
    check_png(picture.png)
    assert "Not shown: siren: diverged" in picture.description
    assert ("The first 4 of 6 outputs" in picture.description) == (len(outputs) == 6)


def test_without_any_result_there_is_a_sentence_and_no_picture() -> None:
    cell = made(facts("abc", "y", "table"), outcome="error")
    picture = agreements(of(cell), "tuned", {"kan": [cell]}, NOTHING)
    assert picture.png is None
    assert "held-out rows" in picture.description
    assert "Not shown: kan: error" in picture.description
