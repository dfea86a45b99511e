"""What a run says of rows of a file: what its errors are of, the floor of the noise, and whether it went below it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.outcome import Ending, Outcome
from harness.presets import resolve
from harness.problems import Problem
from harness.problems.table import of_numbers
from harness.tracking.description import describe

X = np.repeat(np.arange(30.0), 2)[:, None]
"""Each input twice."""
Y = X + 0.1 * np.tile([-1.0, 1.0], 30)[:, None]
"""Pooled variance of equal inputs: 0.02."""
ENDED = Ending(Outcome.COMPLETED, "Done.")


def note(mse: float, dropped: int = 0) -> str:
    table = dataclasses.replace(of_numbers("rows", ("a",), ("b",), X, Y), dropped=dropped)
    problem = Problem(
        name="rows",
        dimension=1,
        table=table,
        formula="60 rows",
        sections=("data",),
        citation="me",
        inputs=("a",),
        outputs=("b",),
    )
    metrics = {"final/dense_mse": mse, "final/dense_nmse": mse / 75, "final/linf": 1.0, "model/active_params": 3.0}
    metrics |= {"final/dense_nmse_low": mse / 80, "final/dense_nmse_high": mse / 70}
    return describe(resolve({"model": "mlp"}), problem, ENDED, metrics)


@pytest.mark.parametrize(("mse", "below"), [(0.0201, False), (0.0199, True)])
def test_an_error_below_the_floor_of_the_noise_is_said_to_be_below_it(mse: float, below: bool) -> None:
    said = note(mse)
    assert "a variance of 0.02: a floor of the MSE on new rows" in said
    assert ("**The held-out MSE is below it**" in said) == below


def test_rows_of_a_file_have_a_held_out_error_with_its_interval_and_no_h1_error() -> None:
    said = note(0.03, dropped=4)
    assert "| held-out MSE |" in said
    assert "95% interval of the NMSE" in said
    assert "no H1 error" in said
    assert "4 rows were dropped" in said
