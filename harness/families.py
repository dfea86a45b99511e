"""The model families: what each is called, which fields it has, and where its network and its training plan live.

The two places are named, not imported, so that reading a configuration needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from harness.config import FourierMLPConfig, KANConfig, MLPConfig, PrunedKANConfig, RunConfig, SirenConfig
from harness.registry import Registry, check_name


@dataclass(frozen=True)
class Family:
    """A model family. ``network`` and ``plan`` are functions, or the ``module:name`` of one.

    ``network(config, dimension, generator)`` builds the ``torch.nn.Module`` that maps ``(points, dimension)`` inputs,
    scaled to [-1, 1], to ``(points, 1)``; ``plan(training)`` yields the events of its training
    (:mod:`harness.training.plans`).
    """

    name: str
    config: type[RunConfig]
    network: str | Callable[..., Any]
    summary: str
    plan: str | Callable[..., Any] = "harness.training.plans:single_stage"

    def __post_init__(self) -> None:
        check_name("model", self.name)

    def resolve(self, part: str) -> Callable[..., Any]:
        """The function of that ``part``: ``"network"`` or ``"plan"``."""
        where = getattr(self, part)
        return resolve_name(where) if isinstance(where, str) else where  # type: ignore[no-any-return]  # named in a string


FAMILIES: Registry[Family] = Registry("model", "harness.models")


def register(family: Family) -> Family:
    """Make a model family known under its name. Raises BadInput when the name is taken."""
    return FAMILIES.register(family.name, family)


register(Family("mlp", MLPConfig, "harness.models.mlp:mlp", "Fully connected network (tanh, relu or silu)."))
register(
    Family(
        "mlp_fourier",
        FourierMLPConfig,
        "harness.models.fourier:fourier_mlp",
        "MLP on random Fourier features (Tancik et al. 2020).",
    )
)
register(
    Family("siren", SirenConfig, "harness.models.siren:siren", "Network with sine activations (Sitzmann et al. 2020).")
)
register(
    Family(
        "kan",
        KANConfig,
        "harness.models.kan:kan",
        "Kolmogorov-Arnold network (Liu et al. 2024).",
        "harness.training.plans:grid_stages",
    )
)
register(
    Family(
        "kan_pruned",
        PrunedKANConfig,
        "harness.models.kan:kan",
        "KAN: sparsify, prune, retrain (Liu et al. 2024).",
        "harness.training.plans:sparsify_prune_retrain",
    )
)
