"""Seeds are summed up so that what was not reached counts against a model, and noise below the floor for nobody."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from reports.comparing.recommendations import Cost, recommend
from reports.comparing.statistics import (
    RESAMPLES,
    estimate,
    on_front,
    performance_profile,
    probability_of_improvement,
    win_matrix,
)
from reports.reading.histories import Floats

ERRORS = st.lists(st.one_of(st.floats(1e-20, 1e6), st.just(math.inf)), min_size=1, max_size=9)


@given(ERRORS)
def test_an_estimate_is_ordered_and_made_of_the_seeds(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None
    assert found.median == sorted(values)[len(values) // 2]
    assert min(values) <= found.first_quartile <= found.median <= found.third_quartile <= max(values)
    assert found.low <= found.median * (1 + 1e-9)
    assert found.high >= found.median * (1 - 1e-9)
    assert (found.seeds, found.reached) == (len(values), sum(math.isfinite(value) for value in values))


@given(ERRORS)
def test_one_more_seed_that_was_not_reached_never_makes_the_median_smaller(values: list[float]) -> None:
    before, after = estimate(values), estimate([*values, math.nan])
    assert before is not None
    assert after is not None
    assert after.median >= before.median


def test_a_seed_that_is_not_a_number_counts_as_one_that_was_not_reached() -> None:
    found = estimate([1e-3, math.nan, math.nan])
    assert found is not None
    assert (found.median, found.seeds, found.reached) == (math.inf, 3, 1)
    assert found.first_quartile == 1e-3


def test_no_seed_is_no_estimate_and_half_of_them_lost_is_an_infinite_median() -> None:
    assert estimate([None, None]) is None
    half = estimate([1e-6, math.inf])
    assert half is not None
    assert half.median == math.inf


def test_the_interval_is_that_of_the_exact_bootstrap() -> None:
    # Of 5 seeds, the upper median of a resample is at most the k-th value with binomial probability.
    values = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    found = estimate(values)
    assert found is not None
    at_most = [sum(math.comb(5, j) * (k / 5) ** j * (1 - k / 5) ** (5 - j) for j in range(3, 6)) for k in range(1, 6)]
    assert found.low == pytest.approx(values[next(i for i, p in enumerate(at_most) if p > 0.025)])
    assert found.high == pytest.approx(values[next(i for i, p in enumerate(at_most) if p >= 0.975)])


@given(ERRORS, ERRORS)
def test_chances_of_two_models_add_up_to_one(a: list[float], b: list[float]) -> None:
    assert probability_of_improvement(a, b) + probability_of_improvement(b, a) == pytest.approx(1)
    matrix = win_matrix({"p": {"a": a, "b": b}})
    assert matrix["a"]["b"] == pytest.approx(probability_of_improvement(a, b))


def test_a_difference_below_the_floor_is_none() -> None:
    assert probability_of_improvement([1e-20], [1e-9]) == 0.5
    assert probability_of_improvement([1e-20], [1e-7]) == 1.0
    assert probability_of_improvement([math.inf], [math.inf]) == 0.5
    assert probability_of_improvement([1.0], [math.nan]) == 1.0


def test_a_profile_counts_problems_and_drops_none() -> None:
    profile = performance_profile(
        {"p": {"a": 1e-4, "b": 3e-4}, "q": {"a": math.inf, "b": 1.0}, "r": {"a": math.inf, "b": math.inf}}
    )
    assert profile["a"][0] == pytest.approx(1 / 3)
    assert profile["b"][0] == pytest.approx(1 / 3)
    assert profile["b"][2] == pytest.approx(2 / 3)
    assert profile["a"][-1] == pytest.approx(1 / 3)


def test_a_profile_tells_errors_below_the_floor_not_apart() -> None:
    profile = performance_profile({"p": {"a": 1e-20, "b": 1e-12, "c": 3e-8}})
    assert (profile["a"][0], profile["b"][1]) == (1.0, 1.0)
    assert (profile["c"][1], profile["c"][2]) == (0.0, 1.0), "4 times the floor, not 1e12 times the best"


def test_a_recommendation_says_how_sure_it_is() -> None:
    sure = recommend("p", {"a": [1e-6] * 5, "b": [1e-2] * 5, "c": [1.1e-6] * 5}, {})
    assert sure is not None
    assert (sure.model, sure.runner_up, sure.chosen_for) == ("a", "c", "least error")
    assert sure.certainty == "sure, 100% of pairs, 5 seeds"
    for count, said in ((1, "unsure, 1 seed"), (3, "unsure, 3 seeds"), (4, "sure, 100% of pairs, 4 seeds")):
        few = recommend("p", {"a": [1e-6] * count, "b": [1e-2] * count}, {})
        assert few is not None
        assert few.certainty == said
    against_one = recommend("p", {"a": [1e-6] * 5, "b": [1e-2]}, {})
    assert against_one is not None
    assert against_one.certainty == "unsure, 1 seed"
    assert recommend("p", {"a": []}, {}) is None


def test_of_models_that_the_floor_makes_equal_the_simplest_is_named() -> None:
    errors = {"lucky": [4.6e-26] * 3, "small": [9e-9] * 3, "quick": [1e-15] * 3, "other": [1.1e-8] * 3}
    small = Cost(10, 9.0)

    def named(**costs: Cost) -> tuple[str, tuple[str, ...], str, str]:
        found = recommend("p", errors, costs)
        assert found is not None
        return found.model, found.equals, found.chosen_for, found.runner_up

    fewest = named(lucky=Cost(50, 1.0), small=small, quick=Cost(20, 0.1), other=Cost(1, 0.01))
    assert fewest == ("small", ("quick", "lucky"), "fewest parameters", "other")
    assert named(lucky=Cost(10, 10.0), small=small, quick=Cost(10, 0.1))[::2] == ("quick", "shortest training")
    assert named()[::2] == ("lucky", "first name"), "a cost that is not known"
    same = recommend("p", {"a": [1e-12] * 3, "b": [1e-15] * 3}, {})
    assert same is not None
    assert same.certainty == "all the same"


@pytest.mark.parametrize(("error", "usable"), [(0.1, True), (0.11, False), (1.0, False), (math.inf, False)])
def test_what_predicts_the_mean_is_never_recommended(error: float, usable: bool) -> None:
    found = recommend("p", {"a": [error] * 3, "b": [error + 1] * 3}, {})
    assert found is not None
    assert found.usable is usable
    assert (found.certainty == "none has reached NMSE 0.1") is not usable


def test_a_front_asks_for_more_than_noise_of_each_further_parameter() -> None:
    points = [(10.0, 1e-3), (20.0, 1e-9), (30.0, 1e-20), (20.0, 1e-2), (40.0, math.inf), (10.0, 1e-3)]
    assert on_front(points) == [True, True, False, False, False, True]


@pytest.mark.parametrize("seeds", [2, 5, 10, 37])
def test_the_interval_is_that_of_scipy_to_the_bit(seeds: int) -> None:
    logs = np.sort(np.random.default_rng(seeds).normal(-5, 2, seeds))

    def upper_median(x: Floats, axis: int) -> Floats:
        found: Floats = np.sort(x, axis=axis).take(x.shape[axis] // 2, axis=axis)
        return found

    found = estimate((10.0**logs).tolist())
    generator = np.random.default_rng(0)
    logs = np.log10(10.0**logs)
    wanted = bootstrap((logs,), upper_median, n_resamples=RESAMPLES, method="percentile", rng=generator)
    assert found is not None
    assert (found.low, found.high) == tuple(10.0 ** float(end) for end in wanted.confidence_interval)
