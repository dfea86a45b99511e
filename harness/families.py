"""The model families: what each is called, which fields it has, and where its network and its training plan live.

The two places are named, not imported, so that reading a configuration needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pkgutil import resolve_name
from typing import Any, Literal, get_args

from harness.config import (
    ChebyshevConfig,
    FinerConfig,
    FiniteDifferenceConfig,
    FourierMLPConfig,
    GaussConfig,
    GPConfig,
    KANConfig,
    KernelRidgeConfig,
    LinearConfig,
    MLPBSplineConfig,
    MLPConfig,
    PrunedKANConfig,
    RandomFeaturesConfig,
    RBFConfig,
    RunConfig,
    SirenConfig,
    SpectralConfig,
    SplineConfig,
    WireConfig,
    bases,
)
from harness.errors import BadInput, quoted
from harness.registry import Registry, check_name

Place = str | Callable[..., Any]
"""A function, or the ``module:name`` of one."""
Kind = Literal["perceptron", "implicit", "kan", "classical", "other"]
"""What a family is one of: layers with an activation between them; such a network whose activations are waves or bumps, for
fields in space and time (an implicit representation); edges with a function each; a method that solves for its unknowns and
trains nothing. Tables and charts of many families are grouped by it.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)
Takes = Literal["fits", "equations", "both"]
"""Which problems a family can take on: values to fit, equations to solve, or both."""


@dataclass(frozen=True)
class Family:
    """A model family.

    ``network(config, dimension, generator, outputs=1)`` builds the ``torch.nn.Module`` that maps ``(points, dimension)``
    inputs, scaled to [-1, 1], to ``(points, outputs)``; one without the parameter ``outputs`` is for problems of one output.
    What it may tell besides its values: :mod:`harness.models.interface`.
    ``plan(training)`` yields the events of its training (:mod:`harness.training.plans`). ``figures`` are those that only
    this family has, by the name of their file: ``figure(network, inputs, title)`` draws the trained network, and
    ``inputs`` are the training points as it sees them; one with the parameter ``problem`` gets that too. ``after`` are the steps
    that follow a completed training, in their order (:mod:`harness.after`). ``check(config, problem)`` raises BadInput for a
    problem that the family can't take on; ``takes`` says whether it can take on fits, equations or both. ``kind`` says what it is
    one of: a ``classical`` one counts as no network where a report asks whether a network is needed. A suite that names no
    families computes the ``usual`` ones.
    """

    name: str
    config: type[RunConfig]
    network: Place
    summary: str
    plan: Place = "harness.training.plans:single_stage"
    figures: Mapping[str, Place] = field(default_factory=dict)
    after: tuple[Place, ...] = ()
    check: Place | None = None
    takes: Takes = "both"
    kind: Kind = "other"
    usual: bool = True

    def __post_init__(self) -> None:
        check_name("model", self.name)
        if self.kind not in KINDS:
            raise BadInput(f"kind = {quoted(self.kind)} of model {self.name!r} should be one of {', '.join(KINDS)}.")
        if self.takes not in get_args(Takes):
            raise BadInput(
                f"takes = {quoted(self.takes)} of model {self.name!r} should be one of {', '.join(get_args(Takes))}."
            )
        for name in self.figures:
            check_name("figure", name)

    def can_take(self, equation: bool) -> bool:
        """Whether it can take on an equation, or a fit."""
        return self.takes in ("both", "equations" if equation else "fits")


def resolve(place: Place) -> Callable[..., Any]:
    """The function at that place."""
    found: Callable[..., Any] = resolve_name(place) if isinstance(place, str) else place
    return found


FAMILIES: Registry[Family] = Registry("model", "harness.models", Family)


def register(family: Family) -> Family:
    """Make a model family known under its name. Raises BadInput when the name is taken."""
    return FAMILIES.register(family.name, family)


@cache  # asked for each of many thousand cells
def has_twin(model: str) -> bool:
    """Whether runs of the family are held against another one, as pruned ones are; False for a family that is not known here."""
    family = FAMILIES.usable().get(model)
    return family is not None and family.config.twin is not RunConfig.twin


def figures_of(model: str) -> list[str]:
    """The files of the figures that only this family draws; none for a family that is not known here."""
    return list(FAMILIES.get(model).figures) if model in FAMILIES.names() else []


register(
    Family(
        "mlp", MLPConfig, "harness.models.mlp:mlp", "Fully connected network (tanh, relu or silu).", kind="perceptron"
    )
)
register(
    Family(
        "mlp_fourier",
        FourierMLPConfig,
        "harness.models.fourier:fourier_mlp",
        "MLP on random Fourier features (Tancik et al. 2020).",
        kind="perceptron",
    )
)
register(
    Family(
        "mlp_bspline",
        MLPBSplineConfig,
        "harness.models.mlp_bspline:mlp_bspline",
        "MLP whose activations are trained B-splines (Yu et al. 2024).",
        kind="perceptron",
        usual=False,
    )
)
register(
    Family(
        "siren",
        SirenConfig,
        "harness.models.siren:siren",
        "Network with sine activations (Sitzmann et al. 2020).",
        kind="implicit",
    )
)
register(
    Family(
        "wire",
        WireConfig,
        "harness.models.wire:wire",
        "Network of Gabor wavelets (Saragadam et al. 2023).",
        kind="implicit",
        usual=False,
    )
)
register(
    Family(
        "finer",
        FinerConfig,
        "harness.models.finer:finer",
        "Network of sines whose frequency grows with their argument (Liu et al. 2024).",
        kind="implicit",
        usual=False,
    )
)
register(
    Family(
        "gauss",
        GaussConfig,
        "harness.models.gauss:gauss",
        "Network of Gaussian bumps (Ramasinghe and Lucey 2022).",
        kind="implicit",
        usual=False,
    )
)
register(
    Family(
        "kan",
        KANConfig,
        "harness.models.kan:kan",
        "Kolmogorov-Arnold network (Liu et al. 2024).",
        "harness.training.plans:grid_stages",
        figures={"kan.png": "harness.figures.kan:kan_figure"},
        kind="kan",
    )
)
register(
    Family(
        "kan_pruned",
        PrunedKANConfig,
        "harness.models.kan:kan",
        "KAN: sparsify, prune, retrain (Liu et al. 2024).",
        "harness.training.plans:sparsify_prune_retrain",
        figures={"kan.png": "harness.figures.kan:kan_figure"},
        kind="kan",
        after=("harness.after.twin:compare_with_twin", "harness.after.formula:look_for_formula"),
    )
)
for _config, _pruned, _what in (
    (bases.ChebyshevKANConfig, bases.PrunedChebyshevKANConfig, "Chebyshev polynomials (Sidharth and Gokul 2024)"),
    (bases.LegendreKANConfig, bases.PrunedLegendreKANConfig, "Legendre polynomials (Seydi 2024)"),
    (bases.FourierKANConfig, bases.PrunedFourierKANConfig, "sines and cosines (Xu et al. 2024)"),
    (bases.RBFKANConfig, bases.PrunedRBFKANConfig, "Gaussians, FastKAN (Li 2024)"),
    (bases.ReLUKANConfig, bases.PrunedReLUKANConfig, "squared products of ReLU (Qiu et al. 2024)"),
    (bases.WaveletKANConfig, bases.PrunedWaveletKANConfig, "wavelets, Wav-KAN (Bozorgasl and Chen 2024)"),
    (bases.RationalKANConfig, bases.PrunedRationalKANConfig, "rational functions (Yang and Wang 2024)"),
):
    _basis = _config.family.removeprefix("kan_")
    register(
        Family(
            _config.family,
            _config,
            f"harness.models.bases.{_basis}:{_basis}",
            f"KAN of {_what}.",
            "harness.training.plans:grid_stages",
            figures={"kan.png": "harness.figures.kan:kan_figure"},
            kind="kan",
            usual=False,
        )
    )
    register(
        Family(
            f"{_config.family}_pruned",
            _pruned,
            f"harness.models.bases.{_basis}:{_basis}",
            f"KAN of {_what}: sparsify, prune, retrain.",
            "harness.training.plans:sparsify_prune_retrain",
            figures={"kan.png": "harness.figures.kan:kan_figure"},
            kind="kan",
            usual=False,
            after=("harness.after.twin:compare_with_twin", "harness.after.formula:look_for_formula"),
        )
    )
register(
    Family(
        "spectral",
        SpectralConfig,
        "harness.models.classical.spectral:spectral",
        "Chebyshev collocation: solves an equation, degree by degree, and trains nothing (Trefethen 2000).",
        "harness.training.solving:coarse_to_fine",
        check="harness.models.classical.sizes:check",
        takes="equations",
        kind="classical",
    )
)
register(
    Family(
        "finite_difference",
        FiniteDifferenceConfig,
        "harness.models.classical.finite_difference:finite_difference",
        "Differences of second order: solves an equation, grid by grid, and trains nothing (LeVeque 2007).",
        "harness.training.solving:coarse_to_fine",
        check="harness.models.classical.sizes:check",
        takes="equations",
        kind="classical",
    )
)
_FITS: tuple[tuple[str, type[RunConfig], Takes, str], ...] = (
    ("linear", LinearConfig, "fits", "Affine function by least squares: the floor."),
    (
        "chebyshev",
        ChebyshevConfig,
        "fits",
        "Polynomials by least squares, of a tensor or of a total degree (Trefethen 2019).",
    ),
    (
        "spline",
        SplineConfig,
        "fits",
        "B-splines by least squares, with interactions of one input, two, three or all (de Boor 1978).",
    ),
    ("rbf", RBFConfig, "fits", "Polyharmonic splines with a polynomial, interpolating or smoothing (Wendland 2005)."),
    (
        "gp",
        GPConfig,
        "fits",
        "Gaussian process with a scale for each input and noise, by likelihood (Rasmussen and Williams 2006).",
    ),
    ("kernel_ridge", KernelRidgeConfig, "fits", "Kernel ridge regression with Gaussians (Saunders et al. 1998)."),
    (
        "random_features",
        RandomFeaturesConfig,
        "both",
        "Random sines or tanhs and least squares, for fits and equations (Rahimi and Recht 2007; Chen et al. 2022).",
    ),
)
for _fit, _config_of_fit, _takes, _summary in _FITS:
    register(
        Family(
            _fit,
            _config_of_fit,
            f"harness.models.classical.{_fit}:{_fit}",
            _summary,
            "harness.training.solving:size_by_size",
            check="harness.models.classical.sizes:check_fit",
            takes=_takes,
            kind="classical",
        )
    )
