"""Methods that solve for their unknowns and train nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from harness.config.grids import Degrees, Intervals, refuse_coarser
from harness.config.run import RunConfig
from harness.fields import OrNone, field


class SolverConfig(RunConfig):
    """A family that solves an equation on one grid after the other, and trains nothing (:mod:`harness.models.classical`)."""

    without: ClassVar[frozenset[str]] = frozenset({"optimizer", "dtype", "standardise", "resample"})
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
        refuse_coarser(self.ladder, self.named or ())
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
