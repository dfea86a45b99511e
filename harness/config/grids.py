"""Grids that are gone through one after the other, each finer than the one before."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import BeforeValidator, Field

from harness.fields import Integers, split

Grids = Annotated[Integers, Field(min_length=1)]
Degrees = Annotated[tuple[Annotated[int, Field(ge=2)], ...], BeforeValidator(split), Field(min_length=1)]
Intervals = Annotated[tuple[Annotated[int, Field(ge=3)], ...], BeforeValidator(split), Field(min_length=1)]


def refuse_coarser(name: str, grids: tuple[int, ...], after: int = 0, before: str = "grids") -> None:
    """Raise ValueError for grids of which one is not finer than the one before; ``after`` is the last of the field ``before``."""
    if any(finer <= coarser for coarser, finer in itertools.pairwise((after, *grids))):
        last = f" and than the last of {before}, {after}" if after else ""
        raise ValueError(
            f"{name} = '{','.join(map(str, grids))}' is not increasing; "
            f"each grid must be finer than the one before{last}, as in 3,5,10"
        )
