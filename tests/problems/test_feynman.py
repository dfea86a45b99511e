"""The Feynman formulas are pykan's, with its variables and ranges; those without dimensions follow from them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from kan.feynman import get_feynman_dataset
from numpy.typing import NDArray

from harness import problems
from harness.problems import Problem

ALL = [problems.get(name) for name in problems.PROBLEMS.names()]
OURS = [problem for problem in ALL if "feynman" in problem.sections]
MISPRINTED = 113
"""Whose symbolic formula is not that of the database; its function is."""


def number(problem: Problem) -> int:
    found = re.search(r"number (\d+)$", problem.citation)
    assert found is not None
    return int(found[1])


def uniform(problem: Problem, count: int = 300) -> NDArray[np.float64]:
    low, high = np.array(problem.bounds).T
    drawn: NDArray[np.float64] = np.random.default_rng(6).uniform(low, high, (count, problem.dimension))
    return drawn


def pykan(problem: Problem) -> tuple[list[Any], Any, Any, NDArray[np.float64]]:
    """The symbols, the formula, the function and the ranges of pykan."""
    symbols, formula, function, ranges = get_feynman_dataset(number(problem))
    bounds = np.array(ranges, dtype=float)
    return list(symbols), formula, function, np.broadcast_to(bounds, (len(symbols), 2))


def test_all_formulas_of_pykan_are_there_but_the_one_that_it_can_not_evaluate() -> None:
    assert sorted(map(number, OURS)) == [n for n in range(1, 121) if n != 114]
    assert max(problem.dimension for problem in OURS) == 9
    _, _, function, _ = get_feynman_dataset(114)
    with pytest.raises(IndexError):
        function(torch.rand(5, 5))


@pytest.mark.parametrize("problem", OURS, ids=lambda problem: problem.name)
def test_values_variables_and_ranges_are_pykan_s(problem: Problem) -> None:
    symbols, formula, function, bounds = pykan(problem)
    x = uniform(problem)
    if number(problem) == MISPRINTED:
        expected = function(torch.from_numpy(x))[:, 0].numpy()
    else:
        expected = sympy.lambdify(symbols, formula, "numpy")(*x.T)
    found = problem.values(torch.from_numpy(x))[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
    names = [str(symbol).replace("_", "").replace("lambda", "lamb").replace("omegao", "omega0") for symbol in symbols]
    assert list(problem.inputs) == names
    np.testing.assert_allclose(problem.bounds, bounds, rtol=1e-6)


IN_THE_PAPER: dict[str, tuple[str, dict[str, str]]] = {
    "i_9_18": ("1", {"a": "G*m1*m2/x1**2", "b": "x2/x1", "c": "y1/x1", "d": "y2/x1", "e": "z1/x1", "f": "z2/x1"}),
    "i_12_11": ("q*Ef", {"a": "B*v/Ef", "theta": "theta"}),
    "i_13_12": ("1", {"a": "G*m1*m2/r1", "b": "r2/r1"}),
    "i_15_3x": ("x", {"a": "u*t/x", "b": "u/c"}),
    "i_16_6": ("c", {"a": "u/c", "b": "v/c"}),
    "i_18_4": ("r1", {"a": "m2/m1", "b": "r2/r1"}),
    "i_27_6": ("d1", {"a": "n", "b": "d1/d2"}),
    "i_29_16": ("abs(x1)", {"a": "x2/x1", "theta1": "theta1", "theta2": "theta2"}),
    "i_30_3": ("I0", {"n": "n", "theta": "theta"}),
    "i_30_5": ("1", {"a": "lamb/d", "n": "n"}),
    "i_37_4": ("I1", {"a": "I2/I1", "delta": "delta"}),
    "i_40_1": ("1", {"n0": "n0", "a": "m*g*x/(kb*T)"}),
    "i_44_4": ("kb*T", {"n": "n", "a": "V2/V1"}),
    "i_50_26": ("x1", {"a": "omega*t", "alpha": "alpha"}),
    "ii_2_42": ("1", {"a": "T2/T1", "b": "kappa*T1*A/d"}),
    "ii_6_15a": ("1", {"a": "x/r", "b": "y/r", "c": "3*pd*z/(epsilon*r**4)"}),
    "ii_11_7": ("1", {"n0": "n0", "a": "pd*Ef/(kb*T)", "theta": "theta"}),
    "ii_11_27": ("epsilon*Ef", {"n": "n", "alpha": "alpha"}),
    "ii_35_18": ("1", {"n0": "n0", "a": "mu*B/(kb*T)"}),
    "ii_36_38": ("1", {"a": "mu*B/(kb*T)", "alpha": "alpha", "b": "mu*M/(epsilon*c**2*kb*T)"}),
    "ii_38_3": ("Y*A", {"a": "x", "b": "d"}),
    "iii_9_52": ("1", {"a": "pd*Ef*t/hbar", "b": "omega*t", "c": "omega0*t"}),
    "iii_10_19": ("mu*Bx", {"a": "By/Bx", "b": "Bz/Bx"}),
}
"""By equation: what is taken out of the formula, and what the variables of the rest are."""


@pytest.mark.parametrize("equation", IN_THE_PAPER)
def test_a_formula_without_dimensions_times_its_scale_is_the_one_with_them(equation: str) -> None:
    scale, variables = IN_THE_PAPER[equation]
    # The paper's II.11.7 is II.11.17 of the database.
    whole = problems.get("feynman_" + equation.replace("ii_11_7", "ii_11_17"))
    short = problems.get(f"feynman_paper_{equation}")
    assert short.inputs == tuple(variables)
    x = uniform(whole)
    named = dict(zip(whole.inputs, x.T, strict=True))
    columns = [eval(text, {"abs": np.abs}, named) for text in variables.values()]
    scaled = (
        eval(scale, {"abs": np.abs}, named) * short.values(torch.from_numpy(np.stack(columns, axis=1)))[:, 0].numpy()
    )
    np.testing.assert_allclose(scaled, whole.values(torch.from_numpy(x))[:, 0], rtol=1e-9, atol=1e-12)


def test_the_paper_s_table_has_27_rows_four_of_which_have_no_dimensions_in_the_lectures_either() -> None:
    found = [problem.name for problem in ALL if "feynman_paper" in problem.sections]
    assert len(found) == 27
    assert {name for name in found if not name.startswith("feynman_paper_")} == {
        "feynman_i_6_2",
        "feynman_i_6_2b",
        "feynman_i_26_2",
        "feynman_iii_17_37",
    }
