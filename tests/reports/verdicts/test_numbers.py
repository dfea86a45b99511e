"""A number is written one way on every page, short, and never as 1e+06."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.verdicts.numbers import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "NaN"),
        (math.inf, "not reached"),
        (0.0, "0"),
        (97.0, "97"),
        (10.0 ** math.log10(69), "69"),
        (1.0004, "1.00"),
        (0.1, "0.1"),
        (0.12, "0.120"),
        (123.4, "123"),
        (1234.5, "1234"),
        (9999.7, "10000"),
        (1e6, "1e6"),
        (1.234e-5, "1.23e-5"),
        (1e-8, "1e-8"),
        (-0.00123, "-1.23e-3"),
    ],
)
def test_a_figure_has_three_digits_and_what_is_round_is_short(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.floats(-1e30, 1e30))
def test_a_number_is_read_back_to_three_digits(value: float) -> None:
    text = number(value)
    assert "e+" not in text
    assert "e-0" not in text
    assert float(text) == pytest.approx(value, rel=5.1e-3)
