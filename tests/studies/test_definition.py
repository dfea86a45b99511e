"""What can be searched, what can't, and what a figure of several runs is."""

from __future__ import annotations

import math

import pytest

from harness.errors import BadInput
from harness.outcome import Outcome
from studies.catalogue import KAN, SIREN
from studies.definition import Constraint, Objective, Study, median
from studies.measures import CAP, Measured, beyond_twice_the_twin, log10_nmse, rises, short_of_a_fifth, spikes
from studies.space import Choice, Dimension, Real, Whole, fields

ERROR = Objective("log10 NMSE", log10_nmse, penalty=CAP)


def run(mse: float = 0.1, outcome: Outcome = Outcome.COMPLETED, reduction: float = 0.5) -> Measured:
    metrics = {"val/mse": mse, "prune/reduction": reduction}
    return Measured("poisson_1d_sin", 0, outcome, metrics=metrics, scale2=2.0)


@pytest.mark.parametrize(
    ("dimension", "sentence"),
    [
        (Real(1.0, 0.1), "lr goes from low = 1 to high = 0.1; low must be at most high"),
        (Whole(5, 4), "lr goes from low = 5 to high = 4; low must be at most high"),
        (Real(0.0, 1.0, log=True), "lr has low = 0 on a logarithmic scale; it must be above 0"),
        (Real(0.0, math.inf), "both must be finite"),
        (Whole(1, 4, step=0), "lr has step = 0; it must be at least 1"),
        (Choice({}), "lr has no options"),
    ],
)
def test_a_space_that_can_not_be_searched_is_refused_when_it_is_declared(dimension: Dimension, sentence: str) -> None:
    with pytest.raises(BadInput, match="study 'mine' can't be used: ") as refused:
        Study("mine", "siren", "", {"lr": dimension}, (ERROR,))
    assert sentence in str(refused.value)


def test_a_study_without_a_space_is_refused() -> None:
    with pytest.raises(BadInput, match="it needs a search space"):
        Study("mine", "siren", "", {}, (ERROR,))


def test_siren_and_kan_search_what_the_document_fixed_and_more() -> None:
    assert set(SIREN.space) == {"lr", "clip", "width", "omega0", "depth"}
    assert {"lamb", "node_th", "edge_th", "sparsify_fraction", "grids"} <= set(KAN.space)
    assert [constraint.name for constraint in KAN.constraints] == ["K1", "K2", "K4"]
    assert [constraint.name for constraint in SIREN.constraints] == ["S3"]
    assert len(KAN.objectives) == 2


def test_a_choice_stands_for_fields_and_a_number_for_its_own() -> None:
    values = {"lamb": 1e-3, "grids": "5, then 10"}
    assert fields(KAN.space, values) == {"lamb": 1e-3, "grids": "5", "retrain_grids": "10"}


def test_the_error_is_relative_to_the_variance_finite_and_within_bounds() -> None:
    assert log10_nmse(run(0.02)) == pytest.approx(-2)
    assert log10_nmse(run(0.0)) == pytest.approx(-8), "below that differences are noise"
    assert log10_nmse(run(1e300)) == CAP
    assert log10_nmse(run(math.nan)) == CAP
    assert log10_nmse(Measured("p", 0, Outcome.COMPLETED)) == CAP


def test_a_run_without_a_result_counts_with_the_penalty_whatever_it_had_reached() -> None:
    diverged = run(1e-9, Outcome.DIVERGED)
    assert median(ERROR, [diverged]) == CAP
    assert median(ERROR, [run(0.02), diverged, run(0.2)]) == pytest.approx(-1)


def test_a_run_that_was_cut_counts_with_the_error_that_it_had() -> None:
    assert median(ERROR, [Measured("p", 0, Outcome.INTERRUPTED, metrics={"val/mse": 0.1}, cut=True)]) == pytest.approx(
        -1
    )


def test_k2_holds_the_pruned_network_against_twice_its_twin_with_a_floor() -> None:
    def against(mse: float, twin: float) -> float:
        base = Measured("p", 0, Outcome.COMPLETED, metrics={"val/mse": twin}, scale2=1.0)
        return beyond_twice_the_twin(
            Measured("p", 0, Outcome.COMPLETED, metrics={"val/mse": mse}, scale2=1.0, twin=base)
        )

    assert against(0.2, 0.1) == pytest.approx(0, abs=1e-7)
    assert against(0.3, 0.1) > 0
    assert against(0.1, 0.1) < 0
    assert against(1e-9, 1e-12) < 0, "below the floor all errors are alike"
    assert math.isnan(beyond_twice_the_twin(run()))


def test_no_data_is_never_a_pass() -> None:
    assert median(Constraint("K2", beyond_twice_the_twin), [run()]) > 0
    assert median(Constraint("K4", short_of_a_fifth), [run(reduction=math.nan)]) > 0
    assert median(Constraint("S3", rises), [run()]) > 0
    assert median(Constraint("K1", spikes), [run()]) > 0


def test_k4_is_met_at_exactly_a_fifth() -> None:
    assert short_of_a_fifth(run(reduction=(90 - 72) / 90)) == 0
    assert short_of_a_fifth(run(reduction=0.19)) > 0
    assert short_of_a_fifth(run(reduction=0.6)) < 0


@pytest.mark.parametrize("dimension", [Real(0.1, 1.0), Whole(1, 9)])
def test_a_preset_without_a_value_is_nowhere_in_the_space(dimension: Dimension) -> None:
    assert dimension.near(None) == []
    assert dimension.near(1) == [1]
