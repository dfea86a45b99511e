"""In which order sizes are tried where there are settings besides."""

from __future__ import annotations

import itertools
from typing import Any

from harness.config import Size
from harness.models.classical.expansion import Ladder


def halved(planned: tuple[Size, ...], finalists: int = 1, all_up_to: int = 0) -> Ladder:
    """Every setting up to that many unknowns, then a third of those before, those with the least validation errors; at least
    ``finalists``.

    Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization"),
    with the size as the budget.
    """
    out: set[tuple[Any, ...]] = set()  # one that needs many unknowns is not there from the first group on
    for unknowns, sizes in itertools.groupby(planned, key=lambda size: size.unknowns):
        errors = {}
        for size in sizes:
            if size.setting not in out:
                errors[size.setting] = yield size
        if unknowns >= all_up_to:
            out.update(sorted(errors, key=errors.__getitem__)[max(finalists, -(-len(errors) // 3)) :])
