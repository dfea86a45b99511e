"""A call that does not hold to its annotations is refused in the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import jaxtyping
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from torch import Tensor

from harness.evaluation import interval_of_mean
from tests.typechecking import checked

if TYPE_CHECKING:
    from harness.problems.problem import Problem


@checked
def product(matrix: Float[Tensor, "n m"], vector: Float[Tensor, " m"], scale: float = 1.0) -> Float[Tensor, " n"]:
    return scale * (matrix @ vector) if scale else vector


@checked
def size_of(shape: Shape) -> int:
    return shape.size


@checked
def itself(problem: Problem) -> Problem:
    return problem


@checked
@dataclass
class Shape:
    size: int

    @property
    @checked
    def name(self) -> str:
        return cast(str, self.size)

    @classmethod
    @checked
    def square(cls, size: int) -> Shape:
        return cls(size * size)


MATRIX, VECTOR = torch.ones(2, 3), torch.ones(3)


def test_what_holds_to_its_annotations_is_as_without() -> None:
    assert torch.equal(product(MATRIX, VECTOR, scale=2), torch.tensor([6.0, 6.0]))  # an int is a float
    assert product.__name__ == "product"
    assert size_of(Shape.square(3)) == 9  # a class that comes later in the module
    assert cast(str, itself(cast("Problem", "anything"))) == "anything"  # a type that only mypy imports


def test_functions_of_the_packages_are_checked() -> None:
    with pytest.raises(BeartypeCallHintViolation, match="values"):
        interval_of_mean(torch.ones(2, 2))


def test_an_axis_of_one_name_has_one_size_in_a_call() -> None:
    with pytest.raises(BeartypeCallHintViolation, match="vector"):
        product(MATRIX, torch.ones(2))
    with pytest.raises(BeartypeCallHintViolation, match="return"):
        product(MATRIX, VECTOR, scale=0)


def test_arguments_results_classes_and_what_they_have_are_checked() -> None:
    with pytest.raises(BeartypeCallHintViolation, match="scale"):
        product(MATRIX, VECTOR, scale=cast(float, "2"))
    with pytest.raises(BeartypeCallHintViolation, match="size"):
        Shape(cast(int, "3"))
    with pytest.raises(BeartypeCallHintViolation, match="size"):
        Shape.square(cast(int, 3.5))
    with pytest.raises(BeartypeCallHintViolation, match="return"):
        assert Shape(3).name


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert len(product(MATRIX, VECTOR, scale=0)) == 3
