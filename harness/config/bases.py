"""Kolmogorov-Arnold networks whose edges are other functions than splines, and those that are pruned."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from harness.config.grids import Degrees, Intervals
from harness.config.kans import EdgesConfig, Pruning
from harness.fields import OrNone, field

CHOSEN = "by hand, by validation errors of seeds 0 to 2 on sin_freq5 and poisson_2d_spec"


class BasisConfig(EdgesConfig):
    """A network of edges that goes from coarse to fine; its grid stays where it is."""

    steps_per_grid: Annotated[int | None, OrNone] = field(
        None,
        "Epochs of a stage, as far as the budget reaches. None: equal shares of the budget.",
        unit="epochs",
        ge=1,
    )

    def epochs_of_a_rung(self) -> int | None:
        """As the field says."""
        return self.steps_per_grid

    def kept(self, dimension: int) -> int:
        """The functions of the inputs, and those of the largest other layer."""
        return (dimension + self.width) * self.per_edge(self.stages()[-1])


def _degrees(default: tuple[int, ...], meaning: str, source: str) -> Any:
    return field(default, f"{meaning}, stage by stage, each higher than the one before.", source=source)


def _grids(default: tuple[int, ...], source: str) -> Any:
    meaning = "Grid intervals, stage by stage, each finer than the one before."
    return field(default, meaning, unit="intervals", source=source)


class ChebyshevKANConfig(BasisConfig):
    """KAN of Chebyshev polynomials (:mod:`harness.models.bases.chebyshev`)."""

    family: ClassVar[str] = "kan_chebyshev"
    ladder: ClassVar[str] = "degrees"

    degrees: Degrees = _degrees((4, 8, 16), "Degrees of the polynomials", CHOSEN)

    def per_edge(self, grid: int) -> int:
        """A coefficient of each polynomial."""
        return grid + 1


class LegendreKANConfig(BasisConfig):
    """KAN of Legendre polynomials (:mod:`harness.models.bases.legendre`)."""

    family: ClassVar[str] = "kan_legendre"
    ladder: ClassVar[str] = "degrees"

    degrees: Degrees = _degrees((4, 8, 16), "Degrees of the polynomials", CHOSEN)

    def per_edge(self, grid: int) -> int:
        """A coefficient of each polynomial."""
        return grid + 1


class FourierKANConfig(BasisConfig):
    """KAN of sines and cosines (:mod:`harness.models.bases.fourier`)."""

    family: ClassVar[str] = "kan_fourier"
    ladder: ClassVar[str] = "degrees"

    degrees: Degrees = _degrees((4, 8), "Highest multiples of the base frequency", CHOSEN)

    def per_edge(self, grid: int) -> int:
        """A constant, and a cosine and a sine of each frequency."""
        return 2 * grid + 1


class RBFKANConfig(BasisConfig):
    """KAN of Gaussians (:mod:`harness.models.bases.rbf`)."""

    family: ClassVar[str] = "kan_rbf"
    ladder: ClassVar[str] = "grids"

    grids: Intervals = _grids((10, 20), f"{CHOSEN}; Li 2024, arXiv:2405.06721: 7")

    def per_edge(self, grid: int) -> int:
        """A coefficient of each Gaussian, and of silu."""
        return grid + 2


class ReLUKANConfig(BasisConfig):
    """KAN of squared products of ReLU (:mod:`harness.models.bases.relu`)."""

    family: ClassVar[str] = "kan_relu"
    ladder: ClassVar[str] = "grids"

    k: int = field(
        5, "Intervals beyond the first that a bump covers.", source=f"{CHOSEN}; Qiu et al. 2024: 3", ge=1, le=10
    )
    grids: Intervals = _grids((10, 20), f"{CHOSEN}; Qiu et al. 2024, arXiv:2406.02075: 5")

    def per_edge(self, grid: int) -> int:
        """A coefficient of each bump."""
        return grid + self.k

    def smoothness(self) -> float:
        """The second derivative of a bump jumps at its ends."""
        return 2


class WaveletKANConfig(EdgesConfig):
    """KAN of wavelets (:mod:`harness.models.bases.wavelet`)."""

    family: ClassVar[str] = "kan_wavelet"

    width: int = field(7, "Nodes of a hidden layer.", unit="nodes", source=CHOSEN, ge=1, le=10_000)
    depth: int = field(2, "Hidden layers.", unit="layers", source=CHOSEN, ge=1, le=100)
    wavelet: Literal["mexican_hat", "dog"] = field(
        "mexican_hat",
        "The mother wavelet: `mexican_hat`, the second derivative of a Gaussian, or `dog`, its first.",
        source="Bozorgasl and Chen 2024, arXiv:2405.12832, section 3",
    )

    def per_edge(self, grid: int) -> int:
        """Its weight, dilation and translation."""
        return 3

    def kept(self, dimension: int) -> int:
        """Each edge of the largest layer, and its derivatives in its three numbers."""
        return 4 * self.width * max(dimension, self.width if self.depth > 1 else 1)


class RationalKANConfig(EdgesConfig):
    """KAN of rational functions (:mod:`harness.models.bases.rational`)."""

    family: ClassVar[str] = "kan_rational"

    width: int = field(8, "Nodes of a hidden layer.", unit="nodes", source=CHOSEN, ge=1, le=10_000)
    numerator: int = field(
        5, "Degree of the numerator.", source="Yang and Wang 2024, arXiv:2409.10594, section 4.2", ge=1, le=20
    )
    denominator: int = field(
        4,
        "Degree of the denominator, an even number.",
        source="Yang and Wang 2024, arXiv:2409.10594, section 4.2",
        ge=2,
        le=20,
        multiple_of=2,
    )

    def per_edge(self, grid: int) -> int:
        """The coefficients of the numerator, and those of the polynomial whose square is in the denominator."""
        return self.numerator + 1 + self.denominator // 2

    def kept(self, dimension: int) -> int:
        """Each edge of the largest layer, and its derivatives in its numbers."""
        return (1 + self.per_edge(1)) * self.width * max(dimension, self.width if self.depth > 1 else 1)


class PrunedChebyshevKANConfig(Pruning, ChebyshevKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = ChebyshevKANConfig


class PrunedLegendreKANConfig(Pruning, LegendreKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = LegendreKANConfig


class PrunedFourierKANConfig(Pruning, FourierKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = FourierKANConfig


class PrunedRBFKANConfig(Pruning, RBFKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = RBFKANConfig


class PrunedReLUKANConfig(Pruning, ReLUKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = ReLUKANConfig


class PrunedWaveletKANConfig(Pruning, WaveletKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = WaveletKANConfig


class PrunedRationalKANConfig(Pruning, RationalKANConfig):
    """The same, sparsified, pruned and retrained."""

    unpruned: ClassVar[type[EdgesConfig]] = RationalKANConfig
