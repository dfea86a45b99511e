"""A report's JSON is that of the standard library, piece by piece."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.pages.report_json import _pieces

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda some: st.lists(some) | st.dictionaries(st.text(), some), max_leaves=40)


@given(VALUES)
def test_it_is_spelled_as_the_standard_library_spells_it(value: object) -> None:
    assert "".join(_pieces(value, "\n")) == json.dumps(value, indent=1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_iterator_is_a_list(count: int) -> None:
    entries = [{"run": str(number)} for number in range(count)]
    assert "".join(_pieces({"runs": iter(entries)}, "\n")) == json.dumps({"runs": entries}, indent=1)


@pytest.mark.parametrize("levels", [0, 5])
def test_numbers_that_are_not_finite_are_texts(levels: int) -> None:
    found = "".join(_pieces([float("nan"), float("inf"), -float("inf")], "\n", levels))
    assert json.loads(found) == ["nan", "inf", "-inf"]
