"""What is said of all problems at once lies within its interval, and leaves no problem, seed or failure out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

from reports.comparing.intervals import RATIOS, aggregate, improvement, interval_name, interval_names, profile_bands
from reports.comparing.statistics import estimate, performance_profile, win_matrix

SEEDS = st.lists(st.one_of(st.floats(1e-20, 1e3), st.just(math.inf), st.just(math.nan)), min_size=3, max_size=5)
ERRORS = st.dictionaries(
    st.sampled_from(["p", "q", "r"]), st.fixed_dictionaries({"a": SEEDS, "b": SEEDS}), min_size=1, max_size=3
)
FEW = settings(max_examples=15, deadline=None)


@FEW
@given(ERRORS)
def test_a_profile_rises_within_its_band_and_is_that_of_the_table(errors: dict[str, dict[str, list[float]]]) -> None:
    found = profile_bands(errors)
    medians = {
        p: {m: sorted(math.inf if math.isnan(e) else e for e in v)[len(v) // 2] for m, v in by.items()}
        for p, by in errors.items()
    }
    table = performance_profile(medians)
    for model, band in found.items():
        for values in (band.value, band.low, band.high):
            assert 0 <= min(values) <= max(values) <= 1
            assert list(values) == sorted(values)
        assert all(low <= high for low, high in zip(band.low, band.high, strict=True))
        assert band.value[0] == pytest.approx(table[model][0])
        assert band.value[RATIOS.index(100.0)] == pytest.approx(table[model][4])


@FEW
@given(ERRORS)
def test_chances_of_improvement_are_those_of_the_matrix_and_add_up_to_one(
    errors: dict[str, dict[str, list[float]]],
) -> None:
    there, back = improvement(errors, "a", "b"), improvement(errors, "b", "a")
    assert there.value == pytest.approx(win_matrix(errors)["a"]["b"])
    assert there.value + back.value == pytest.approx(1)
    assert 0 <= there.low <= there.high <= 1


@FEW
@given(ERRORS)
def test_an_aggregate_is_the_interquartile_mean_between_the_floor_and_the_mean_predictor(
    errors: dict[str, dict[str, list[float]]],
) -> None:
    found = aggregate(errors, "a")
    known = [1.0 if math.isnan(e) else min(max(e, 1e-8), 1.0) for by in errors.values() for e in by["a"]]
    assert found.value == pytest.approx(trim_mean(np.log10(known), 0.25))
    assert -8 <= found.low <= found.high <= 0


def test_seeds_are_drawn_anew_for_each_problem() -> None:
    # Were the same seeds drawn on each, ten problems would be no surer than one.
    one = {"p": {"a": [1e-2, 1e-4, 1e-6] * 2}}
    ten = {str(k): {"a": [1e-2, 1e-4, 1e-6] * 2} for k in range(10)}
    width = [found.high - found.low for found in (aggregate(one, "a"), aggregate(ten, "a"))]
    assert width[1] < 0.6 * width[0]


def test_a_figure_that_was_not_reached_and_a_problem_that_was_not_tried_count_against_a_model() -> None:
    errors = {"p": {"a": [math.nan] * 3, "b": [1e-3] * 3}, "q": {"b": [1e-3] * 3}}
    found = profile_bands(errors)
    assert (found["a"].value[-1], found["b"].value[0]) == (0.0, 1.0)
    assert improvement(errors, "b", "a").value == 1.0, "on the one problem that both were tried on"
    assert aggregate(errors, "a").value == 0.0
    assert math.isnan(aggregate(errors, "c").value)
    assert math.isnan(improvement(errors, "a", "c").value)


def test_of_fewer_than_six_seeds_the_ends_are_their_range_and_are_called_so() -> None:
    for seeds in ([1e-2, 1e-6], [1e-2, 1e-4, 1e-6], [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]):
        found = aggregate({"p": {"a": seeds}}, "a")
        assert (found.low, found.value, found.high) == pytest.approx((-6, -4, -2))
        single = estimate(seeds)
        assert single is not None
        assert (single.low, single.high) == pytest.approx((1e-6, 1e-2))
    assert [interval_name(seeds)[:5] for seeds in (1, 2, 5, 6)] == ["one s", "range", "range", "95% b"]
    assert interval_names({1, 2, 5}) == "range"
    assert interval_names({6, 10}) == "95% bootstrap interval"
    assert interval_names({1, 5, 6}) == "95% bootstrap interval; of fewer than six seeds their range"
    assert interval_names(()) == "range"
