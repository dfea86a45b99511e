"""The columns of a user's file by name, as numbers or as labels, and one sentence for whatever can't be used."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

from harness.errors import BadInput, quoted
from harness.machine import gib, memory
from harness.problems.formats import PLAIN, READERS, SEPARATED, TEXT, first_line
from harness.registry import nearest

LARGEST_INTEGER = 2**53
"""Beyond it two integers can be the same float64."""
MOST_NAMED = 12
"""Columns that a sentence lists."""


@dataclass(frozen=True)
class Columns:
    """What a file holds. ``file`` is its name without folders, as sentences quote it; ``stem`` that without extensions."""

    field: str
    """Which field of a command names the file."""
    file: str
    stem: str
    data: Any
    """A ``pyarrow.Table``, a row a row, in the order of the file."""
    image: tuple[int, int] | None = None
    """Height and width where the rows are the pixels of a picture, row by row from its upper left corner."""

    @property
    def what(self) -> str:
        """How a sentence about the file begins."""
        return f"{self.field} = {quoted(self.file)}"

    @property
    def names(self) -> list[str]:
        """Those of the columns, in the order of the file."""
        return list(self.data.schema.names)


def read_columns(path: str | Path, field: str = "data") -> Columns:
    """All columns of a file, whose format its extension tells: ``READERS``, text files also as ``.gz``.

    Raises BadInput, in one sentence with the file's name and no folder, for a file that is not there, is of another
    format, has two columns of one name or one without a name, or does not fit into memory.
    """
    path = Path(path)
    what = f"{field} = {quoted(path.name)}"
    try:
        if path.exists() and not path.is_file():
            raise BadInput(f"{what} is a folder or a device; it should be a file, such as points.csv.")
        stem, extension, zipped = _parted(path.name, what)
        with path.open("rb") as opened, gzip.open(opened) if zipped else opened as file:
            data, image = READERS[extension](file, what)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{what} can't be read: {error.strerror or first_line(error)}.") from error
    except MemoryError as error:
        raise BadInput(f"{what} does not fit into memory, of which there is {gib(memory())}.") from error
    except Exception as error:  # a damaged file makes its reader raise anything
        raise BadInput(f"{what} can't be read: {first_line(error)}.") from error
    _check_names(what, data.schema.names)
    return Columns(field, path.name, stem, _plain(data), image)


def _parted(name: str, what: str) -> tuple[str, str, bool]:
    """A file's name without extensions, the extension that tells its format, and whether it is zipped."""
    zipped = name.lower().endswith(".gz")
    stem, dot, extension = (name[:-3] if zipped else name).rpartition(".")
    extension = dot + extension.lower()
    if not stem or extension not in (TEXT if zipped else READERS):
        raise BadInput(
            f"{what} has an extension that is not known; allowed: {', '.join(READERS)}, "
            f"{', '.join(f'{each}.gz' for each in TEXT)}."
        )
    return stem, extension, zipped


def _check_names(what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise BadInput(
                f"{what} has no name for column {number}; give it one, or leave it out (pandas writes its index so, "
                "unless index=False)."
            )
        if name in seen:
            raise BadInput(f"{what} has two columns {quoted(name)}; give each a name of its own.")
        if not name.isprintable():
            raise BadInput(f"{what} has a column {quoted(name)}; a name should have no control characters.")
        seen.add(name)


def _plain(data: Any) -> Any:
    """Text as one type, and categories as what they stand for."""
    import pyarrow as pa

    def plain(kind: Any) -> Any:
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind

    return data.cast(pa.schema([(field.name, plain(field.type)) for field in data.schema]))


def check_column(columns: Columns, name: str, field: str) -> None:
    """Raise BadInput, with the nearest name, for a column that is not there; ``field`` has asked for it."""
    if name in columns.names:
        return
    near = nearest(name, columns.names)
    if len(columns.names) > MOST_NAMED and not near.startswith("did you"):
        near = f"allowed: {listed(columns)}."
    raise BadInput(f"{field} = {quoted(name)} is no column of {quoted(columns.file)}; {near}")


def listed(columns: Columns) -> str:
    """The columns of a file; of many the first ones."""
    more = len(columns.names) - MOST_NAMED
    of_more = f" and {more} more" if more > 0 else ""
    return f"the columns of {quoted(columns.file)}: {', '.join(columns.names[:MOST_NAMED])}{of_more}"


def has_numbers(columns: Columns, name: str) -> bool:
    """Whether a column is one of numbers, or of text in which some cells are numbers, which :func:`numbers` refuses."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = columns.data.column(name)
    if pa.types.is_string(column.type):
        return any(pc.any(pc.match_substring_regex(column, pattern)).as_py() for pattern in (PLAIN, SEPARATED))
    kinds = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(kind(column.type) for kind in kinds)


def numbers(columns: Columns, name: str, way_out: str = "") -> Float64[np.ndarray, " rows"]:
    """A column in float64, NaN where a value is missing; true and false are 1 and 0.

    Raises BadInput, with the row (counted from 1, without the line of names), for text, for an infinite value, and for an
    integer that float64 can't hold. ``way_out`` ends these sentences, and is what to do besides correcting the file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = columns.data.column(name)
    if not has_numbers(columns, name) or pa.types.is_string(column.type):
        raise BadInput(f"{columns.what} has {_no_number(column, name)}{way_out}.")
    if pa.types.is_integer(column.type):
        largest = pa.scalar(LARGEST_INTEGER, pa.uint64() if pa.types.is_uint64(column.type) else pa.int64())
        beyond = pc.greater(column, largest)
        if pa.types.is_signed_integer(column.type):
            beyond = pc.or_(beyond, pc.less(column, -LARGEST_INTEGER))
        row = pc.index(beyond, True).as_py()
        if row >= 0:
            raise BadInput(
                f"{columns.what} has {column[row]} in column {quoted(name)}, row {row + 1}, an integer beyond 2^53, which "
                f"float64 would round; make it smaller{way_out}."
            )
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    found = np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if np.isinf(found).any():
        row = int(np.isinf(found).argmax())
        raise BadInput(
            f"{columns.what} has {found[row]} in column {quoted(name)}, row {row + 1}; each value should be a finite number."
        )
    return found


def _no_number(column: Any, name: str) -> str:
    """What is in a column that is not one of numbers, and what is to be done."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return f"{column.type} in column {quoted(name)}, and not numbers; write them as numbers"

    def cell(found: Any) -> str:
        row = max(pc.index(found, True).as_py(), 0)
        return f"{quoted(column[row].as_py())} in column {quoted(name)}, row {row + 1}"

    separated = pc.match_substring_regex(column, SEPARATED)
    if pc.any(separated).as_py():
        return f"{cell(separated)}; write numbers with a decimal point and with nothing between thousands"
    other = pc.invert(pc.match_substring_regex(column, PLAIN))
    if pc.any(other).as_py():
        return f"{cell(other)}, which is no number; correct it"
    pointed = pc.match_substring(column, ".")
    return f"{cell(pointed)}, beside numbers with decimal commas; write all of them alike"


def labels(columns: Columns, name: str) -> Shaped[np.ndarray, " rows"]:
    """A column as text, empty where a value is missing. Raises BadInput for one of lists or other structures."""
    import pyarrow as pa

    column = columns.data.column(name)
    try:
        found = np.array(column.cast(pa.string()).fill_null("").to_pylist(), dtype=str)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(
            f"{columns.what} has {column.type} in column {quoted(name)}; it should be text or numbers."
        ) from error
    return np.where(found == "nan", "", found) if pa.types.is_floating(column.type) else found


def refuse_missing(columns: Columns, names: list[str], there: Any, way_out: str = "") -> None:
    """Raise BadInput where ``there``, of shape ``(rows, names)``, is false: a value is missing."""
    if there.all():
        return
    row, column = np.argwhere(~there)[0]
    count = int((~there.all(axis=1)).sum())
    raise BadInput(
        f"{columns.what} has no value in column {quoted(names[column])}, row {row + 1}"
        f"{f', and {count} such rows' if count > 1 else ''}; fill it in{way_out}."
    )
