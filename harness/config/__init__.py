"""The configuration of a run: one validated record whose every field says what it means.

A model family has its own class here, :class:`RunConfig` plus the fields that only it has, so that a field that does
not belong to the chosen model is an unknown field. Values come from a preset, then from the user
(:mod:`harness.presets`). Field names are the ones that the command line, the params of a run (``cfg/<field>``) and the
documentation use.
"""

from harness.config.classical import (
    ChebyshevConfig,
    FiniteDifferenceConfig,
    FitConfig,
    GPConfig,
    KernelRidgeConfig,
    LadderConfig,
    LinearConfig,
    RandomFeaturesConfig,
    RBFConfig,
    Size,
    SolverConfig,
    SpectralConfig,
    SplineConfig,
)
from harness.config.implicit import FinerConfig, GaussConfig, WireConfig
from harness.config.kans import EdgesConfig, KANConfig, PrunedKANConfig, Pruning
from harness.config.perceptrons import FourierMLPConfig, MLPBSplineConfig, MLPConfig, SirenConfig
from harness.config.run import RunConfig, fields_of, had_by
from harness.fields import field

__all__ = [
    "ChebyshevConfig",
    "EdgesConfig",
    "FinerConfig",
    "FiniteDifferenceConfig",
    "FitConfig",
    "FourierMLPConfig",
    "GPConfig",
    "GaussConfig",
    "KANConfig",
    "KernelRidgeConfig",
    "LadderConfig",
    "LinearConfig",
    "MLPBSplineConfig",
    "MLPConfig",
    "PrunedKANConfig",
    "Pruning",
    "RBFConfig",
    "RandomFeaturesConfig",
    "RunConfig",
    "SirenConfig",
    "Size",
    "SolverConfig",
    "SpectralConfig",
    "SplineConfig",
    "WireConfig",
    "field",
    "fields_of",
    "had_by",
]
