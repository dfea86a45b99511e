"""Networks whose edges are functions of one variable: the Kolmogorov-Arnold network of splines, and what is pruned of any."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import model_validator

from harness.config.grids import Grids, refuse_coarser
from harness.config.run import RunConfig
from harness.fields import DOCUMENT, Integers, OrNone, field


class EdgesConfig(RunConfig):
    """A network of edges (:mod:`harness.models.edges`), which goes from coarse to fine where its basis has that."""

    family: ClassVar[str]
    """What the family is called."""
    ladder: ClassVar[str] = ""
    """The field that names the grids, or degrees; none for a basis that is as fine as it is."""

    width: int = field(5, "Nodes of a hidden layer.", unit="nodes", source="original benchmark", ge=1, le=10_000)
    depth: int = field(1, "Hidden layers.", unit="layers", source="original benchmark", ge=1, le=100)

    def sizes(self, dimension: int, outputs: int = 1) -> list[int]:
        """The nodes of all layers."""
        return [dimension, *[self.width] * self.depth, outputs]

    def rungs(self) -> tuple[int, ...]:
        """The grids, or degrees, before any cut; 1 where there are none."""
        found: tuple[int, ...] = getattr(self, self.ladder) if self.ladder else (1,)
        return found

    def stages(self) -> tuple[int, ...]:
        """Those of all stages."""
        return self.rungs()

    def epochs_of_a_rung(self) -> int | None:
        """Epochs of a stage, as far as the budget reaches; None for equal shares of it."""
        return None

    def adapts(self, grid: int, number: int) -> bool:
        """Whether the grid is adapted to the activations before epoch ``number`` of its stage."""
        return False

    @abstractmethod
    def per_edge(self, grid: int) -> int:
        """Trainable numbers of an edge."""

    def parameters(self, dimension: int, outputs: int = 1) -> int:
        """Those of all edges, on the finest grid."""
        return self._edges(dimension, outputs) * self.per_edge(self.stages()[-1])

    def least_parameters(self, dimension: int, outputs: int = 1) -> int:
        """Those on its first grid."""
        return self._edges(dimension, outputs) * self.per_edge(self.rungs()[0])

    def _edges(self, dimension: int, outputs: int) -> int:
        sizes = self.sizes(dimension, outputs)
        return sum(n_in * n_out for n_in, n_out in itertools.pairwise(sizes))

    @model_validator(mode="after")
    def _grids_increase(self) -> EdgesConfig:
        if self.ladder:
            refuse_coarser(self.ladder, self.rungs())
        return self


class KANConfig(EdgesConfig):
    """Kolmogorov-Arnold network of B-splines (:mod:`harness.models.kan`)."""

    family: ClassVar[str] = "kan"
    ladder: ClassVar[str] = "grids"
    identity_if_changed: ClassVar[frozenset[str]] = RunConfig.identity_if_changed | {"initialisation"}

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
    initialisation: Literal["pykan", "power_law"] = field(
        "pykan",
        "`pykan`: small random splines of scale `noise`; `power_law`: normal coefficients and silu, whose deviations fall with "
        "powers of inputs and grid, and no `noise`.",
        source="pykan 0.2.8, MultKAN; Rigas et al. 2025, arXiv:2509.03417, section 3.3",
    )

    def epochs_of_a_rung(self) -> int | None:
        """As the field says."""
        return self.steps_per_grid

    def adapts(self, grid: int, number: int) -> bool:
        """Every few epochs of the first stage: early updates help, late ones undo what was learned."""
        return (
            grid == self.grids[0]
            and self.grid_update_every > 0
            and number < self.grid_update_until
            and number % self.grid_update_every == 0
        )

    def per_edge(self, grid: int) -> int:
        """The coefficients of its spline and two scales."""
        return grid + self.k + 2

    def smoothness(self) -> float:
        """Splines of degree k have k - 1 derivatives without jumps, and one more with jumps."""
        return self.k

    def kept(self, dimension: int) -> int:
        """At each input of each layer the coordinate in its interval, silu, and the slope of silu (compiled loops)."""
        return 3 * (dimension + self.width * self.depth)


class Pruning(EdgesConfig):
    """What a network of edges that is sparsified, pruned and retrained (:mod:`harness.training.plans`) has besides its own."""

    unpruned: ClassVar[type[EdgesConfig]]
    """The class of its twin."""
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
    def _room_for_three_stages(self) -> Pruning:
        if self.retrain_grids and not self.ladder:
            raise ValueError(
                f"retrain_grids = '{','.join(map(str, self.retrain_grids))}' is not for {self.model}, which has no grid"
            )
        refuse_coarser("retrain_grids", self.retrain_grids, self.rungs()[-1], self.ladder)
        least = 3 if self.prune_mode == "threshold" else 4
        if self.epochs < least:
            raise ValueError(
                f"epochs = {self.epochs} is too few for {self.model} with prune_mode={self.prune_mode}; "
                f"sparsify, prune and retrain need at least {least}"
            )
        return self

    def stages(self) -> tuple[int, ...]:
        """The grids of all stages, those while retraining included."""
        return (*self.rungs(), *self.retrain_grids)

    def twin(self) -> EdgesConfig:
        """The same network, neither sparsified nor cut, with the same total epochs and the same seed (criterion K2)."""
        own = set(type(self).model_fields) - set(self.unpruned.model_fields)
        shared = {name: value for name, value in self.values().items() if name not in own}
        rungs = {self.ladder: self.stages()} if self.ladder else {}
        return self.unpruned(**{**shared, "model": self.unpruned.family, **rungs})


class PrunedKANConfig(Pruning, KANConfig):
    """KAN that is sparsified, pruned and retrained (:mod:`harness.training.plans`)."""

    unpruned: ClassVar[type[EdgesConfig]] = KANConfig
    identity_if_changed: ClassVar[frozenset[str]] = KANConfig.identity_if_changed | Pruning.identity_if_changed
