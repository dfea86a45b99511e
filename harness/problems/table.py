"""The rows of a user's file as what is to be learned: read, checked, and split into training, validation and test.

Nothing is interpolated, and no point is drawn: each row is in exactly one part. **The order of the rows does not matter**:
a table holds its rows sorted, so a file whose rows are permuted is the same table, with the same digest and the same split.
Where the order does matter, as in a time series, a column should name the part or the group of each row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from harness.errors import BadInput, quoted
from harness.problems.columns import (
    MOST_NAMED,
    Columns,
    check_column,
    has_numbers,
    labels,
    listed,
    numbers,
    read_columns,
    refuse_missing,
)

PARTS = ("train", "val", "test")
LEAST = 2
"""Rows that each part needs: one has no spread to put an error in relation to."""
OTHER_COLUMNS = ", or name inputs and outputs without it"

RowNumbers = Int64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """Rows of numbers in raw units, sorted by inputs and then by the rest; a picture's stay as they are."""

    name: str
    """That of the file, without folder and extension."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    x: Float64[np.ndarray, "rows inputs"]
    y: Float64[np.ndarray, "rows outputs"]
    digest: str
    """Of the numbers, the names of the columns, the parts and the groups."""
    parts: Shaped[np.ndarray, " rows"] | None = None
    """``train``, ``val`` or ``test`` for each row, where a column says so."""
    groups: Int64[np.ndarray, " rows"] | None = None
    """The group of each row, of which no two parts share one: those of a column, else rows of equal inputs, if there are any."""
    dropped: int = 0
    """Rows of the file that were left out for missing values."""
    spread: tuple[float, ...] = ()
    """Pooled variance of each output among rows of equal inputs, which is the least MSE that a function of the inputs can be
    expected to have on new rows; NaN where no two rows have equal inputs."""
    image: tuple[int, int] | None = None
    """Height and width where the rows are the pixels of a picture, row by row from its upper left corner."""


def read(
    path: str | Path,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    split_column: str = "",
    group_column: str = "",
    missing: Literal["refuse", "drop"] = "refuse",
) -> Table:
    """The table of a file; ``inputs`` are, when empty, all columns of numbers that have no other role.

    A picture needs no ``outputs``. Raises BadInput, in one sentence with the name of the file and where it can be told
    with column and row (counted from 1, without the line of names), for whatever can't be read in one way only, and for:
    a missing value (unless ``missing`` is ``drop``), an infinite one, text, an integer that float64 can't hold, an input that
    is the same in all rows, a column that is not there or has two roles, and fewer rows than the three parts need.
    """
    columns = read_columns(path)
    if columns.image:
        inputs, outputs = inputs or ("x", "y"), outputs or columns.names[2:]
    inputs, outputs = _roles(columns, inputs, outputs, split_column, group_column)
    found = np.stack([numbers(columns, name, OTHER_COLUMNS) for name in (*inputs, *outputs)], axis=1)
    parts, groups = (labels(columns, name) if name else None for name in (split_column, group_column))
    named = {name: each for name, each in ((split_column, parts), (group_column, groups)) if each is not None}
    there = np.column_stack([~np.isnan(found), *(each != "" for each in named.values())])
    if missing == "refuse":
        refuse_missing(
            columns, [*inputs, *outputs, *named], there, f", leave such rows out by missing=drop{OTHER_COLUMNS}"
        )
    rows = there.all(axis=1)
    found = found[rows]
    parts, groups = (None if each is None else each[rows] for each in (parts, groups))
    x, y = found[:, : len(inputs)], found[:, len(inputs) :]
    _refuse_what_can_not_be_learned(columns, inputs, x, rows.size)
    if parts is not None:
        _check_parts(columns, split_column, parts, rows, groups)
    image = columns.image if columns.image and tuple(inputs) == ("x", "y") else None
    return of_numbers(columns.stem, inputs, outputs, x, y, parts, groups, int((~rows).sum()), image)


def of_numbers(
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    x: Float64[np.ndarray, "rows inputs"],
    y: Float64[np.ndarray, "rows outputs"],
    parts: Shaped[np.ndarray, " rows"] | None = None,
    groups: Shaped[np.ndarray, " rows"] | None = None,
    dropped: int = 0,
    image: tuple[int, int] | None = None,
) -> Table:
    """A table of finite numbers: puts the rows in order, and finds out digest, groups and spread."""
    x, y = x + 0.0, y + 0.0  # -0.0 is 0.0
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int64)
    if image is None:
        last = [each for each in (codes, parts) if each is not None]
        order = np.lexsort((*last, *y.T[::-1], *x.T[::-1]))
        x, y = x[order], y[order]
        parts, codes = (None if each is None else each[order] for each in (parts, codes))
    equal = np.concatenate([[0], np.cumsum((x[1:] != x[:-1]).any(axis=1))]).astype(np.int64)
    digest = hashlib.sha256(json.dumps([list(inputs), list(outputs), image]).encode())
    for column in (x, y, parts, codes):
        digest.update(b"none" if column is None else np.ascontiguousarray(column).tobytes())
    return Table(
        name=name,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        x=x,
        y=y,
        digest=digest.hexdigest()[:16],
        parts=parts,
        groups=codes if codes is not None or equal[-1] == len(x) - 1 else equal,
        dropped=dropped,
        spread=_spread(y, equal),
        image=image,
    )


def split(
    table: Table, seed: int, shares: Sequence[float] = (0.7, 0.15, 0.15)
) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
    """The rows of training, validation and test, in ascending order: each row in exactly one of them.

    Where a column names the parts, these; else drawn by the seed, so that each part gets its share of the rows, or of the
    groups where there are some. Raises BadInput when a part would have fewer than two rows.
    """
    if table.parts is not None:
        train, val, test = (np.flatnonzero(table.parts == part) for part in PARTS)
    else:
        units = np.arange(len(table.x)) if table.groups is None else table.groups
        part_of_unit = _drawn(table, int(units.max()) + 1, seed, shares)
        train, val, test = (np.flatnonzero(part_of_unit[units] == part) for part in range(3))
    for part, rows in zip(PARTS, (train, val, test), strict=True):
        if len(rows) < LEAST:
            raise BadInput(
                f"data = {quoted(table.name)} has {len(rows)} rows for part {part}; each part needs at least {LEAST}."
            )
    return train, val, test


def _drawn(table: Table, units: int, seed: int, shares: Sequence[float]) -> Any:
    """The part, 0 to 2, of each unit: a row, or a group."""
    import torch

    from harness.seeds import generator

    if units < len(PARTS):
        raise BadInput(
            f"data = {quoted(table.name)} has {units} {'group' if units == 1 else 'groups'} of rows that stay together; at least "
            "3 are needed, one for each of train, val and test."
        )
    if len(shares) != len(PARTS) or not min(shares) > 0 or not abs(sum(shares) - 1) < 1e-9:
        raise BadInput(
            f"split = {','.join(f'{share:g}' for share in shares)} can't be used: it should be three positive shares, of train, "
            "val and test, with the sum 1."
        )
    least = LEAST if units >= LEAST * len(PARTS) else 1
    val, test = (max(least, round(share * units)) for share in shares[1:])
    test = min(test, units - least - least)
    val = min(val, units - least - test)
    parts = np.zeros(units, dtype=np.int64)
    shuffled = torch.randperm(units, generator=generator(seed, "data/split")).numpy()
    parts[shuffled[:val]] = 1
    parts[shuffled[val : val + test]] = 2
    return parts


def _spread(y: Float64[np.ndarray, "rows outputs"], equal: Int64[np.ndarray, " rows"]) -> tuple[float, ...]:
    """Pooled variance of each output within the blocks of rows that ``equal`` numbers."""
    counts = np.bincount(equal)
    freedom = len(y) - len(counts)
    if not freedom:
        return tuple(float("nan") for _ in y.T)
    with np.errstate(over="ignore"):
        means = np.stack([np.bincount(equal, column) for column in y.T], axis=1) / counts[:, None]
        pooled = np.square(y - means[equal]).sum(axis=0) / freedom
    return tuple(float(each) for each in pooled)


def _roles(
    columns: Columns, inputs: Sequence[str], outputs: Sequence[str], split_column: str, group_column: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and the outputs, each a column that has no other role."""
    if not outputs:
        raise BadInput(f"outputs is not given; it should name what is to be learned of {listed(columns)}.")
    taken: dict[str, str] = {}
    given = {"inputs": inputs, "outputs": outputs, "split_column": [split_column], "group_column": [group_column]}
    for field, name in ((field, name) for field, named in given.items() for name in named):
        if not name and field.endswith("_column"):
            continue
        check_column(columns, name, field)
        if name in taken:
            raise BadInput(
                f"{field} = {quoted(name)} has a role already, in {taken[name]}; a column can have only one."
            )
        taken[name] = field
    found = tuple(inputs) or tuple(name for name in columns.names if name not in taken and has_numbers(columns, name))
    if not found:
        raise BadInput(f"{columns.what} has no column of numbers left for the inputs.")
    return found, tuple(outputs)


def _refuse_what_can_not_be_learned(columns: Columns, inputs: Sequence[str], x: Any, rows: int) -> None:
    """Too few rows, or an input that says nothing."""
    least = LEAST * len(PARTS)
    if len(x) < least:
        of_all = f" without missing values, of {rows}" if len(x) < rows else ""
        raise BadInput(
            f"{columns.what} has {len(x)} {'row' if len(x) == 1 else 'rows'}{of_all}; at least {least} are needed, "
            f"{LEAST} for each of train, val and test."
        )
    for name, column in zip(inputs, x.T, strict=True):
        if (column == column[0]).all():
            others = [each for each in inputs if each != name]
            way = f"name the inputs without it: inputs={','.join(others[:MOST_NAMED])}" if others else "name another"
            raise BadInput(
                f"{columns.what} has {column[0]:g} in all rows of input {quoted(name)}, from which nothing can be "
                f"learned; {way}{',...' if len(others) > MOST_NAMED else ''}."
            )


def _check_parts(columns: Columns, name: str, parts: Any, rows: Any, groups: Any) -> None:
    """Each row has a part, and each group only one."""
    bad = ~np.isin(parts, PARTS)
    if bad.any():
        row = int(np.flatnonzero(rows)[bad.argmax()])
        raise BadInput(
            f"{columns.what} has {quoted(str(parts[bad.argmax()]))} in column {quoted(name)}, row {row + 1}; allowed: "
            f"{', '.join(PARTS)}."
        )
    if groups is None:
        return
    known, codes = np.unique(groups, return_inverse=True)
    torn = np.sum([np.isin(np.arange(len(known)), codes[parts == part]) for part in PARTS], axis=0) > 1
    if torn.any():
        raise BadInput(
            f"{columns.what} has rows of group {quoted(str(known[torn.argmax()]))} in two parts of column {quoted(name)}; "
            "a group should be in one."
        )
