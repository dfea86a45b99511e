"""Which pictures a problem has, and that each of them can be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.figures.of_problem import draw_picture
from harness.problems.pictures import pictures_of
from tests.figures.support import formula, named, points_of, rendered, rows, split_of


@pytest.mark.parametrize(
    ("kind", "inputs", "names"),
    [
        ("formula", 1, "fit"),
        ("formula", 2, "heatmap"),
        ("formula", 3, "prediction slices sensitivity"),
        ("formula", 100, "prediction slices sensitivity"),
        ("equation", 1, "fit residual"),
        ("equation", 2, "heatmap residual"),
        ("equation", 3, "prediction slices residual"),
        ("table", 1, "prediction slices"),
        ("table", 2, "prediction slices sensitivity"),
        ("picture", 2, "picture prediction"),
    ],
)
def test_a_problem_has_the_pictures_that_can_show_it(kind: str, inputs: int, names: str) -> None:
    assert list(pictures_of(kind, inputs)) == [f"{name}.png" for name in names.split()]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_each_picture_of_a_table_can_be_drawn(inputs: int, outputs: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, inputs))
    y = x[:, :1] * np.arange(1, outputs + 1) + 0.1 * generator.normal(size=(90, outputs))
    problem = rows(x, y, tuple("abc"[:inputs]), tuple("uvw"[:outputs]))
    data = split_of(problem)

    def model(at: torch.Tensor) -> torch.Tensor:
        return at[:, :1] * torch.arange(1, outputs + 1)

    for name in pictures_of(problem.kind, inputs):
        words = rendered(draw_picture(name, problem, data, model(data.dense.x), model, "t"))
        assert any(word.startswith("t") for word in words)


def test_the_slice_of_a_table_of_one_input_has_all_its_rows_as_dots() -> None:
    x = np.linspace(0, 5, 60)[:, None]
    problem = rows(x, np.sin(x), ("time",), ("signal",))
    data = split_of(problem)
    figure = draw_picture("slices.png", problem, data, data.dense.y, torch.sin, "t")
    for name, sample in (("training rows", data.train), ("held-out rows", data.dense)):
        (dots,) = named(figure, name)
        np.testing.assert_array_equal(np.asarray(dots.get_xdata()), sample.x[:, 0])
    (curve,) = named(figure, "model")
    np.testing.assert_allclose(np.asarray(curve.get_ydata()), np.sin(np.asarray(curve.get_xdata())))


@pytest.mark.parametrize(("inputs", "name"), [(1, "fit.png"), (2, "heatmap.png")])
def test_on_a_grid_each_output_has_its_own_row_and_scale(inputs: int, name: str) -> None:
    problem = formula(
        lambda x: torch.hstack([x[:, :1], 1e5 * x[:, :1] ** 2]),
        inputs,
        outputs=("u", "v"),
        units={"u": "m", "x": "s"},
        low=-1.0,
    )
    data = points_of(problem, dense=101**inputs)
    figure = draw_picture(name, problem, data, 1.01 * data.dense.y, problem.target, "t")
    words = rendered(figure)
    assert "x (s)" in words
    assert any("u (m)" in word for word in words)
    assert any("10⁴" in word for word in words)
    assert len(figure.axes) == {1: 4, 2: 10}[inputs]
