"""The problem that a configuration names: a declared one, or the rows of the user's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BadInput, quoted
from harness.problems.problem import PROBLEMS, Problem, get
from harness.registry import NAME

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.problems.table import Table

SECTION = "data"
"""Of every file, and so its default experiment."""


def of(config: RunConfig) -> Problem:
    """The problem of a configuration. Raises BadInput for a problem that is not known, and for a file that can't be used."""
    if not config.data:
        return get(config.problem)
    table = table_of(config)
    number = f"{len(table.y):,} {'pixels' if table.image else 'rows'}"
    low, high = (tuple(ends.tolist()) for ends in (table.x.min(axis=0), table.x.max(axis=0)))
    return replace(_of_table(config.problem, table, f"{number} of {Path(config.data).name}"), low=low, high=high)


def _of_table(name: str, table: Table, formula: str) -> Problem:
    return Problem(
        name=name,
        dimension=len(table.inputs),
        table=table,
        formula=formula,
        sections=(SECTION,),
        citation="the user's file",
        inputs=table.inputs,
        outputs=table.outputs,
    )


def of_columns(config: RunConfig) -> Problem:
    """The rows of a file as far as a configuration with all names of its columns knows them: without the file."""
    import numpy as np

    from harness.problems.table import Table

    inputs, outputs = config.inputs, config.outputs
    nothing = Table(
        name="", inputs=inputs, outputs=outputs, x=np.empty((0, len(inputs))), y=np.empty((0, len(outputs))), digest=""
    )
    return _of_table(config.problem, nothing, config.data)


def name_of(path: str) -> str:
    """What the rows of a file are called as a problem: as the file, in the signs that a name may have."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(path).name.split(".")[0]).lstrip("_.-")[:100] or "data"
    return stem if NAME.fullmatch(stem) else "data"


def named(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the user gave, with the name of the problem and the full path where it names a file.

    Raises BadInput for the name of a problem that there is already.
    """
    if not given.get("data"):
        return given
    name = str(given.get("problem") or name_of(str(given["data"])))
    if name in PROBLEMS.names():
        file = quoted(Path(str(given["data"])).name)
        raise BadInput(
            f"problem = {quoted(name)} is a declared problem; beside data = {file} it should be another name."
        )
    return {**given, "problem": name, "data": str(Path(str(given["data"])).absolute())}


def table_of(config: RunConfig) -> Table:
    """The rows of a configuration's file, read once for each state that the file is in."""
    path = Path(config.data)
    try:
        state = path.stat()
    except OSError:
        state = None  # the reader says what is wrong
    roles = config.inputs, config.outputs, config.split_column, config.group_column, config.missing
    return _read(path, None if state is None else (state.st_mtime_ns, state.st_size), roles)


@lru_cache(maxsize=4)  # a worker meets many files, and each may be large
def _read(path: Path, state: tuple[int, int] | None, roles: tuple[Any, ...]) -> Table:
    from harness.problems.table import read

    return read(path, *roles)


def points_of_parts(config: RunConfig) -> dict[str, int]:
    """``n_train``, ``n_val`` and ``n_test`` as the rows of the configuration's file and its split have them."""
    from harness.problems.table import split

    parts = split(table_of(config), config.seed, config.split)
    return {f"n_{name}": len(part) for name, part in zip(("train", "val", "test"), parts, strict=True)}
