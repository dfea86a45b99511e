"""The diagram of a KAN on a problem: what its nodes are called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection

from harness.figures import kan
from harness.figures.kan import kan_figure
from harness.models import build
from harness.problems import Problem
from tests.figures.support import formula, rendered
from tests.support import small


def of_names(inputs: tuple[str, ...], outputs: tuple[str, ...], **fields: object) -> Problem:
    return formula(lambda x: x[:, : len(outputs)], len(inputs), inputs=inputs, outputs=outputs, **fields)


def drawn(problem: Problem, points: int = 50, *, named: bool = True) -> tuple[list[str], int]:
    """The texts of the figure, and the points of its longest curve."""
    network = build(small("kan"), problem).network
    x = torch.linspace(-1, 1, points, dtype=torch.float64)[:, None].expand(-1, problem.dimension)
    figure = kan_figure(network, x, "t", problem) if named else kan_figure(network, x, "t")  # type: ignore[arg-type]
    curves = [path for each in figure.axes[0].findobj(LineCollection) for path in each.get_paths()]
    return rendered(figure), max(len(np.asarray(path.vertices)) for path in curves)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (("length", "amplitude"), ("period",)),
        (("a", "b", "c"), ("the first of both", "the other")),
        (("a column with a name that is much too long to be read", "$b$"), ("$$ earned",)),
    ],
)
def test_nodes_have_the_names_of_the_problem_and_room_for_them(
    inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    words, _ = drawn(of_names(inputs, outputs))
    for name in (*inputs, *outputs):
        shown = name.replace("$", r"\$")
        assert any(word == shown or (word.endswith("…") and shown.startswith(word[:-1])) for word in words), name


def test_units_stand_beside_names() -> None:
    words, _ = drawn(of_names(("length", "b"), ("period",), units={"length": "m", "period": "s"}))
    assert {"length (m)", "b", "period (s)"} <= {*words}


def test_without_a_problem_nodes_have_the_names_of_those_that_nobody_has_named() -> None:
    words, _ = drawn(of_names(("length", "amplitude"), ("period",)), named=False)
    assert {"x", "y", "f"} <= {*words}


def test_of_very_many_points_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kan, "MOST", 20)
    _, longest = drawn(of_names(("a", "b"), ("c",)), points=50)
    assert longest == 17, "every third"
