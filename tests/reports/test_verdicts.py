"""Verdicts come together so that nothing passes without data, and no order of seeds matters."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from reports.verdicts import Verdict, median_figure, of_every, of_median

DECIDED = st.lists(st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.NO_DATA]), max_size=7)


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
    assert of_median(seeds) is (possible.pop() if len(possible) == 1 else Verdict.NO_DATA)


@given(DECIDED)
def test_every_is_never_pass_with_a_failure_or_without_data(seeds: list[Verdict]) -> None:
    if of_every(seeds) is Verdict.PASS:
        assert set(seeds) == {Verdict.PASS}


@given(DECIDED, st.integers(0, 6))
def test_one_seed_that_gets_worse_never_turns_fail_into_pass(seeds: list[Verdict], at: int) -> None:
    worse = [Verdict.FAIL if index == at else verdict for index, verdict in enumerate(seeds)]
    for combine in (of_median, of_every):
        assert not (combine(seeds) is not Verdict.PASS and combine(worse) is Verdict.PASS)


def test_of_two_middle_seeds_the_worse_counts() -> None:
    assert median_figure([1.0, 2.0]) == 2.0
    assert median_figure([1.0, 2.0], larger_is_worse=False) == 1.0
    assert of_median([Verdict.PASS, Verdict.FAIL]) is Verdict.FAIL
    assert median_figure([]) is None
