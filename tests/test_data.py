"""The points of a run: drawn by its seed, each set from a stream of its own, and the same whatever the precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness import problems
from harness.data import Data, Sample, dense_points, sample
from harness.data import of as data_of
from harness.errors import BadInput
from harness.presets import resolve
from harness.problems import Problem
from harness.seeds import generator


def of(name: str = "poisson_2d_sin", seed: int = 0, n: int = 50, dtype: torch.dtype = torch.float64) -> Data:
    return sample(problems.get(name), seed, n, n, n, dtype)


def on(low: float, high: float, dimension: int = 1, **functions: Callable[[Tensor], Tensor]) -> Problem:
    given: dict[str, Any] = {"target": torch.sin} | functions
    return Problem(
        name="p", dimension=dimension, formula="", sections=("mine",), citation="", low=low, high=high, **given
    )


def test_the_same_seed_gives_the_same_points_and_another_seed_gives_others() -> None:
    assert of().digest == of().digest
    assert torch.equal(of().train.x, of().train.x)
    assert not torch.equal(of().train.x, of(seed=1).train.x)
    assert of().digest != of(seed=1).digest


def test_the_three_samples_share_no_point() -> None:
    data = of(n=400)
    rows = [{tuple(row) for row in part.x.tolist()} for part in (data.train, data.val, data.test)]
    assert [len(each) for each in rows] == [400, 400, 400]
    assert len(rows[0] | rows[1] | rows[2]) == 1200


def test_more_points_of_one_sample_leave_the_others_as_they_are() -> None:
    problem = problems.get("poisson_1d_sin")
    few, many = sample(problem, 4, 10, 20, 30), sample(problem, 4, 99, 20, 30)
    assert torch.equal(few.val.x, many.val.x)
    assert torch.equal(few.test.x, many.test.x)
    assert torch.equal(few.train.x, many.train.x[:10])


@pytest.mark.parametrize("name", ["poisson_1d_highfreq", "poisson_2d_spec", "piecewise"])
def test_float32_holds_the_same_points_rounded(name: str) -> None:
    single, double = of(name, dtype=torch.float32), of(name)
    assert torch.equal(single.train.x, double.train.x.float())
    # The target is computed before rounding: the high frequencies would amplify the rounding of x.
    assert torch.equal(single.train.y, double.train.y.float())
    assert single.dense.y.dtype == torch.float32


@given(st.integers(0, 2**31 - 1), st.sampled_from(["piecewise", "poisson_2d_poly"]))
def test_points_lie_on_the_domain_and_carry_the_target(seed: int, name: str) -> None:
    problem = problems.get(name)
    data = of(name, seed, 20)
    for part in (data.train, data.val, data.test):
        assert part.x.shape == (20, problem.dimension)
        low, high = (torch.tensor(ends, dtype=torch.float64) for ends in zip(*problem.bounds, strict=True))
        assert ((part.x >= low) & (part.x <= high)).all()
        assert torch.equal(part.y, problem.target(part.x))


def test_the_dense_grid_in_1d_is_10001_equispaced_points_on_the_domain() -> None:
    x = of("poisson_1d_sin").dense.x
    assert x.shape == (10_001, 1)
    assert (x[0].item(), x[-1].item()) == (-1.0, 1.0)
    torch.testing.assert_close(x.diff(dim=0), torch.full((10_000, 1), 2e-4, dtype=torch.float64), rtol=0, atol=1e-15)


def test_the_dense_grid_in_2d_is_101_by_101_with_the_second_coordinate_fastest() -> None:
    x = of("poisson_2d_sin").dense.x
    assert x.shape == (101 * 101, 2)
    axis = torch.arange(-50, 51, dtype=torch.float64) / 50
    grid = x.reshape(101, 101, 2)
    torch.testing.assert_close(grid[:, :, 0], axis[:, None].expand(101, 101), rtol=0, atol=1e-15)
    assert torch.equal(grid[:, :, 1], grid[:, :, 0].T)


@given(st.floats(1e-6, 1e6))
def test_the_dense_grid_around_0_is_its_own_mirror_image_to_the_last_bit(high: float) -> None:
    axis = dense_points(on(-high, high))[:, 0]
    of_grid = dense_points(on(-high, high, dimension=2))[:101, 1]
    for each in (axis, of_grid):
        assert torch.equal(each, -each.flip(0))
        assert each[len(each) // 2] == 0
        assert each[[0, -1]].tolist() == [-high, high]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_the_dense_grid_ends_at_the_ends_and_is_symmetric_as_far_as_floats_allow(low: float, width: float) -> None:
    high = low + width
    axis = dense_points(on(low, high))[:, 0]
    assert len(axis) == 10_001
    assert axis[[0, -1]].tolist() == [low, high]
    assert (axis.diff() > 0).all()
    ulp = math.ulp(max(abs(low), abs(high)))
    assert (axis + axis.flip(0) - (low + high)).abs().max() <= 2 * ulp
    assert (axis.diff() - width / 10_000).abs().max() <= 2 * ulp


def test_the_dense_grid_does_not_depend_on_the_seed() -> None:
    assert of(seed=1).dense.digest == of(seed=2).dense.digest


@pytest.mark.parametrize(
    ("target", "low", "complaint"),
    [
        (lambda x: 1 / x, -1.0, r"float64 at 1 of the 10001 points of set dense, first at x = 0, where it is inf"),
        (torch.log, -1.0, r"float64 at \d\d of the 40 points of set train, first at x = -0\.\d+, where it is nan"),
        (lambda x: torch.where(x == 1, math.nan, x), -1.0, r"at 1 of the 10001 points of set dense, first at x = 1, "),
        (lambda x: 1e200 * x, -1.0, "up to 9.*e\\+199 on set train, and the square of that does not fit float64"),
        (lambda x: 1e-200 * x, -1.0, "up to 9.*e-201 on set train, and the square of that does not fit float64"),
        (lambda x: x[:, 0], -1.0, r"has a target that gives numbers of shape \(40,\) at the 40 points of set train"),
        (lambda x: torch.floor(x), -1.0, "has no gradient"),
    ],
)
def test_what_can_not_be_learned_is_refused_as_the_datas_fault(
    target: Callable[[Tensor], Tensor], low: float, complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint) as refused:
        sample(
            on(low, 1.0, target=target if "no gradient" not in complaint else lambda x: target(x).detach()),
            0,
            40,
            20,
            20,
        )
    assert str(refused.value).startswith("problem 'p' has ")


def test_what_only_float64_can_hold_is_refused_in_float32() -> None:
    large = on(-1.0, 1.0, target=lambda x: 1e39 * x)
    assert sample(large, 0, 40, 20, 20).train.y.isfinite().all()
    with pytest.raises(BadInput, match="not a finite number in float32 at"):
        sample(large, 0, 40, 20, 20, torch.float32)


def test_a_gradient_that_is_not_the_targets_is_refused() -> None:
    with pytest.raises(BadInput, match="a gradient that is not its target's"):
        sample(on(-1.0, 1.0, gradient=torch.sin), 0, 40, 20, 20)


def test_the_digest_sees_inputs_and_targets() -> None:
    x, y = torch.rand(4, 1, dtype=torch.float64), torch.rand(4, 1, dtype=torch.float64)
    digests = {Sample(x, y).digest, Sample(x + 1e-15, y).digest, Sample(x, y + 1e-15).digest, Sample(y, x).digest}
    assert len(digests) == 4


def test_axes_of_randomness_are_independent_streams_and_the_global_one_is_not_touched() -> None:
    before = torch.get_rng_state()
    draws = {
        axis: torch.rand(4, generator=generator(0, axis)).tolist()
        for axis in ("data/train", "data/val", "initialisation")
    }
    assert len({tuple(values) for values in draws.values()}) == 3
    assert torch.rand(4, generator=generator(0, "data/val")).tolist() == draws["data/val"]
    assert torch.equal(torch.get_rng_state(), before)


def rows_of(sample: Sample) -> set[tuple[float, ...]]:
    return set(map(tuple, sample.x.tolist()))


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_equal_inputs_are_all_in_one_part_so_that_no_answer_leaks(tmp_path: Path, seed: int) -> None:
    lines = [f"{i % 20},{i % 4},{i}" for i in range(60)]  # each input three times
    (tmp_path / "repeated.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    data = data_of(resolve({"data": tmp_path / "repeated.csv", "outputs": "y", "seed": seed}))
    train, val, test = (rows_of(sample) for sample in (data.train, data.val, data.test))
    assert not train & val
    assert not train & test
    assert not val & test
    assert len(data.train.x) + len(data.val.x) + len(data.test.x) == 60
    assert data.dense is data.test


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_a_group_are_all_in_one_part_so_that_no_patient_leaks(tmp_path: Path, seed: int) -> None:
    lines = [f"{i % 12},{i},{i * i}" for i in range(60)]
    (tmp_path / "grouped.csv").write_text("\n".join(["patient,a,y", *lines]) + "\n")
    path = tmp_path / "grouped.csv"
    data = data_of(resolve({"data": path, "outputs": "y", "group_column": "patient", "seed": seed}))
    patients = [{row[0] % 12 for row in rows_of(sample)} for sample in (data.train, data.val, data.test)]
    assert sum(map(len, patients)) == 12
    assert sorted(set().union(*patients)) == list(range(12))
