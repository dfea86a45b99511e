"""Formulas of problems are set as formulas where every word of them is known, and are plain text else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

from harness import problems
from reports.pages.formulas import WORDS, typeset

PARSER = MathTextParser("agg")


def test_every_problem_of_ours_has_a_formula_that_matplotlib_can_set() -> None:
    for name in problems.PROBLEMS.names():
        found = typeset(problems.get(name).formula)
        assert found is not None, name
        PARSER.parse(found)
    assert typeset("x^3 - 2 x^2 + sin(2 pi x)") == r"$x^{3}-2\,x^{2}+\sin(2\,\pi \,x)$"


@pytest.mark.parametrize("formula", ["foo(x)", "$x$", r"\input x", "x^(2)", "x_1", "exp(-8 x²)", "x^2^2", ""])
def test_a_formula_with_anything_unknown_stays_text(formula: str) -> None:
    assert typeset(formula) is None


@given(st.lists(st.sampled_from([*WORDS, "2", "0.5", "^2", " ", "(", ")", "+", "*", ";", "<="]), max_size=12))
def test_whatever_is_set_matplotlib_can_draw(parts: list[str]) -> None:
    found = typeset("".join(parts))
    if found is not None:
        PARSER.parse(found)
