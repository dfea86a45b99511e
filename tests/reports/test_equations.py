"""A report on an equation: networks and classical solvers beside each other, told apart, on every page and in the pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from reports.comparing.tables import Table
from reports.pages.contents import Report, contents_of
from reports.pages.error_curves import ERROR, RESIDUAL
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from reports.report import write
from tests.reports.support import NOTHING, facts, made, write_dense, write_history

EQUATION = facts("x", "u", "equation", formula="sin(pi x)")


def ended(folder: Path, model: str, seed: int, rel_l2: float) -> Cell:
    epochs = np.geomspace(1, rel_l2, 4)
    curves = {
        "test/mse": epochs**2,
        "val/residual": 3 * epochs,
        "train/residual": epochs,
        "time/train_s": np.arange(1, 5),
    }
    stages = [f"degree_{n}" for n in (4, 8, 16, 24)] if model == "spectral" else []
    history = write_history(folder / f"{model}{seed}", {name: list(values) for name, values in curves.items()}, stages)
    x = np.linspace(-1, 1, 10_001)
    write_dense(history, {"x": x, "target": np.sin(np.pi * x), "prediction": (1 + rel_l2) * np.sin(np.pi * x)})
    metrics = {
        "final/dense_nmse": rel_l2**2,
        "final/rel_l2": rel_l2,
        "final/residual_nmse": 7 * rel_l2,
        "time/train_s": 4.0,
    }
    return made(EQUATION, metrics | {"model/active_params": 33.0}, model=model, seed=seed, folder=history)


@pytest.fixture
def reported(tmp_path: Path) -> Report:
    cells = [ended(tmp_path, "siren", seed, rel_l2) for seed, rel_l2 in enumerate((1e-3, 1e-5, 1e-4))]
    cells += [ended(tmp_path, "kan", 0, 1e-2), ended(tmp_path, "spectral", 0, 1e-9)]
    return contents_of(Evidence(Selection(), tuple(cells), True, "1", {}), NOTHING)


def table_of(made: Report) -> Table:
    (found,) = (table for each in made.comparisons for table in each.tables if table.number == 12)
    return found


def test_a_row_has_the_median_error_with_its_spread_and_the_kind_of_the_family(
    reported: Report, tmp_path: Path
) -> None:
    table = table_of(reported)
    assert [row[:3] for row in table.rows] == [
        ("mine", "siren", "network"),
        ("mine", "kan", "network"),
        ("mine", "spectral", "classical"),
    ]
    write(reported, tmp_path / "out", lambda run_id: "")
    for name in ("report.html", "report.md"):
        assert "1e-4 (1e-5 to 1e-3)" in (tmp_path / "out" / name).read_text().replace(r"\(", "(").replace(r"\)", ")")
    assert "1e-4 (1e-5 to 1e-3)" in (tmp_path / "out" / "tables.tex").read_text()
    rows = list(csv.DictReader((tmp_path / "out" / "tables.csv").open()))
    (found,) = (r for r in rows if (r["table"], r["row_detail"], r["column"]) == ("12", "siren", "relative L2 of u"))
    assert [float(found[name]) for name in ("median", "least", "largest", "seeds")] == [1e-4, 1e-5, 1e-3, 3]


def test_what_a_solver_takes_stands_beside_the_recommendation_on_every_page(reported: Report, tmp_path: Path) -> None:
    write(reported, tmp_path / "out", lambda run_id: "")
    sentence = "a spectral solver needs 3 s for this error (degree 16)"
    assert sentence in (tmp_path / "out" / "report.html").read_text()
    assert sentence in (tmp_path / "out" / "report.md").read_text().replace("\\", "")
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    (advice,) = content["models"]
    assert advice["classical"] == [{"model": "spectral", "seconds": 3.0, "level": 16, "said": sentence}]


def test_the_other_tables_hold_networks_against_each_other(reported: Report) -> None:
    for table in (table for each in reported.comparisons for table in each.tables if table.number not in (12, 14, 15)):
        assert "spectral" not in table.columns
        assert all("spectral" not in row for row in table.rows)


def test_residual_and_error_stand_side_by_side_and_the_error_is_marked_as_unknown(reported: Report) -> None:
    (picture,) = (each for each in reported.pictures if each.name == "loss-mine-tuned")
    assert picture.png is not None
    assert picture.chart is not None
    assert [panel.title for panel in picture.chart.panels] == [RESIDUAL, ERROR]
    assert "unknown to the training" in ERROR
    residual, error = ({each.name: each for each in panel.series} for panel in picture.chart.panels)
    assert list(residual) == list(error) == ["siren", "kan", "spectral"]
    assert residual["kan"].y[-1] == pytest.approx(3e-2)
    assert error["kan"].y[-1] == pytest.approx(1e-4)
    assert residual["kan"].x == error["kan"].x == (1, 2, 3, 4), "seconds"


def test_the_picture_of_the_solutions_speaks_of_u_and_of_no_target(reported: Report) -> None:
    (picture,) = (each for each in reported.pictures if each.name == "fit-mine-tuned")
    assert picture.title == "Solutions: mine, tuned: u = sin(pi x)"
    assert picture.chart is not None
    above, below = picture.chart.panels
    assert above.series[0].name == "exact u"
    assert below.y_label == "|error|"
    assert "target" not in picture.description
