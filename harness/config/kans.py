"""Kolmogorov-Arnold networks, and those that are pruned."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import model_validator

from harness.config.grids import Grids, refuse_coarser
from harness.config.run import RunConfig
from harness.fields import DOCUMENT, Integers, OrNone, field


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
        refuse_coarser("grids", self.grids)
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
        refuse_coarser("retrain_grids", self.retrain_grids, self.grids[-1])
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
