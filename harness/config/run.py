"""What every run has, whatever its model: the record that the configurations of the families extend."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_serializer,
    model_validator,
)

from harness import methods
from harness.errors import BadInput, quoted
from harness.fields import DOCUMENT, Names, OrNone, field, split
from harness.methods import MethodConfig

Share = Annotated[float, Field(gt=0, lt=1)]


def _three(value: object) -> object:
    shares = split(value)
    if isinstance(shares, list | tuple) and len(shares) != 3:
        raise ValueError("give three shares, of training, validation and test, such as 0.7,0.15,0.15")
    return shares


Shares = Annotated[tuple[Share, Share, Share], BeforeValidator(_three)]


# Deferred, since of some forty classes below this one a run checks values by one or two.
class RunConfig(BaseModel, defer_build=True):
    """What every run has, whatever its model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    not_identity: ClassVar[frozenset[str]] = frozenset({"device", "timeout", "plugins", "data"})
    """Fields that decide where and how long a run computes, not what: they are left out of its fingerprint."""
    of_file: ClassVar[tuple[str, ...]] = ("inputs", "outputs", "split", "split_column", "group_column", "missing")
    """Fields that say how the file ``data`` is read."""
    of_equation: ClassVar[tuple[str, ...]] = ("n_boundary", "boundary_weight", "resample")
    """Fields that only a problem with an equation has a use for."""
    without: ClassVar[frozenset[str]] = frozenset()
    """Fields of every run that runs of this class have not: presets pass over them, and a user's value is refused."""
    identity_if_changed: ClassVar[frozenset[str]] = frozenset(
        {"threads", "target_noise", "patience", *of_file, *of_equation}
    )
    """Fields that are left out of it at their default: runs have the fingerprint that they had before these counted.

    Several threads sum in another order, which L-BFGS turns into another result.
    """

    model: str = field("siren", "Model family, see `harness list`.")
    problem: str = field("poisson_2d_sin", "Problem to learn, see `harness list`.")
    preset: str = field("tuned", "Named set of values for the other fields, see `harness list`.")
    seed: int = field(0, "Seed of all randomness: points, initialisation, random features.", ge=0, lt=2**31)
    epochs: int = field(
        200,
        "Total budget; empty: the preset's own. An epoch is one Adam step, one L-BFGS step of up to `iterations` "
        "iterations, or one Levenberg-Marquardt step.",
        unit="epochs",
        source=DOCUMENT,
        ge=1,
        le=1_000_000,
    )
    device: str = field("auto", "Where to compute: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is some.")
    dtype: Literal["float64", "float32"] = field(
        "float64", "Precision of parameters and points.", source="L-BFGS stalls in float32"
    )
    threads: int = field(
        1,
        "Threads of a run. One gives bit-reproducible results, and networks this small gain nothing from more.",
        ge=1,
        le=1024,
    )
    timeout: Annotated[float | None, OrNone] = field(
        None,
        "Deadline for the training; at the first epoch beyond it the run ends as `timeout`. None: no deadline.",
        unit="s",
        gt=0,
    )
    plugins: Names = field(
        (), "Modules or .py files to import first, comma-separated; they register problems and models."
    )
    n_train: int = field(1000, "Training points.", unit="points", source="original benchmark", ge=2, le=10_000_000)
    n_val: int = field(500, "Validation points, for every choice that is made.", unit="points", ge=2, le=10_000_000)
    n_test: int = field(
        1000, "Test points, for reporting only.", unit="points", source="original benchmark", ge=2, le=10_000_000
    )
    n_boundary: int = field(
        200,
        "equation: points on the sides of the domain, where the conditions hold; in one dimension its two ends.",
        unit="points",
        ge=2,
        le=10_000_000,
    )
    boundary_weight: float = field(
        10.0,
        "equation: factor of the residuals on the sides. 10 is the weight 0.01 of the equation beside the sides in the paper.",
        source="Liu et al. 2024, section 3.4",
        gt=0,
        le=1e6,
    )
    resample: int = field(
        0,
        "equation: epochs between two draws of the points inside, each from 10 n_train uniform ones with a density of 1 plus the "
        "residual over its mean; held-out points stay. 0: the first ones to the end.",
        unit="epochs",
        source="Wu et al. 2023, RAD",
        ge=0,
        le=1_000_000,
    )
    target_noise: float = field(
        0.0,
        "Normal noise on the targets of training and validation, each output by itself; errors are against the clean target.",
        unit="standard deviations of the target",
        ge=0,
        le=1e6,
    )
    patience: Annotated[int | None, OrNone] = field(
        None,
        "A stage ends once so many epochs have not lowered its validation error, and the epoch with the least is taken. "
        "None: the whole budget, and the last epoch.",
        unit="epochs",
        ge=1,
    )
    data: str = field(
        "", "A file whose rows are learned in the place of a problem: CSV, TSV, Parquet, NPZ, Arrow, an image."
    )
    inputs: Names = field((), "data: columns to learn from; all other numeric ones unless given.")
    outputs: Names = field((), "data: columns to be learned.")
    split: Shares = field(
        (0.7, 0.15, 0.15),
        "data: shares of the rows, drawn by the seed, for training, validation and test.",
        unit="shares",
    )
    split_column: str = field("", "data: a column that says of each row train, val or test, in the place of `split`.")
    group_column: str = field("", "data: a column whose equal values stay together in one part.")
    missing: Literal["refuse", "drop"] = field(
        "refuse", "data: what to do with rows that lack a value: `refuse` the file, or `drop` and count them."
    )
    standardise: bool = field(
        True,
        "Let the network learn (y - mean) / std of the training targets; an affine output keeps the model in raw units.",
    )
    optimizer: str = field("lbfgs", "Optimizer, see `harness list`; its own fields stand beside those of the run.")
    _method: MethodConfig = PrivateAttr()

    @property
    def method(self) -> MethodConfig:
        """The fields of the optimizer."""
        return self._method

    @field_validator("split")
    @classmethod
    def _whole(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(split) - 1) > 1e-9:
            raise ValueError(f"its shares add up to {sum(split):.6g}, not to 1")
        return split

    @model_validator(mode="after")
    def _of_file(self) -> RunConfig:
        if not self.data:
            for name in self.of_file:
                if (value := getattr(self, name)) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} = {quoted(value)} is about a file; name it by data")
        return self

    @field_validator("device")
    @classmethod
    def _device_name(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,2})?", device):
            raise ValueError("it should be one of auto, cpu, cuda, cuda:N")
        return device

    @model_validator(mode="wrap")
    @classmethod
    def _with_method(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        """Fields of the optimizer become :attr:`method`; those of another optimizer are refused, unless they are None."""
        if not isinstance(values, dict):
            return handler(values)
        if "optimizer" in cls.without:
            config = handler(values)
            config._method = MethodConfig()
            return config
        optimizer = str(values.get("optimizer", cls.model_fields["optimizer"].default))
        known = methods.METHODS.get(optimizer).config.model_fields
        if shared := [name for name in known if name in cls.model_fields]:
            raise BadInput(
                f"optimizer = {quoted(optimizer)} can't be used with {cls.__name__}: both have a field {shared[0]!r}."
            )
        rest = {name: value for name, value in values.items() if name not in known}
        others = {name: rest.pop(name) for name in [*rest] if name not in cls.model_fields and methods.owners(name)}
        methods.refuse_fields_of_others(optimizer, others.items())
        method = methods.configure(optimizer, {name: values[name] for name in values if name in known})
        config = handler(rest)
        config._method = method
        return config

    @model_serializer(mode="wrap")
    def _flat(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """All fields in order, those of the optimizer after its name."""
        found: dict[str, Any] = {}
        for name, value in handler(self).items():
            if name in self.without:
                continue
            found[name] = value
            if name == "optimizer":
                found |= self._method.model_dump(mode="json")
        return found

    def values(self) -> dict[str, Any]:
        """The fields that are in force, in order of declaration, as in JSON."""
        return self.model_dump(mode="json")

    def shown(self) -> dict[str, Any]:
        """:meth:`values` for others to read: of the file its name alone, since a path says where somebody keeps it."""
        return {**self.values(), "data": PurePath(self.data).name}

    @property
    def takes_best(self) -> bool:
        """Whether the epoch with the least validation error is taken, and not the last one."""
        return self.patience is not None

    def twin(self) -> RunConfig | None:
        """The run that this one's result is held against, where the family has such a thing."""
        return None

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Trainable numbers of the network where it has most of them, without building it; 0 where its family says nothing."""
        return 0

    def least_parameters(self, dimension: int, outputs: int = 1) -> int:
        """Trainable numbers that a state of such a network has at least, as :meth:`parameters` knows them."""
        # A configuration of a plug-in for one output may know no second argument.
        return self.parameters(dimension) if outputs == 1 else self.parameters(dimension, outputs)

    def smoothness(self) -> float:
        """The highest derivative of the network that tells something of it: 1 for straight pieces, infinite for analytic ones."""
        return math.inf

    def kept(self, dimension: int) -> int:
        """Numbers that an evaluation with its gradient holds for each training point at one moment, at least."""
        return 0

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result of the run."""
        later = {
            **dict.fromkeys(self.identity_if_changed, self),
            **dict.fromkeys(self.method.identity_if_changed, self.method),
        }
        unchanged = {name for name, of in later.items() if getattr(of, name) == type(of).model_fields[name].default}
        return {name: value for name, value in self.values().items() if name not in self.not_identity | unchanged}


def fields_of(config: type[RunConfig]) -> dict[str, Any]:
    """Every field that runs of this class can have, those of all optimizers included."""
    of_method = {} if "optimizer" in config.without else methods.fields()
    return {name: info for name, info in {**of_method, **config.model_fields}.items() if name not in config.without}


def had_by(config: type[RunConfig], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values but for fields of every run, or of an optimizer, that runs of this class are without."""
    if not config.without:
        return {**values}
    missed = (config.without | methods.fields().keys()) - fields_of(config).keys()
    return {name: value for name, value in values.items() if name not in missed}
