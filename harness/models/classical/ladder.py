"""In which order sizes are tried where there are settings besides."""

from __future__ import annotations

import itertools

from harness.config import Size
from harness.models.classical.expansion import Ladder


def halved(planned: tuple[Size, ...], finalists: int = 1, all_up_to: int = 0) -> Ladder:
    """Every setting up to that many unknowns, then a third of those before, those with the least validation errors; at least
    ``finalists``.

    Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization"),
    with the size as the budget.
    """
    left = None
    for unknowns, sizes in itertools.groupby(planned, key=lambda size: size.unknowns):
        errors = {}
        for size in sizes:
            if left is None or size.setting in left:
                errors[size.setting] = yield size
        if unknowns >= all_up_to:
            left = sorted(errors, key=errors.__getitem__)[: max(finalists, -(-len(errors) // 3))]
