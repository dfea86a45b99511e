"""The configuration of a run: one validated record whose every field says what it means.

A model family has its own class here, :class:`RunConfig` plus the fields that only it has, so that a field that does
not belong to the chosen model is an unknown field. Values come from a preset, then from the user
(:mod:`harness.presets`). Field names are the ones that the command line, the params of a run (``cfg/<field>``) and the
documentation use.
"""

from __future__ import annotations

import itertools
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
from harness.fields import DOCUMENT, Integers, Names, OrNone, field, split
from harness.methods import MethodConfig

Grids = Annotated[Integers, Field(min_length=1)]
Degrees = Annotated[tuple[Annotated[int, Field(ge=2)], ...], BeforeValidator(split), Field(min_length=1)]
Intervals = Annotated[tuple[Annotated[int, Field(ge=3)], ...], BeforeValidator(split), Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


def _three(value: object) -> object:
    shares = split(value)
    if isinstance(shares, list | tuple) and len(shares) != 3:
        raise ValueError("give three shares, of training, validation and test, such as 0.7,0.15,0.15")
    return shares


Shares = Annotated[tuple[Share, Share, Share], BeforeValidator(_three)]


class RunConfig(BaseModel):
    """What every run has, whatever its model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    not_identity: ClassVar[frozenset[str]] = frozenset({"device", "timeout", "plugins", "data"})
    """Fields that decide where and how long a run computes, not what: they are left out of its fingerprint."""
    of_file: ClassVar[tuple[str, ...]] = ("inputs", "outputs", "split", "split_column", "group_column", "missing")
    """Fields that say how the file ``data`` is read."""
    of_equation: ClassVar[tuple[str, ...]] = ("n_boundary", "boundary_weight")
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


def _linear(inputs: int, width: int, depth: int, outputs: int) -> int:
    """Weights and biases of ``depth`` hidden layers and the outputs."""
    return (inputs + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * outputs


class MLPConfig(RunConfig):
    """Fully connected network (:mod:`harness.models.mlp`)."""

    width: int = field(32, "Units of a hidden layer.", unit="units", ge=1, le=100_000)
    depth: int = field(3, "Hidden layers.", unit="layers", ge=1, le=100)
    activation: Literal["tanh", "relu", "silu"] = field("tanh", "Activation function.", source="original benchmark")
    initialisation: Literal["auto", "he", "xavier"] = field(
        "auto",
        "Normal weights after He et al. or Glorot and Bengio, zero biases; `auto`: he for relu, silu; xavier for tanh.",
        source="original benchmark; He et al. 2015, eq. 10; Glorot and Bengio 2010, eq. 12",
    )

    def smoothness(self) -> float:
        """Pieces of relu are straight."""
        return 1 if self.activation == "relu" else math.inf

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases."""
        return _linear(dimension, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers."""
        return self.width * self.depth


class FourierMLPConfig(MLPConfig):
    """Fully connected network on random Fourier features (:mod:`harness.models.fourier`)."""

    features: int = field(
        16, "Random frequencies; each gives a cosine and a sine.", unit="frequencies", ge=1, le=100_000
    )
    sigma: float = field(
        1.0,
        "Standard deviation of the frequencies.",
        unit="cycles a unit of the input, scaled to [-1, 1]",
        source="Tancik et al. 2020, section 6",
        gt=0,
    )

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases; the frequencies are not trained."""
        return _linear(2 * self.features, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The features and the units of the hidden layers."""
        return 2 * self.features + super().kept(dimension)


class SirenConfig(RunConfig):
    """Network with sine activations (:mod:`harness.models.siren`)."""

    optimizer: str = field("adam", "Optimizer.", source=DOCUMENT)
    width: int = field(64, "Units of a hidden layer.", unit="units", ge=1, le=100_000)
    depth: int = field(3, "Hidden (sine) layers.", unit="layers", ge=1, le=100)
    omega0: float = field(
        30.0, "Frequency factor omega_0 of every sine layer.", source="Sitzmann et al. 2020, section 3.2", gt=0
    )

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Weights and biases."""
        return _linear(dimension, self.width, self.depth, outputs)

    def kept(self, dimension: int) -> int:
        """The units of the hidden layers."""
        return self.width * self.depth


def _refuse_coarser(name: str, grids: tuple[int, ...], after: int = 0) -> None:
    if any(finer <= coarser for coarser, finer in itertools.pairwise((after, *grids))):
        last = f" and than the last of grids, {after}" if after else ""
        raise ValueError(
            f"{name} = '{','.join(map(str, grids))}' is not increasing; "
            f"each grid must be finer than the one before{last}, as in 3,5,10"
        )


class KANConfig(RunConfig):
    """Kolmogorov-Arnold network of B-splines (:mod:`harness.models.kan`)."""

    width: int = field(5, "Nodes of a hidden layer.", unit="nodes", source="original benchmark", ge=1, le=10_000)
    depth: int = field(1, "Hidden layers.", unit="layers", source="original benchmark", ge=1, le=100)
    k: int = field(3, "Degree of the splines.", source="Liu et al. 2024, section 2.2", ge=1, le=10)
    grids: Grids = field(
        (5, 10, 20),
        "Grid intervals, stage by stage, each finer than the one before.",
        unit="intervals",
        source="Liu et al. 2024, section 2.4",
    )
    steps_per_grid: Annotated[int | None, OrNone] = field(
        None,
        "Epochs of a grid stage, as far as the budget reaches. None: equal shares of the budget.",
        unit="epochs",
        ge=1,
    )
    grid_update_every: int = field(
        5,
        "Epochs between two adaptations of the grid to the activations; 0 for none.",
        unit="epochs",
        source="pykan 0.2.8, MultKAN.fit",
        ge=0,
    )
    grid_update_until: int = field(
        50,
        "Epoch of the first stage after which its grid stays as it is.",
        unit="epochs",
        source="pykan 0.2.8, MultKAN.fit",
        ge=0,
    )
    noise: float = field(0.3, "Scale of the random splines at initialisation.", source="pykan 0.2.8, MultKAN", ge=0)

    def stages(self) -> tuple[int, ...]:
        """The grid intervals of all stages."""
        return self.grids

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Of each edge the coefficients of its spline and two scales, on the finest grid."""
        return self._edges(dimension, outputs) * (self.stages()[-1] + self.k + 2)

    def least_parameters(self, dimension: int, outputs: int = 1) -> int:
        """Those on its first grid."""
        return self._edges(dimension, outputs) * (self.grids[0] + self.k + 2)

    def _edges(self, dimension: int, outputs: int) -> int:
        return (dimension + outputs) * self.width + (self.depth - 1) * self.width**2

    def smoothness(self) -> float:
        """Splines of degree k have k - 1 derivatives without jumps, and one more with jumps."""
        return self.k

    def kept(self, dimension: int) -> int:
        """The features of the inputs, and the polynomials on which the edges of the largest other layer lie."""
        edges = self.width * (self.width if self.depth > 1 else 1)
        return dimension * (self.stages()[-1] + self.k + 1) + (self.k + 1) * edges

    @model_validator(mode="after")
    def _grids_increase(self) -> KANConfig:
        _refuse_coarser("grids", self.grids)
        return self


class PrunedKANConfig(KANConfig):
    """KAN that is sparsified, pruned and retrained (:mod:`harness.training.plans`)."""

    identity_if_changed: ClassVar[frozenset[str]] = RunConfig.identity_if_changed | {"symbolic"}
    """A formula is a result, so a run without one does not do for a user who asks for it. All else is the same in both."""

    prune_mode: Literal["threshold", "greedy"] = field(
        "threshold",
        "What is cut: `threshold`, everything below `node_th` and `edge_th` at once; `greedy`, one node or edge after the "
        "other, as long as the validation error allows it.",
    )
    lamb: float = field(
        1e-2,
        "Weight lambda of the sparsity penalty while sparsifying.",
        source=f"{DOCUMENT}; Liu et al. 2024, eq. 2.20",
        ge=0,
    )
    lamb_entropy: float = field(
        2.0,
        "Weight of the entropy against the L1 part of the penalty.",
        source="pykan 0.2.8, MultKAN.fit (the paper: 1)",
        ge=0,
    )
    node_th: float = field(
        1e-2, "threshold: nodes whose attribution score is at most this are cut.", source=DOCUMENT, ge=0
    )
    edge_th: float = field(
        3e-2, "threshold: edges whose attribution score is at most this are cut.", source=DOCUMENT, ge=0
    )
    tolerance: float = field(
        2.0,
        "greedy: a cut is kept if, after a brief retraining, the validation MSE is at most this many times that before "
        "the first cut.",
        source="criterion K2",
        ge=1,
    )
    reduction: float = field(
        0.2,
        "greedy: part of the active parameters; once so many are gone, nothing more is cut.",
        source="criterion K4",
        gt=0,
        lt=1,
    )
    retrain_grids: Integers = field(
        (),
        "Grid intervals of further stages while retraining, each finer than the one before: the grid extension of the paper.",
        unit="intervals",
        source="Liu et al. 2024, section 2.5.1",
    )
    retrain_briefly: int = field(10, "greedy: epochs after each cut, before it is judged.", unit="epochs", ge=1)
    sparsify_fraction: float = field(
        0.5, "Part of the epochs before the cut.", source=f"{DOCUMENT}: 200 before, 200 after", gt=0, lt=1
    )
    symbolic: bool = field(
        False,
        "Whether to look for a formula at the end: a known function for each edge that is left, with numbers of its own. "
        "Up to a second an edge, off the clock of the training, which stays as it is.",
        source="Liu et al. 2024, section 2.5.1",
    )

    @model_validator(mode="after")
    def _room_for_three_stages(self) -> PrunedKANConfig:
        _refuse_coarser("retrain_grids", self.retrain_grids, self.grids[-1])
        least = 3 if self.prune_mode == "threshold" else 4
        if self.epochs < least:
            raise ValueError(
                f"epochs = {self.epochs} is too few for kan_pruned with prune_mode={self.prune_mode}; "
                f"sparsify, prune and retrain need at least {least}"
            )
        return self

    def stages(self) -> tuple[int, ...]:
        """The grid intervals of all stages, those while retraining included."""
        return (*self.grids, *self.retrain_grids)

    def twin(self) -> KANConfig:
        """The same KAN, neither sparsified nor cut, with the same total epochs and the same seed (criterion K2)."""
        own = set(PrunedKANConfig.model_fields) - set(KANConfig.model_fields)
        shared = {name: value for name, value in self.values().items() if name not in own}
        return KANConfig(**{**shared, "model": "kan", "grids": self.stages()})


class SolverConfig(RunConfig):
    """A family that solves an equation on one grid after the other, and trains nothing (:mod:`harness.models.classical`)."""

    without: ClassVar[frozenset[str]] = frozenset({"optimizer", "dtype", "standardise"})
    ladder: ClassVar[str]
    """The field that names the grids."""
    rungs: ClassVar[tuple[int, ...]]
    """The intervals of an axis where that field names none: as many as have at most ``most`` unknowns."""
    most: ClassVar[int]

    epochs: int = field(
        9,
        "Grids that are solved at most, the coarsest first; more than there are grids count as all. An epoch is one grid; an "
        "equation that is not linear goes on from the grid before.",
        unit="epochs",
        ge=1,
        le=1_000_000,
    )

    @property
    def named(self) -> tuple[int, ...] | None:
        """The grids that the user named."""
        found: tuple[int, ...] | None = getattr(self, self.ladder)
        return found

    def stages(self, dimension: int) -> tuple[int, ...]:
        """The intervals of an axis, grid by grid, within the budget."""
        own = [n for n in self.rungs if (n + 1) ** dimension <= self.most] or self.rungs[:1]
        return (self.named or tuple(own))[: self.epochs]

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """The unknowns of the finest grid."""
        return int((self.stages(dimension)[-1] + 1) ** dimension)

    def least_parameters(self, dimension: int, outputs: int = 1) -> int:
        """Those of the coarsest."""
        return int((self.stages(dimension)[0] + 1) ** dimension)

    @model_validator(mode="wrap")
    @classmethod
    def _no_more_epochs_than_grids(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        config = handler(values)
        most = len(config.named or config.rungs)
        return handler({**values, "epochs": most}) if config.epochs > most else config

    @model_validator(mode="after")
    def _grids_increase(self) -> SolverConfig:
        _refuse_coarser(self.ladder, self.named or ())
        return self


def _patience(default: int | None) -> Any:
    return field(
        default,
        "Once the residual at held-out points is small, and so many finer grids have not lowered it, no finer one is solved, and "
        "the grid with the least residual is taken. None: all grids, and the last one.",
        unit="epochs",
        ge=1,
    )


class SpectralConfig(SolverConfig):
    """Chebyshev collocation (:mod:`harness.models.classical.spectral`)."""

    ladder: ClassVar[str] = "degrees"
    rungs: ClassVar[tuple[int, ...]] = (4, 6, 8, 12, 16, 24, 32, 48, 64)
    most: ClassVar[int] = 500_000

    patience: Annotated[int | None, OrNone] = _patience(1)
    degrees: Annotated[Degrees | None, OrNone] = field(
        None,
        "Degrees of the polynomials along each axis, one after the other. None: 4,6,8,12,16,24,32,48,64 as far as they have "
        "500,000 unknowns at most and fit into memory.",
        source="Trefethen 2000, chapter 7: 24",
    )


class FiniteDifferenceConfig(SolverConfig):
    """Differences of second order (:mod:`harness.models.classical.finite_difference`)."""

    ladder: ClassVar[str] = "grids"
    rungs: ClassVar[tuple[int, ...]] = (4, 8, 12, 25, 50, 100, 250, 500, 1000)
    most: ClassVar[int] = 20_000

    # All grids, since the finest is what others are held against (P5), and before it rounding ends only what is exact.
    patience: Annotated[int | None, OrNone] = _patience(None)
    grids: Annotated[Intervals | None, OrNone] = field(
        None,
        "Intervals of an axis, one grid after the other. None: 4,8,12,25,50,100,250,500,1000 as far as they have 20,000 unknowns "
        "at most and fit into memory, which is 101 x 101 nodes in 2D.",
        unit="intervals",
        source="criterion P5",
    )
