"""Verdicts come together so that nothing passes without data, and no order of seeds matters."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from reports.verdicts.verdict import (
    ProblemVerdict,
    Verdict,
    median_figure,
    of_every,
    of_median,
    seed_holds,
    worst_figure,
)

DECIDED = st.lists(st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.NO_DATA]), max_size=7)
PASS, FAIL, NO_DATA = Verdict.PASS, Verdict.FAIL, Verdict.NO_DATA


@given(DECIDED)
def test_the_median_verdict_is_the_one_that_it_has_whatever_the_seeds_without_data_would_say(
    seeds: list[Verdict],
) -> None:
    open_places = [index for index, verdict in enumerate(seeds) if verdict is Verdict.NO_DATA]
    possible = set()
    for filling in itertools.product([Verdict.PASS, Verdict.FAIL], repeat=len(open_places)):
        filled = list(seeds)
        for place, verdict in zip(open_places, filling, strict=True):
            filled[place] = verdict
        figure = median_figure(0.0 if verdict is Verdict.PASS else 1.0 for verdict in filled)
        possible.add(Verdict.NO_DATA if figure is None else Verdict.PASS if figure == 0 else Verdict.FAIL)
    said = of_median(seeds)
    median = Verdict.PASS if said is Verdict.UNSURE else said
    assert median is (possible.pop() if len(possible) == 1 else Verdict.NO_DATA)


@given(DECIDED)
def test_every_is_never_pass_with_a_failure_or_without_data(seeds: list[Verdict]) -> None:
    if of_every(seeds) is Verdict.PASS:
        assert set(seeds) == {Verdict.PASS}


@given(DECIDED, st.integers(0, 6))
def test_one_seed_that_gets_worse_never_turns_fail_into_pass(seeds: list[Verdict], at: int) -> None:
    worse = [Verdict.FAIL if index == at else verdict for index, verdict in enumerate(seeds)]
    for combine in (of_median, of_every):
        assert not (combine(seeds) is not Verdict.PASS and combine(worse) is Verdict.PASS)


@pytest.mark.parametrize(
    ("holds", "of", "verdict"),
    [
        (1, 1, Verdict.UNSURE),
        (5, 5, Verdict.UNSURE),
        (6, 6, Verdict.PASS),
        (8, 10, Verdict.UNSURE),
        (9, 10, Verdict.PASS),
        (5, 10, Verdict.FAIL),
    ],
)
def test_pass_wants_seeds_enough_to_show_that_more_than_half_of_all_hold(holds: int, of: int, verdict: Verdict) -> None:
    assert of_median([PASS] * holds + [FAIL] * (of - holds)) is verdict
    interval = seed_holds(holds, of)
    assert interval is not None
    assert (interval[0] > 0.5) == (verdict is Verdict.PASS)


def test_a_seed_without_data_counts_as_one_that_does_not_hold() -> None:
    assert of_median([PASS] * 9 + [NO_DATA]) is Verdict.PASS
    assert of_median([PASS] * 8 + [NO_DATA] * 2) is Verdict.UNSURE
    assert of_median([PASS] * 5 + [NO_DATA] * 5) is Verdict.NO_DATA
    assert of_median([PASS] * 6 + [Verdict.NOT_APPLICABLE] * 9) is Verdict.PASS


@pytest.mark.parametrize(("holds", "of"), [(6, 6), (9, 10), (3, 7), (0, 4)])
def test_the_interval_is_the_exact_one(holds: int, of: int) -> None:
    """At its lower end, at least so many seeds hold in a fortieth of all cases; at its upper end, at most so many."""
    found = seed_holds(holds, of)
    assert found is not None

    def chance(p: float, counts: range) -> float:
        return sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in counts)

    low, high = found
    assert low == 0.0 if holds == 0 else chance(low, range(holds, of + 1)) == pytest.approx(0.025)
    assert high == 1.0 if holds == of else chance(high, range(holds + 1)) == pytest.approx(0.025)
    assert seed_holds(0, 0) is None


@pytest.mark.parametrize("of", [1, 2, 7, 60, 3000])
def test_the_interval_is_scipy_s(of: int) -> None:
    for holds in {0, 1, of // 2, of - 1, of}:
        expected = binomtest(holds, of).proportion_ci(confidence_level=0.95, method="exact")
        assert seed_holds(holds, of) == pytest.approx((expected.low, expected.high), abs=1e-11)


def test_the_interval_stands_beside_the_count() -> None:
    found = ProblemVerdict("p", Verdict.PASS, holds=9, of=10, interval=seed_holds(9, 10))
    assert found.count == "9 of 10, a seed holds with 55% to 100%"
    assert ProblemVerdict("p", Verdict.PASS, holds=9, of=10).count == "9 of 10"
    assert ProblemVerdict("p", Verdict.NO_DATA).count == ""


def test_of_problems_a_failure_counts_before_no_data_and_that_before_an_unsure_one() -> None:
    found = [Verdict.PASS, Verdict.UNSURE, Verdict.NO_DATA, Verdict.FAIL]
    for place, verdict in enumerate(found, 1):
        assert of_every(found[:place]) is verdict


def test_of_two_middle_seeds_the_worse_counts() -> None:
    assert median_figure([1.0, 2.0]) == 2.0
    assert median_figure([1.0, 2.0], larger_is_worse=False) == 1.0
    assert of_median([Verdict.PASS, Verdict.FAIL]) is Verdict.FAIL
    assert median_figure([]) is None


@pytest.mark.parametrize("larger_is_worse", [True, False])
def test_a_figure_that_was_not_reached_is_the_worst_whichever_way_is_worse(larger_is_worse: bool) -> None:
    assert worst_figure([0.1, math.inf, 0.9], larger_is_worse) == math.inf
    assert median_figure([0.1, math.inf, math.inf], larger_is_worse) == math.inf
