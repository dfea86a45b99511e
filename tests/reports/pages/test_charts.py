"""The data that a page draws is the picture's: no jump lost, nothing that is not finite, nothing that ends a script."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.pages.charts import MOST, Chart, Mark, Panel, line


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=2000))
def test_a_thinned_line_keeps_its_ends_and_its_extremes(values: list[float]) -> None:
    y = np.array(values)
    found = line("a", "#000000", np.arange(float(len(y))), y)
    assert len(found.x) == len(found.y) <= MOST
    assert (found.x[0], found.x[-1]) == (0.0, float(len(y) - 1))
    finite = y[np.isfinite(y)]
    known = [value for value in found.y if value is not None]
    assert all(math.isfinite(value) for value in known)
    if finite.size:
        np.testing.assert_allclose([min(known), max(known)], [finite.min(), finite.max()], rtol=1e-3)


def test_a_gap_stays_a_gap_and_a_point_without_a_place_is_left_out() -> None:
    x, y = np.array([1.0, math.nan, 3.0, 4.0]), np.array([1.0, 2.0, math.nan, 4.0])
    found = line("a", "#000000", x, y, "--", (y / 2, y * 2), [Mark(3.0, cut=True)])
    assert (found.x, found.y, found.low, found.high) == (
        (1.0, 3.0, 4.0),
        (1.0, None, 4.0),
        (0.5, None, 2.0),
        (2.0, None, 8.0),
    )


def test_a_name_can_not_end_the_script_that_holds_it() -> None:
    evil = "</script><script>alert(1)</script><!--"
    text = Chart((Panel(evil, "x", "y", (line(evil, "#000000", np.ones(1), np.ones(1)),)),)).as_json()
    assert "<" not in text
    assert json.loads(text)["panels"][0]["series"][0]["name"] == evil
