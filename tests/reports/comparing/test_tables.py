"""What the tables hold is what the artifacts hold, computed anew from them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient

from harness import problems
from harness.data import dense_points, scale2
from harness.models import load_checkpoint
from reports.comparing.curves import cost_to, costs_to, error_at, errors_at, errors_by_grid
from reports.comparing.groups import groups_of
from reports.comparing.statistics import Estimate, estimate
from reports.comparing.tables import Table, at_equal_parameters, tables, without_dashes
from reports.reading.artifacts import Artifacts
from reports.reading.evidence import Selection, gather
from reports.reading.histories import History
from reports.verdicts.numbers import number
from tests.reports.support import NOTHING, facts, made, write_history


def tables_of(client: MlflowClient, preset: str = "tuned") -> dict[int, Table]:
    evidence = gather(client, Selection(presets=(preset,)))
    return {table.number: table for table in tables(evidence, Artifacts(client), preset)}


def entry(table: Table, problem: str, at: str, model: str) -> Estimate:
    (row,) = [row for row in table.rows if row[0] == problem and str(row[1]).startswith(at)]
    found = row[table.columns.index(model)]
    assert isinstance(found, Estimate)
    return found


def artifacts_of(client: MlflowClient, run_id: str) -> Path:
    return Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


def upper_median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def test_final_errors_are_those_of_the_reloaded_checkpoints(filled: MlflowClient) -> None:
    table = tables_of(filled)[3]
    evidence = gather(filled, Selection(presets=("tuned",)))
    for model in ("siren", "mlp", "kan", "kan_pruned"):
        errors = []
        for cell in evidence.cells:
            if cell.model != model or cell.problem != "poisson_2d_sin" or cell.outcome != "completed":
                continue
            assert cell.run is not None
            _, network = load_checkpoint(artifacts_of(filled, cell.run.run_id) / "checkpoint")
            problem = problems.get(cell.problem)
            x = dense_points(problem)
            y = problem.target(x)
            with torch.no_grad():
                errors.append((network(x) - y).square().mean().item() / scale2(y))
        found = entry(table, "poisson_2d_sin", "final", model)
        assert found.seeds == len(errors)
        assert found.median == pytest.approx(upper_median(errors), rel=1e-9)


def test_errors_at_equal_time_are_read_off_the_curves(filled: MlflowClient) -> None:
    table = tables_of(filled)[3]
    evidence = gather(filled, Selection(presets=("tuned",)))
    y = problems.get("poisson_2d_sin").target(dense_points(problems.get("poisson_2d_sin")))
    curves: dict[str, list[pd.DataFrame]] = {}
    for cell in evidence.cells:
        if cell.problem == "poisson_2d_sin" and cell.outcome == "completed" and cell.run is not None:
            frame = pd.read_parquet(artifacts_of(filled, cell.run.run_id) / "history.parquet")
            curves.setdefault(cell.model, []).append(frame)
    budget = min(upper_median([f["time/train_s"].iloc[-1] for f in frames]) for frames in curves.values())
    for model, frames in curves.items():
        there = []
        for frame in frames:
            over = frame[frame["time/train_s"] <= budget]
            there.append(over["test/mse"].iloc[-1] / scale2(y) if len(over) else math.inf)
        assert entry(table, "poisson_2d_sin", f"after {number(budget)} s", model).median == pytest.approx(
            upper_median(there), rel=1e-9
        )


def test_seven_tables_in_order_and_each_says_what_it_can_not_show(filled: MlflowClient) -> None:
    found = tables_of(filled)
    assert list(found) == [1, 2, 3, 4, 5, 6, 7]
    assert found[1].rows == ()
    assert {row[0] for row in found[2].rows} == {"poisson_1d_poly"}
    assert found[6].columns[2:] == ("G = 3", "G = 6")
    assert "seed_matrix" in found[7].note


def test_a_curve_is_read_at_the_last_epoch_that_was_over() -> None:
    curves = {"time/train_s": np.array([1.0, 2.0, 3.0]), "test/mse": np.array([9.0, 4.0, 5.0])}
    history = History(np.arange(1, 4), ["train"] * 3, curves, 3)
    assert [error_at(history, "time/train_s", budget) for budget in (0.5, 1.0, 2.9, 10.0)] == [math.inf, 9.0, 4.0, 5.0]
    assert error_at(history, "time/train_s", 10.0, diverged=True) == math.inf
    assert [cost_to(history, "time/train_s", mse) for mse in (9.0, 4.5, 1.0)] == [1.0, 2.0, math.inf]


def test_of_a_run_without_a_result_no_curve_is_read_and_one_that_diverged_has_reached_nothing(tmp_path: Path) -> None:
    curves = {"test/mse": [1.0, 1e-5], "time/train_s": [1.0, 2.0], "kan/grid": [3.0, 3.0]}
    folder = write_history(tmp_path / "run", curves)
    for outcome, value in (("interrupted", None), ("timeout", None), ("error", None), ("diverged", math.inf)):
        cells = [made(facts("x"), outcome=outcome, folder=folder)]
        assert errors_at(cells, NOTHING, "time/train_s", 2.0) == [value]
        assert costs_to(cells, NOTHING, "time/train_s", 1e-9) == [value]
        assert bool(errors_by_grid(cells, NOTHING)) == (value is not None)


def test_a_row_of_dashes_is_left_out_and_counted() -> None:
    rows = (("p", "a", None, ""), ("p", "b", None, estimate([1.0])), ("q", "a", None, None))
    found = without_dashes(Table(1, "t", "tuned", "Note.", ("problem", "at", "x", "y"), rows))
    assert found.rows == rows[1:2]
    assert found.note == "Note. 2 rows are left out: no run of theirs has an entry."
    assert without_dashes(found) is found


def test_a_model_that_stands_alone_at_equal_parameters_has_no_row_and_is_counted(filled: MlflowClient) -> None:
    groups = groups_of(gather(filled, Selection(presets=("tuned",))), "tuned")
    alone = {problem for problem, group in groups.items() if len(at_equal_parameters(group)[1]) == 1 < len(group)}
    assert alone == {"poisson_2d_sin", "poisson_1d_poly"}
    found = tables_of(filled)
    for nth in (2, 3):
        assert not [row for row in found[nth].rows if str(row[1]).startswith("<=")]
        assert "On 1 problem only one model has a network that small" in found[nth].note
