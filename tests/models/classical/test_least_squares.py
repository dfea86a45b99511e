"""Least squares by parts of the rows, with few independent columns, and their steps for what is not linear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.models.classical.least_squares import Part, gauss_newton, least_squares


def system(rows: int, unknowns: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(rows, unknowns + 2, generator=generator, dtype=torch.float64)
    return numbers[:, :unknowns], numbers[:, unknowns:]


@pytest.mark.parametrize("size", [200, 50, 7])
def test_rows_come_in_parts_of_any_size(size: int) -> None:
    matrix, right = system(200, 20)
    found = least_squares(map(Part, matrix.split(size), right.split(size)))
    expected, squares, *_ = np.linalg.lstsq(matrix.numpy(), right.numpy())
    np.testing.assert_allclose(found.unknowns.numpy(), expected, atol=1e-12)
    assert found.squares == pytest.approx(squares.sum())


def test_columns_of_any_size_that_repeat_each_other_have_small_coefficients() -> None:
    matrix, right = system(50, 5)
    twice = torch.cat([matrix, 1e-6 * matrix, torch.zeros(50, 1).double()], dim=1)
    found = least_squares([Part(twice, right)])
    expected = least_squares([Part(matrix, right)])
    torch.testing.assert_close(twice @ found.unknowns, matrix @ expected.unknowns, rtol=0, atol=1e-12)
    assert found.unknowns[5:-1].abs().max() <= 1e6 * expected.unknowns.abs().max()
    assert found.unknowns[-1].abs().max() == 0


def test_more_unknowns_than_rows_give_the_smallest_answer() -> None:
    matrix, right = system(10, 30)
    found = least_squares([Part(matrix / matrix.norm(dim=0), right)]).unknowns
    expected = np.linalg.pinv((matrix / matrix.norm(dim=0)).numpy()) @ right.numpy()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("linear", [True, False])
def test_steps_find_out_whether_a_system_is_linear(linear: bool) -> None:
    matrix, _ = system(30, 4)
    right = matrix @ torch.tensor([1.0, -2.0, 0.5, 3.0]).double()
    unknowns = torch.zeros(4, 1).double()

    def function(c: Tensor) -> Tensor:
        product = (matrix @ c)[:, 0]
        return product if linear else product + 0.05 * product**3

    def target() -> Tensor:
        return right if linear else right + 0.05 * right**3

    def jacobian() -> Iterator[Part]:
        slope = torch.ones(30).double() if linear else 1 + 0.15 * (matrix @ unknowns)[:, 0] ** 2
        yield Part(slope.unsqueeze(1) * matrix, (target() - function(unknowns)).unsqueeze(1))

    def write(values: Tensor) -> None:
        unknowns.copy_(values)

    solved, found = gauss_newton(lambda: function(unknowns) - target(), jacobian, unknowns.clone, write, linear=False)
    assert found == linear
    assert (solved == 1) == linear
    np.testing.assert_allclose(unknowns[:, 0].numpy(), [1.0, -2.0, 0.5, 3.0], atol=1e-8)


def test_columns_that_add_up_to_others_have_small_coefficients_under_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = [torch.randint(count, (2000,), generator=generator) for count in (5, 7)]
    one_hot = [torch.nn.functional.one_hot(each).double() for each in kinds]
    matrix = torch.cat([torch.ones(2000, 1).double(), *one_hot], dim=1)
    right = kinds[0].double().unsqueeze(1) + 0.3 * torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    assert least_squares([Part(matrix, right)]).unknowns.abs().max() < 10


@pytest.mark.parametrize("unknowns", [4, 60])
def test_a_number_that_is_not_finite_gives_nan_and_ends_the_steps(unknowns: int) -> None:
    matrix, right = system(50, unknowns)
    matrix[3, 1] = torch.inf
    found = least_squares([Part(matrix, right)])
    assert found.unknowns.shape == (unknowns, 2)
    assert found.unknowns.isnan().all()
    where = torch.ones(unknowns, 1).double()
    rows = [Part(matrix, right[:, :1])]
    solved = gauss_newton(lambda: right[:, 0], lambda: iter(rows), where.clone, lambda c: None, linear=False)
    assert solved == (1, False)
