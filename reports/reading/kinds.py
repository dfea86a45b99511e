"""Which kind of family a model is of: what tables and pictures of many models are grouped by, and which models are networks.

Classical methods stand beside the networks, apart from them: what is said of networks is not said of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from harness.families import FAMILIES, KINDS, Kind

FIRST = ("mlp", "mlp_fourier", "siren", "kan", "kan_pruned")
"""The families of the document that this project comes from: a criterion on every family asks for these, whether they were run
or not.
"""
NAMES: dict[Kind, str] = {
    "perceptron": "MLPs",
    "implicit": "implicit representations",
    "kan": "KANs",
    "classical": "classical methods",
    "other": "other models",
}
"""What several of a kind are called."""


@cache  # asked for each of many thousand cells
def kind_of(model: str) -> Kind:
    """The kind of a model's family; ``other`` of one that is not known here, such as that of a plug-in that is not loaded."""
    usable = FAMILIES.usable()
    return usable[model].kind if model in usable else "other"


def is_network(model: str) -> bool:
    """Whether a model is a network, which every family is but the classical ones."""
    return kind_of(model) != "classical"


def by_kind(models: Iterable[str]) -> dict[Kind, list[str]]:
    """The models by kind, in the order in which kinds are declared, and of each kind in the order given."""
    found: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
    for model in models:
        found[kind_of(model)].append(model)
    return {kind: some for kind, some in found.items() if some}
