"""The error norms are what their names say, in raw units, and a number that is not finite never looks good."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric
from torch import Tensor, nn

from harness import problems
from harness.data import Sample, dense_points, scale2
from harness.evaluation import as_grid, evaluate, metric_names, roughness_ratio
from harness.models import Regressor
from harness.problems import Problem
from tests.figures.support import rows


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def judged(problem: Problem, function: Callable[[Tensor], Tensor]) -> dict[str, float]:
    x = dense_points(problem)
    return evaluate(Regressor(Function(function), problem.low, problem.high), problem, Sample(x, problem.target(x)))


def scaled(problem: Problem, factor: float) -> Problem:
    return Problem(
        name="scaled",
        dimension=problem.dimension,
        target=lambda x: factor * problem.target(x),
        gradient=lambda x: factor * problem.slopes(x),
        formula="",
        sections=("test",),
        citation="",
    )


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_scale2_is_the_variance_or_for_a_constant_its_square_or_one() -> None:
    assert scale2(column([1.0, 3.0])) == 1.0
    assert scale2(column([5.0, 5.0, 5.0])) == 25.0
    assert scale2(column([0.0, 0.0])) == 1.0
    assert scale2(column([1e8, 1e8 + 2])) == 1.0  # varies, though little beside its mean


@pytest.mark.parametrize("name", ["poisson_1d_sin", "poisson_2d_spec", "poisson_1d_poly", "piecewise"])
def test_the_target_itself_has_no_error(name: str) -> None:
    problem = problems.get(name)
    metrics = judged(problem, lambda x: problem.target(x) + 0 * x[:, :1])
    assert metrics["final/dense_mse"] == metrics["final/linf"] == metrics["final/rel_l2"] == 0
    assert metrics["final/log10_nmse"] == -20.0, "the floor"
    assert metrics["final/h1_rel"] == pytest.approx(0, abs=1e-9)
    if problem.dimension == 2:
        assert metrics["final/roughness_ratio"] == pytest.approx(1, rel=1e-12)


def test_a_constant_offset_by_hand() -> None:
    problem = problems.get("poisson_1d_sin")
    metrics = judged(problem, lambda x: problem.target(x) + 0.5 + 0 * x)
    x = dense_points(problem)
    y, slope = problem.target(x), problem.slopes(x)
    assert metrics["final/dense_mse"] == pytest.approx(0.25)
    assert metrics["final/dense_nmse"] == pytest.approx(0.25 / (math.pi**4 / 2), rel=1e-3)
    assert metrics["final/log10_nmse"] == pytest.approx(math.log10(metrics["final/dense_nmse"]))
    assert metrics["final/linf"] == pytest.approx(0.5)
    assert metrics["final/rel_l2"] == pytest.approx(0.5 * math.sqrt(10_001) / y.norm().item())
    # The slope is exact, so the Sobolev norm of the error is that of its value.
    expected = math.sqrt(0.25 * 10_001 / (y.square().sum() + slope.square().sum()).item())
    assert metrics["final/h1_rel"] == pytest.approx(expected)


def test_the_zero_function_has_relative_errors_of_one_and_no_roughness() -> None:
    problem = problems.get("poisson_2d_sin")
    metrics = judged(problem, lambda x: 0 * x[:, :1])
    assert metrics["final/rel_l2"] == pytest.approx(1)
    assert metrics["final/h1_rel"] == pytest.approx(1)
    assert metrics["final/dense_nmse"] == pytest.approx(1, rel=1e-9)  # this target has mean zero
    assert metrics["final/linf"] == pytest.approx(2 * math.pi**2)
    assert metrics["final/roughness_ratio"] == pytest.approx(0, abs=1e-9)


def test_h1_sees_a_ripple_that_l2_hardly_sees() -> None:
    problem = problems.get("poisson_1d_sin")
    metrics = judged(problem, lambda x: problem.target(x) + 1e-2 * torch.sin(300 * x))
    assert metrics["final/rel_l2"] < 2e-3
    assert metrics["final/h1_rel"] > 5e-2


@pytest.mark.parametrize("colours", [1, 3])
def test_the_psnr_of_a_picture_is_that_of_its_held_out_pixels_for_a_peak_of_one(colours: int) -> None:
    corners = np.array([[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    values = np.linspace(0, 1, 4 * colours).reshape(4, colours)
    problem = rows(corners, values, ("x", "y"), ("r", "g", "b")[:colours], image=(2, 2))
    held_out = Sample(torch.from_numpy(corners[:3]), torch.from_numpy(values[:3]))
    errors = torch.full((colours,), 0.01, dtype=torch.float64)
    errors[0] = 0.03
    off = Regressor(Function(lambda x: held_out.y + errors), -1, 1)
    mse = (0.03**2 + (colours - 1) * 0.01**2) / colours
    assert evaluate(off, problem, held_out)["final/psnr"] == pytest.approx(-10 * math.log10(mse))
    exact = Regressor(Function(lambda x: held_out.y), -1, 1)
    assert evaluate(exact, problem, held_out)["final/psnr"] == 200.0, "the floor of the MSE"
    lost = Regressor(Function(lambda x: held_out.y * math.nan), -1, 1)
    assert math.isnan(evaluate(lost, problem, held_out)["final/psnr"])


def test_rows_that_are_no_picture_have_no_psnr() -> None:
    numbers = np.linspace(0, 1, 4)[:, None]
    problem = rows(numbers, numbers, ("a",), ("b",))
    sample = Sample(torch.from_numpy(numbers), torch.from_numpy(numbers))
    assert "final/psnr" not in evaluate(Regressor(Function(lambda x: x), 0, 1), problem, sample)


def test_only_2d_problems_have_a_roughness() -> None:
    assert "final/roughness_ratio" not in judged(problems.get("polynomial"), lambda x: x)


def test_noise_is_rough() -> None:
    target = as_grid(problems.get("poisson_2d_sin").target(dense_points(problems.get("poisson_2d_sin"))))
    noise = torch.randn(101, 101, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert roughness_ratio(target + 0.05 * target.std() * noise, target) > 1.5
    assert roughness_ratio(target + 1e-4 * target.std() * noise, target) < 1.5


def test_roughness_is_that_of_the_five_point_laplacian_by_hand() -> None:
    x = torch.arange(101, dtype=torch.float64)
    square = (x**2)[:, None].expand(101, 101)  # its discrete Laplacian is 2 everywhere
    assert roughness_ratio(3 * square, square) == pytest.approx(3)
    assert roughness_ratio(square + x, square) == pytest.approx(1)  # a slope has no curvature


def test_roughness_beside_a_flat_target_is_huge_but_finite() -> None:
    flat = torch.full((101, 101), 2.0, dtype=torch.float64)
    assert roughness_ratio(flat, flat) == pytest.approx(1)
    bumpy = flat.clone()
    bumpy[50, 50] += 1
    assert 1e6 < roughness_ratio(bumpy, flat) < math.inf


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["poisson_1d_sin", "poisson_2d_sin"])
def test_one_bad_prediction_spoils_every_metric(name: str, bad: float) -> None:
    def function(x: Tensor) -> Tensor:
        out = x.sum(dim=1, keepdim=True)
        spoiled = torch.zeros_like(out)
        spoiled[len(out) // 2] = bad
        return out + spoiled

    for metric, value in judged(problems.get(name), function).items():
        assert not math.isfinite(value), metric
    assert math.isnan(judged(problems.get(name), function)["final/log10_nmse"])


FACTORS = st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)


@given(FACTORS, st.floats(-2, 2), st.sampled_from(["poisson_1d_sin", "poisson_2d_poly", "poisson_1d_poly"]))
def test_scaling_target_and_prediction_scales_the_mse_and_leaves_the_ratios(
    factor: float, offset: float, name: str
) -> None:
    problem = problems.get(name)

    def prediction(x: Tensor) -> Tensor:
        return torch.sin(3 * x).sum(dim=1, keepdim=True) + offset

    one = judged(problem, prediction)
    other = judged(scaled(problem, factor), lambda x: factor * prediction(x))
    assert other["final/dense_mse"] == pytest.approx(factor**2 * one["final/dense_mse"], rel=1e-9)
    assert other["final/linf"] == pytest.approx(abs(factor) * one["final/linf"], rel=1e-9)
    for name_ in ("final/dense_nmse", "final/rel_l2", "final/h1_rel", "final/log10_nmse"):
        assert other[name_] == pytest.approx(one[name_], rel=1e-6, abs=1e-9), name_


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.floats(-1e3, 1e3))
def test_scale2_is_positive_and_does_not_see_a_shift_of_a_target_that_varies(values: list[float], shift: float) -> None:
    y = column(values)
    assert scale2(y) > 0
    if y.std().item() > 1e-3 * (1 + y.abs().max().item() + abs(shift)):
        assert scale2(y + shift) == pytest.approx(scale2(y), rel=1e-6)


def test_a_float32_model_is_judged_in_float64() -> None:
    problem = problems.get("poisson_2d_poly")
    x = dense_points(problem).float()
    model = Regressor(Function(lambda x: x[:, :1]), -1, 1, dtype=torch.float32)
    single = evaluate(model, problem, Sample(x, problem.target(x)))
    double = judged(problem, lambda x: x[:, :1])
    assert single["final/dense_mse"] == pytest.approx(double["final/dense_mse"], rel=1e-6)


@pytest.mark.parametrize(
    "outputs",
    [("a$b", "a?b"), (".", ".."), ("a" * 300 + "1", "a" * 300 + "2"), ("a/b", "a:b"), ("größe", "速度"), ("a?", "a_1")],
)
def test_outputs_of_any_name_have_metrics_that_mlflow_takes_each_its_own(
    outputs: tuple[str, ...], store: MlflowClient
) -> None:
    names = [f"final/dense_nmse/{name}" for name in metric_names(outputs)]
    run = store.create_run("0")
    store.log_batch(run.info.run_id, metrics=[Metric(name, 1.0, 0, 0) for name in names])
    assert sorted(store.get_run(run.info.run_id).data.metrics) == sorted({*names})
    assert len({*names}) == len(outputs)
