"""An equation is refused where it can't be solved, and gives rows at points inside and on the sides of its box."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor

from harness import problems
from harness.data import Data, sample, scale_of
from harness.errors import BadInput
from harness.problems import Condition, Equation, Jet, Problem, Rows, dirichlet
from harness.problems.equation import all_sides, on_sides
from harness.problems.rows import Partials
from harness.seeds import generator

POINTS = (60, 30, 20)


def growth(x: Tensor, jet: Jet) -> Tensor:
    """u' - u along the first axis, for u = e^x."""
    assert jet.slopes is not None
    return jet.slopes[:, 0, 0] - jet.value[:, 0]


def exponential(x: Tensor) -> Tensor:
    return x[:, :1].exp()


GIVEN: dict[str, Any] = {
    "formula": "u' - u = 0",
    "operator": growth,
    "order": 1,
    "conditions": (dirichlet(exponential, (0, "low")),),
    "scale": 1.0,
}


def of(dimension: int = 1, /, **changes: Any) -> Problem:
    fields: dict[str, Any] = {
        "name": "growth",
        "dimension": dimension,
        "target": exponential,
        "formula": "exp(x)",
        "sections": ("mine",),
        "citation": "this test",
        "equation": Equation(**{**GIVEN, **changes}),
    }
    return Problem(**fields)


def data_of(problem: Problem, **sides: Any) -> Data:
    return sample(problem, 0, *POINTS, **sides)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"conditions": ()}, "has no conditions; without values on the boundary"),
        ({"scale": None}, "has neither a forcing nor a scale; say by a scale"),
        ({"scale": 0.0}, "has scale = 0.0; allowed: a positive finite number"),
        ({"scale": math.inf}, "has scale = inf; allowed"),
        ({"order": 3}, "of an order that is not 0, 1 or 2"),
        ({"conditions": (Condition(residual=growth, order=3),)}, "of an order that is not 0, 1 or 2"),
    ],
)
def test_an_equation_that_can_not_be_solved_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=rf"^equation \"u' - u = 0\" .*{complaint}") as refused:
        Equation(**{**GIVEN, **changes})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("side", [(1, "low"), (-1, "high"), (0, "left"), 0])
def test_a_side_that_is_not_there_is_refused(side: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # what is wrong here is wrong by its type too
    with pytest.raises(BadInput, match=r"condition on the side .*; allowed: \(axis, 'low' or 'high'\), axis < 1\.$"):
        of(conditions=(dirichlet(exponential, side),))


def test_beside_an_equation_there_is_one_output_and_neither_table_nor_rows() -> None:
    rows = Rows(name="r", points=lambda g: torch.zeros(1, 1), residual=growth, order=1)
    for more in ({"rows": (rows,)}, {"outputs": ("u", "v")}):
        with pytest.raises(
            BadInput, match=r"^problem 'growth' has an equation; allowed beside it: a target of one output"
        ):
            replace(of(), **more)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"operator": lambda x, jet: jet.value[:, 0] / (x[:, 0] - x[:1, 0])},
            r"whose residual \(interior\) is not a finite number at 1 of its 60 points, first at x = .*: the equation is",
        ),
        (
            {"conditions": (dirichlet(lambda x: 1 / (x - 1)),)},
            r"whose residual \(boundary\) is not a finite number at 1 of its 2 points, first at x = 1: the equation",
        ),
        (
            {"operator": lambda x, jet: jet.value},
            r"\(interior\) has the shape \(60, 1\) at 60 points; expected: \(60,\)",
        ),
        ({"operator": lambda x, jet: jet.value[0, 0]}, r"\(interior\) has the shape \(\) at 60 points"),
        ({"operator": lambda x, jet: jet.curvatures[:, 0, 0]}, r"\(interior\) fails at 60 points: TypeError"),
        ({"operator": lambda x, jet: 1.0}, r"\(interior\) has the shape \(\) at 60 points"),
        ({"operator": lambda x, jet: 1 // 0}, r"\(interior\) fails at 60 points: ZeroDivisionError"),
        (
            {"scale": None, "forcing": lambda x: 0 * x},
            "whose forcing has the root mean square 0 .*; .* give it a scale",
        ),
        ({"scale": None, "forcing": lambda x: x[:, 0]}, r"has a forcing that gives numbers of shape \(10001,\)"),
    ],
)
def test_an_equation_that_is_no_number_at_its_points_is_refused(
    changes: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(BadInput, match=f"^problem 'growth' .*{complaint}") as refused:
        data_of(of(**changes))
    assert "\n" not in str(refused.value)


def slopes_of(factor: float) -> Any:
    def partials(x: Tensor, jet: Jet) -> Partials:
        return -torch.ones_like(jet.value), factor * torch.ones(len(x), 1, 1, dtype=x.dtype), None

    return partials


def test_partials_that_are_not_the_operator_s_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    data_of(of(partials=slopes_of(1.0)))
    for partials, complaint in (
        (slopes_of(2.0), r" in u_i are not its operator's; correct them, or leave them to autograd\.$"),
        (lambda x, jet: (jet.value, slopes_of(1.0)(x, jet)[1], None), " in u are not its operator's"),
        (
            lambda x, jet: (-jet.value[:, 0], None, None),
            r" in u have the shape \(60,\) at 60 points; expected: \(60, 1\)",
        ),
        (lambda x, jet: 1 // 0, " fail at 60 points: ZeroDivisionError"),
    ):
        with pytest.raises(BadInput, match=f"^problem 'growth' has an equation whose partials.*{complaint}"):
            data_of(of(partials=partials))


BOUNDS = ((-1.0, 2.0), (3.0, 4.0), (-6.0, -5.0))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_points_on_sides_are_on_the_sides_as_many_as_asked_for_on_each(dimension: int) -> None:
    bounds, count = BOUNDS[:dimension], 60
    sides = all_sides(dimension)
    assert len(sides) == 2 * dimension
    each = 1 if dimension == 1 else count // len(sides)
    for side in sides:
        x = on_sides((side,), bounds, each, generator(0, "a"))
        axis, end = side
        assert len(x) == each
        assert set(x[:, axis].tolist()) == {bounds[axis][end == "high"]}
    x = on_sides(sides, bounds, count, generator(0, "a"))
    assert len(x) == (2 if dimension == 1 else count)
    low, high = torch.tensor(bounds, dtype=torch.float64).T
    assert ((low <= x) & (x <= high)).all()
    for axis in range(1, dimension):  # they fill the sides, from end to end
        free = x[:each, axis]
        assert free.max() - free.min() > 0.8 * (high - low)[axis]


def test_points_on_the_sides_of_a_rectangle_are_even_from_corner_to_corner() -> None:
    x = on_sides(((1, "low"),), BOUNDS[:2], 4, generator(0, "a"))
    assert x.tolist() == [[-1.0, 3.0], [0.0, 3.0], [1.0, 3.0], [2.0, 3.0]]
    x = on_sides(((1, "low"),), BOUNDS[:2], 4, generator(0, "a"), between=True)
    assert x.tolist() == [[-0.5, 3.0], [0.5, 3.0], [1.5, 3.0]]


@pytest.mark.parametrize("name", ["solve_2d_sin", "solve_heat_1d", "solve_poisson_3d", "solve_poisson_5d"])
def test_held_out_points_are_others(name: str) -> None:
    data = sample(problems.get(name), 0, *POINTS, n_boundary=100)
    for at, held_out in zip(data.at_declared, data.at_held_out, strict=True):
        assert not {tuple(row) for row in at.tolist()} & {tuple(row) for row in held_out.tolist()}
    assert len(data.at_declared[0]) == 60
    assert 100 <= len(data.at_declared[1]) < 100 + 2 * data.train.x.shape[1]
    assert torch.equal(data.at_declared[0], data.train.x)
    assert torch.equal(data.at_held_out[0], data.val.x)


def test_points_on_the_sides_are_of_the_seed_where_they_are_drawn() -> None:
    one, again, other = (sample(problems.get("solve_poisson_3d"), seed, *POINTS).at_declared[1] for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_conditions_share_points_and_weight_as_they_share_the_sides() -> None:
    slope = Condition(residual=growth, sides=((1, "low"), (1, "high"), (0, "high")), order=1)
    problem = of(2, conditions=(dirichlet(exponential, (0, "low")), slope), scale=4.0)
    data = data_of(problem, n_boundary=80, boundary_weight=3.0)
    assert [rows.name for rows in data.declared] == ["interior", "boundary", "boundary_2"]
    assert [len(x) for x in data.at_declared] == [60, 20, 60]
    assert [rows.weight for rows in data.declared] == [1.0, 9 / 4, 27 / 4]
    assert [rows.order for rows in data.declared] == [1, 0, 1]
    x = data.at_declared[2]
    ones = torch.ones(len(x), 1, 2, dtype=torch.float64)
    torch.testing.assert_close(data.declared[2].residual(x, Jet(3 * ones[..., 0], ones)), -ones[:, 0, 0] * 2 / 4)


def test_the_scale_is_that_of_the_forcing_unless_it_is_declared() -> None:
    forced = of(forcing=lambda x: 3 * x.sign(), scale=None)
    assert scale_of(forced) == pytest.approx(3.0, rel=1e-3)  # 0 at one of the dense points
    assert scale_of(of(forcing=lambda x: 3 * x, scale=7.0)) == 7.0


def cubic(x: Tensor, jet: Jet) -> Tensor:
    assert jet.slopes is not None
    return jet.slopes[:, 0, 0] - jet.value[:, 0] ** 3


def squared(x: Tensor, jet: Jet) -> Tensor:
    assert jet.slopes is not None
    return jet.slopes[:, 0, 0] - jet.value[:, 0] ** 2


def test_equal_declarations_have_equal_digests_and_whatever_decides_a_result_changes_them() -> None:
    same = {"operator": squared, "forcing": lambda x: x, "scale": 1.0}
    digest = data_of(of(**same)).digest
    assert data_of(of(**{**same, "forcing": lambda x: 1 * x})).digest == digest
    assert data_of(of(**same, formula="another text")).digest == digest
    changed = [
        data_of(of(**{**same, "operator": cubic})),
        data_of(of(**{**same, "forcing": lambda x: x + 1e-9})),
        data_of(of(**{**same, "scale": 2.0})),
        data_of(of(**same, conditions=(dirichlet(exponential, (0, "high")),))),
        data_of(of(**same, conditions=(dirichlet(lambda x: 0 * x, (0, "low")),))),
        data_of(of(**same), boundary_weight=9.0),
    ]
    two = of(2, **same)
    in_two = [data_of(two).digest, data_of(two, n_boundary=100).digest]
    assert len({digest, *(each.digest for each in changed), *in_two}) == 3 + len(changed)
