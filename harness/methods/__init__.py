"""The optimizers: what each is called, which fields it has, and where its step is. One file each.

A method lowers an :class:`Objective`. It sees no network, no problem and no data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import BadInput, quoted, refusal
from harness.fields import none
from harness.registry import Registry, check_name

if TYPE_CHECKING:
    from torch import Tensor, nn


class MethodConfig(BaseModel):
    """The fields of a method. On the command line they stand beside those of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    identity_if_changed: ClassVar[frozenset[str]] = frozenset()
    """Fields that came later: left out of a run's fingerprint at their default."""

    def rate(self, epoch: int, epochs: int) -> float | None:
        """The learning rate of a 1-based epoch out of ``epochs``, for the record; None for a method without one."""
        return None

    def vectors(self, epochs: int) -> int:
        """Vectors of the size of the parameters that a training holds, at least: the parameters and their gradient."""
        return 2

    def check_size(self, parameters: int, rows: int, itemsize: int) -> None:
        """Raise BadInput for an objective that is too large for the method. ``itemsize`` is in bytes a number."""


@runtime_checkable
class Objective(Protocol):
    """``F = sum_b w_b mean(r_b^2) + R``: rows of residuals in weighted blocks, and the penalty of the stage.

    All rows together are scaled so that ``F = |r|^2 / rows + R``.
    """

    parameters: list[nn.Parameter]
    extra: dict[str, float]
    """What a method measures in a step besides, by metric name; it goes into the event of the epoch."""
    draws: int
    """How often the rows have got new points: F is another function since, and what a method knows of its values is void. Pairs
    of L-BFGS are of differences, each within one draw, and stay: to begin anew at each draw costs `solve_2d_sin` a decade.
    """

    @property
    def rows(self) -> int:
        """The number of residuals."""

    def evaluate(self) -> Tensor:
        """F, with its gradient in each ``.grad``; one evaluation. A number that is not finite ends the training."""

    def attempt(self) -> tuple[Tensor, float]:
        """Residuals ``(rows,)`` and F, without a gradient; one evaluation. Both may be anything but finite.

        This is for points that a method tries before it decides.
        """

    def penalty_gradient(self) -> Tensor | None:
        """The gradient ``(parameters,)`` of R, which is one evaluation; None where there is no penalty."""

    def batches(self, size: int) -> Iterator[Objective]:
        """All rows, in random parts of about ``size`` rows, each an objective of all blocks; one evaluation in all.

        A stage with a penalty has one part, since its penalty is that of all points.
        """

    def jacobian(self, start: int, stop: int) -> Tensor:
        """The derivative ``(stop - start, parameters)`` of these rows in the parameters; of all rows one evaluation."""

    def pull_back(self, w: Tensor) -> Tensor:
        """``J^T w`` of shape ``(parameters,)``, without making J."""


Rate = Callable[[], float | None]
"""The learning rate of the current epoch, from :meth:`MethodConfig.rate`."""
Step = Callable[[], float]
"""Takes the step of an epoch, and returns the norm of the gradient that it started from."""


@dataclass(frozen=True)
class Method:
    """An optimizer. ``make(objective, config, rate)`` gives its :data:`Step` for a stage, from a fresh start."""

    name: str
    config: type[MethodConfig]
    make: Callable[[Objective, Any, Rate], Step]
    summary: str
    reads_jacobian: bool = False
    """Whether its step asks for :meth:`Objective.jacobian`: what that takes is loaded before the clock runs."""

    def __post_init__(self) -> None:
        check_name("optimizer", self.name)


METHODS: Registry[Method] = Registry("optimizer", "harness.methods", Method)


def register(method: Method) -> Method:
    """Make an optimizer known under its name. Raises BadInput when the name is taken."""
    return METHODS.register(method.name, method)


def owners(field: str) -> list[str]:
    """The methods that have a field of that name."""
    return [name for name, method in METHODS.usable().items() if field in method.config.model_fields]


def fields() -> dict[str, Any]:
    """Every field that some method has, with the declaration of the first that has it."""
    found: dict[str, Any] = {}
    for method in METHODS.usable().values():
        found = {**method.config.model_fields, **found}
    return found


def configure(optimizer: str, given: Mapping[str, Any]) -> MethodConfig:
    """The configuration of a method. Raises BadInput for a value that can't be used, and for ``none`` where it needs one."""
    config = METHODS.get(optimizer).config
    for name, value in given.items():
        if none(value) is None and config.model_fields[name].default is not None:
            raise BadInput(f"{name} = {value!r} can't be used: optimizer={optimizer} needs a number.")
    try:
        return config.model_validate(given)
    except ValidationError as error:
        raise refusal(error) from error


def refuse_fields_of_others(optimizer: str, names: Iterable[tuple[str, Any]]) -> None:
    """Raise BadInput for the first of these fields and values, all of other methods, that has a value."""
    for name, value in names:
        if value is not None:
            which = " and ".join(f"optimizer={owner}" for owner in owners(name))
            raise BadInput(f"{name} = {quoted(value)} belongs to {which}, not to optimizer={optimizer}.")


# At the end, since they register themselves here.
from harness.methods import adam, lbfgs, levenberg_marquardt  # noqa: E402, F401
