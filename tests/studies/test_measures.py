"""What a study reads off a run."""

from __future__ import annotations

import math

import pytest

from harness.outcome import Outcome
from harness.protocol import FLOOR, RESIDUAL_FLOOR
from studies.measures import Measured, beyond_twice_the_twin, log10_nmse, validation_error


def run(scale2: float = 1.0, twin: Measured | None = None, **metrics: float) -> Measured:
    named = {name.replace("_", "/", 1): value for name, value in metrics.items()}
    return Measured("solve_2d_sin", 0, Outcome.COMPLETED, scale2=scale2, metrics=named, twin=twin)


def test_of_a_fit_the_validation_mse_counts_over_the_variance_of_the_target() -> None:
    assert validation_error(run(val_mse=1e-3)) == 1e-3
    assert validation_error(run(val_mse=1e-3, val_best_mse=1e-4)) == 1e-4
    assert log10_nmse(run(scale2=10.0, val_mse=1e-3)) == pytest.approx(math.log10(1e-4 + FLOOR))


@pytest.mark.parametrize("mse", [1e-9, math.nan])
def test_of_an_equation_the_residual_counts_whatever_the_error_of_u(mse: float) -> None:
    """No study may read the solution."""
    assert validation_error(run(val_mse=mse, val_residual=1e-5)) == 1e-5
    assert validation_error(run(val_mse=mse, val_best_mse=mse, val_residual=1e-5, val_best_residual=1e-6)) == 1e-6
    assert log10_nmse(run(val_mse=mse, val_residual=1e-10)) == pytest.approx(math.log10(1e-10 + RESIDUAL_FLOOR))
    twin = run(val_mse=mse, val_residual=1e-9)
    assert beyond_twice_the_twin(run(twin=twin, val_mse=mse, val_residual=4e-9)) == pytest.approx(
        math.log10(2), abs=1e-3
    )
