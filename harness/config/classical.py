"""Methods that solve for their unknowns and train nothing: those for equations, and those that fit."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from harness.config.grids import Degrees, Grids, Intervals, refuse_coarser
from harness.config.run import RunConfig
from harness.fields import OrNone, field, split


class LadderConfig(RunConfig):
    """A family that solves for its unknowns on one size after the other, and trains nothing (:mod:`harness.models.classical`)."""

    ladder: ClassVar[str]
    """The field that names the sizes."""
    rungs: ClassVar[tuple[int, ...]]
    """The sizes where that field names none, as far as they fit."""

    @property
    def named(self) -> tuple[int, ...] | None:
        """The sizes that the user named."""
        found: tuple[int, ...] | None = getattr(self, self.ladder)
        return found

    @property
    def tries(self) -> int:
        """Epochs that there can be at most."""
        return len(self.named or self.rungs)

    @model_validator(mode="wrap")
    @classmethod
    def _no_more_epochs_than_tries(cls, values: Any, handler: Callable[[Any], Any]) -> Any:
        config = handler(values)
        return handler({**values, "epochs": config.tries}) if config.epochs > config.tries else config

    @model_validator(mode="after")
    def _sizes_increase(self) -> LadderConfig:
        refuse_coarser(self.ladder, self.named or ())
        return self


class SolverConfig(LadderConfig):
    """One that solves an equation on one grid after the other."""

    without: ClassVar[frozenset[str]] = frozenset({"optimizer", "dtype", "standardise", "resample"})
    most: ClassVar[int]
    """Unknowns of the finest grid, where the user names none."""

    epochs: int = field(
        9,
        "Grids that are solved at most, the coarsest first; more than there are grids count as all. An epoch is one grid; an "
        "equation that is not linear goes on from the grid before.",
        unit="epochs",
        ge=1,
        le=1_000_000,
    )

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


class Size(NamedTuple):
    """One of the sizes that a fit tries."""

    name: str
    """That of its stage."""
    unknowns: int
    """Coefficients of each output; of a method with a function around each point so many points."""
    setting: tuple[Any, ...]
    """What the family needs besides, or what the number of unknowns comes from."""


def _patience_of_sizes(default: int | None) -> Any:
    return field(
        default,
        "Once a size shows the target, and so many after it have not lowered the validation error, no more are tried. None: all.",
        unit="epochs",
        ge=1,
    )


class FitConfig(LadderConfig):
    """One that fits, size after size, and takes the size with the least validation error."""

    without: ClassVar[frozenset[str]] = frozenset({"optimizer", "dtype", "standardise", "resample"})
    ladder: ClassVar[str]
    more_than_points: ClassVar[bool] = False
    """Whether a size that the user names may have more unknowns than there are training points."""

    epochs: int = field(
        100,
        "Sizes that are tried at most; an epoch is one size. More than 100 count as 100.",
        unit="epochs",
        ge=1,
        le=1_000_000,
    )
    seconds: float = field(
        1.0,
        "No size is begun once the fits before have taken so long of a processor, or, of an equation, ten times as long. "
        "Where no sizes are named, those are left out beforehand whose operations would take so long on a slow machine, so that "
        "the clock decides only where it must.",
        unit="s",
        gt=0,
        le=1e6,
    )
    patience: Annotated[int | None, OrNone] = _patience_of_sizes(8)

    @property
    def tries(self) -> int:
        """As many as are of use in a table of them."""
        return 100

    @property
    def takes_best(self) -> bool:
        """Always: the size is chosen, not trained."""
        return True

    @abstractmethod
    def planned(self, dimension: int) -> Iterable[Size]:
        """All that could be tried for so many inputs, from the smallest on."""

    share: ClassVar[float] = 2 / 3
    """Unknowns for each training point at most, where no sizes are named: more leave open what is between the points."""

    def most_unknowns(self) -> float:
        """Those whose fit ends in time at 4e9 operations a second: QR of a matrix with a row for each point."""
        return min(self.share * self.n_train, math.sqrt(self.seconds * 2e9 / self.n_train))

    def bytes_of(self, unknowns: int, dimension: int) -> float:
        """What the fit of a size takes, at least: some rows for each unknown, by the functions of each axis."""
        return 8.0 * unknowns * min(2 * unknowns, self.n_train + unknowns) * (2 * dimension + 4)

    def sizes(self, dimension: int, limit: float) -> tuple[Size, ...]:
        """Of the planned ones those that have points enough and take at most ``limit`` bytes; where none are named, that end in
        time too, or else the smallest.
        """
        found = sorted(self.planned(dimension), key=lambda size: size.unknowns)
        own = math.inf if self.more_than_points else self.n_train
        most = own if self.named else self.most_unknowns()
        fit = [each for each in found if each.unknowns <= most and self.bytes_of(each.unknowns, dimension) <= limit]
        if fit or self.named:
            return tuple(fit)
        return tuple(each for each in found if each.unknowns == found[0].unknowns)


class LinearConfig(FitConfig):
    """An affine function (:mod:`harness.models.classical.linear`)."""

    ladder: ClassVar[str] = "named"
    rungs: ClassVar[tuple[int, ...]] = (1,)
    named: ClassVar[None] = None
    more_than_points: ClassVar[bool] = True

    def planned(self, dimension: int) -> Iterable[Size]:
        """One size."""
        return [Size("degree_1", 1 + dimension, (1, False))]


class ChebyshevConfig(FitConfig):
    """Polynomials by least squares (:mod:`harness.models.classical.chebyshev`)."""

    ladder: ClassVar[str] = "degrees"
    rungs: ClassVar[tuple[int, ...]] = (*range(7), *range(8, 35, 2), 40, 48, *range(64, 129, 16))

    degrees: Annotated[Degrees | None, OrNone] = field(
        None,
        "Degrees, one after the other. None: from 0 up to 128, as far as there are points enough and they end in time.",
        source="Trefethen 2019",
    )
    truncation: Literal["both", "tensor", "total"] = field(
        "both",
        "Several inputs: whether a degree is that along each axis (`tensor`), that of all together (`total`), or both are tried.",
        source="Trefethen 2017",
    )

    def planned(self, dimension: int) -> Iterable[Size]:
        """Each degree in one way or in both."""
        for degree in self.named or self.rungs:
            if self.truncation != "tensor" or dimension == 1:
                name = f"degree_{degree}" if dimension == 1 else f"total_{degree}"
                yield Size(name, math.comb(degree + dimension, dimension), (degree, False))
            if self.truncation != "total" and dimension > 1 and degree > 0:
                yield Size(f"tensor_{degree}", (degree + 1) ** dimension, (degree, True))


class SplineConfig(FitConfig):
    """B-splines by least squares (:mod:`harness.models.classical.spline`)."""

    ladder: ClassVar[str] = "grids"
    rungs: ClassVar[tuple[int, ...]] = (*range(1, 9), *range(10, 21, 2), 24, 32, 48, 64, 96, 128, 192, 256, 384)

    k: int = field(3, "Degree of the splines.", source="de Boor 1978", ge=1, le=9)
    grids: Annotated[Grids | None, OrNone] = field(
        None,
        "Intervals of an axis, one grid after the other. None: from 1 up to 384, as far as there are points enough and they end "
        "in time.",
        unit="intervals",
    )

    def planned(self, dimension: int) -> Iterable[Size]:
        """Each grid with products of one input, of two at most, of three at most, and of all."""
        for order in sorted({1, min(2, dimension), min(3, dimension), dimension}):
            for grid in self.named or self.rungs:
                functions = grid + self.k - 1
                unknowns = sum(math.comb(dimension, taking) * functions**taking for taking in range(order + 1))
                name = f"grid_{grid}" if dimension == 1 else f"order_{order}_grid_{grid}"
                yield Size(name, unknowns, (grid, order))


class KernelConfig(FitConfig):
    """One with a function around each of some training points."""

    ladder: ClassVar[str] = "points"
    rungs: ClassVar[tuple[int, ...]] = (125, 250, 500, 1000, 2000, 4000, 8000)

    patience: Annotated[int | None, OrNone] = _patience_of_sizes(None)
    points: Annotated[Grids | None, OrNone] = field(
        None,
        "Numbers of training points that are used, drawn by the seed, one after the other. None: 125, 250, 500 and so on up to "
        "all, as far as they end in time: the cost goes with the third power, and 2000 are the most for a second.",
        unit="points",
    )

    def settings(self, dimension: int) -> Iterable[tuple[str, tuple[Any, ...]]]:
        """What is tried for each number of points, with its name."""
        return [("", ())]

    def planned(self, dimension: int) -> Iterable[Size]:
        """Each number of points with each setting."""
        most = min(self.n_train, self.rungs[-1])
        own = [*(n for n in self.rungs if n < most), most]
        for points in self.named or own:
            for name, setting in self.settings(dimension):
                yield Size(f"{name}points_{points}", points, setting)

    def most_unknowns(self) -> float:
        """Those whose elimination ends in time at 8e9 operations a second."""
        return min(float(self.n_train), math.cbrt(self.seconds * 8e9) + 0.5)

    def bytes_of(self, unknowns: int, dimension: int) -> float:
        """The matrix of all pairs of points, and what it is made from."""
        return 8.0 * unknowns**2 * (dimension + 5)


class RBFConfig(KernelConfig):
    """Polyharmonic splines (:mod:`harness.models.classical.rbf`)."""

    rungs: ClassVar[tuple[int, ...]] = (250, 500, 1000, 2000, 4000, 8000)

    powers: Annotated[
        tuple[Literal[1, 3, 5, 7], ...],
        BeforeValidator(lambda value: _whole_numbers(split(value))),
        Field(min_length=1),
    ] = field((1, 3, 5, 7), "Powers of the distance that are tried.", source="Wendland 2005, section 8.3")
    smoothings: Annotated[tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(split), Field(min_length=1)] = (
        field(
            (0.0, 1e-4, 1e-2, 1.0),
            "Factors of the bending beside the squares that are tried; with 0 every point is met.",
        )
    )

    def settings(self, dimension: int) -> Iterable[tuple[str, tuple[Any, ...]]]:
        """Each power with each smoothing."""
        for power in self.powers:
            for smoothing in self.smoothings:
                yield f"r{power}_smoothing_{smoothing:g}_", (power, smoothing)

    def planned(self, dimension: int) -> Iterable[Size]:
        """Those whose polynomial has at most half as many coefficients as there are points."""
        for size in super().planned(dimension):
            if math.comb(size.setting[0] // 2 + dimension, dimension) <= max(1, size.unknowns // 2):
                yield size


class GPConfig(KernelConfig):
    """Gaussian process regression (:mod:`harness.models.classical.gp`)."""

    steps: int = field(
        40,
        "Iterations of L-BFGS-B on the likelihood at the first number of points; at each later one a quarter of those before.",
        unit="iterations",
        ge=0,
        le=10_000,
    )

    def planned(self, dimension: int) -> Iterable[Size]:
        """Each number of points, with the iterations there."""
        for number, size in enumerate(super().planned(dimension)):
            yield size._replace(setting=(self.steps // 4**number,))


class KernelRidgeConfig(KernelConfig):
    """Kernel ridge regression (:mod:`harness.models.classical.kernel_ridge`)."""

    scales: Annotated[tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(split), Field(min_length=1)] = field(
        (0.05, 0.1, 0.2, 0.4, 0.8, 1.6),
        "Scales of the Gaussians that are tried, times the root of the number of inputs.",
        unit="half widths of the domain",
    )
    ridges: Annotated[tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(split), Field(min_length=1)] = field(
        (1e-11, 1e-8, 1e-5, 1e-2, 1.0), "Factors of the norm beside the squares that are tried."
    )

    def settings(self, dimension: int) -> Iterable[tuple[str, tuple[Any, ...]]]:
        """Each scale with each ridge."""
        for scale in self.scales:
            for ridge in self.ridges:
                yield f"scale_{scale:g}_ridge_{ridge:g}_", (scale * math.sqrt(dimension), ridge)


class RandomFeaturesConfig(FitConfig):
    """Random features and least squares (:mod:`harness.models.classical.random_features`)."""

    ladder: ClassVar[str] = "features"
    rungs: ClassVar[tuple[int, ...]] = (12, 25, 50, 100, 200, 400, 800)
    share: ClassVar[float] = 1.0
    more_than_points: ClassVar[bool] = True

    patience: Annotated[int | None, OrNone] = _patience_of_sizes(None)
    features: Annotated[Grids | None, OrNone] = field(
        None,
        "Numbers of features, one after the other. None: 12, 25, 50, 100, 200, 400, 800, as far as there are points enough and "
        "they end in time.",
        unit="features",
    )
    function: Literal["sine", "tanh"] = field("sine", "The function of a feature.", source="Rahimi and Recht 2007")
    scales: Annotated[tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(split), Field(min_length=1)] = field(
        (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
        "Standard deviations of the inner weights that are tried.",
        unit="radians a unit of the input, scaled to [-1, 1]",
    )

    def planned(self, dimension: int) -> Iterable[Size]:
        """Each number of features with each scale."""
        for features in self.named or self.rungs:
            for scale in self.scales:
                yield Size(f"scale_{scale:g}_features_{features}", features + 1, (scale,))


def _whole_numbers(values: object) -> object:
    """As a literal wants them: the command line gives texts."""
    return (
        [int(value) if isinstance(value, str) and value.isdecimal() else value for value in values]
        if isinstance(values, list | tuple)
        else values
    )
