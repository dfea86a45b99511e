"""From a file to columns: CSV, TSV, Parquet, Arrow, NPZ and pictures, each by a function that reads it or raises.

Nothing in a file is executed or guessed: pickles are refused, and a number that could be read in two ways stays text.
"""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Callable
from functools import partial
from io import BufferedIOBase
from typing import Any, BinaryIO, cast

import numpy as np

from harness.errors import BadInput, quoted
from harness.machine import gib, memory

COPIES = 3
"""Bytes that reading a byte takes at the least: the file, its columns, and the numbers in the order of a table."""
BLOCK = 2**24
"""Bytes that one line of a text file may have."""
MISSING = ["", "#N/A", "#NA", "-NaN", "-nan", "<NA>", "?", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
"""What stands for no value in a text file."""
PLAIN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
DECIMAL_COMMA = r"^\s*[+-]?(0*,\d+|\d+,\d{1,2}|\d+,\d{4,}|\d{4,},\d+|0\d*,\d+|\d*,\d+[eE][+-]?\d+)\s*$"
"""A number with a decimal comma, and not one that could be a thousands separator: 1,5 and not 1,500."""
SEPARATED = "^\\s*[+-]?(\\d{1,3}([ ,.'\u00a0\u202f]\\d{3})+([.,]\\d+)?|\\d*,\\d+([eE][+-]?\\d+)?)\\s*$"
"""A number as people write it, with a decimal comma or with separators between thousands."""


def first_line(error: Exception) -> str:
    """What another's code says of a file."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def refuse_too_large(what: str, size: int) -> None:
    """Raise BadInput for ``size`` bytes of numbers or text that can't be read in the memory that there is."""
    if COPIES * size > (room := memory()):
        raise BadInput(f"{what} needs at least {gib(COPIES * size)} of memory, and there is {gib(room)}.")


def _text(file: BufferedIOBase, what: str, separators: str) -> tuple[Any, None]:
    """Columns of a text file; where semicolons or tabs separate them, a number may have a decimal comma."""
    import pyarrow as pa

    if not isinstance(file, gzip.GzipFile):
        refuse_too_large(what, file.seek(0, 2))
        file.seek(0)
    room = memory() // COPIES
    raw = file.read(room + 1)  # what a .gz becomes is known only then
    if len(raw) > room:
        refuse_too_large(what, len(raw))
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{what} is not text in UTF-8, first in line {line}; save it in that encoding.") from error
    first = re.search(rb"[^\r\n]+", raw)
    if first is None:
        raise BadInput(f"{what} is empty; its first line should name the columns, and each other be a row.")
    if not raw.endswith((b"\n", b"\r")):
        raw += b"\n"  # without which a line of names alone is nothing
    header = first[0].decode()
    bare = re.sub('"[^"]*"', "", header)
    separator = next((each for each in separators if each in bare), separators[-1])
    data = _parsed(raw, what, separator, ".")
    if separator != "," and any(_matches(column, DECIMAL_COMMA) for column in data.columns):
        data = _parsed(raw, what, separator, ",")
    names = [name.strip() for name in data.schema.names]
    if all(re.match(PLAIN, name) or re.match(SEPARATED, name) for name in names):
        raise BadInput(f"{what} begins with the row {quoted(header)}; its first line should name the columns.")
    return pa.table(data.columns, names=names), None


def _parsed(raw: bytes, what: str, separator: str, decimal: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    odd = []

    def keep(row: Any) -> str:
        odd.append(row)
        return "error"

    try:
        return csv.read_csv(
            pa.BufferReader(raw),
            csv.ReadOptions(use_threads=False, block_size=min(len(raw) + 1, BLOCK)),  # threads don't number the rows
            csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=keep),
            csv.ConvertOptions(decimal_point=decimal, null_values=MISSING, strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        if odd:
            cells, wanted, row = odd[0].actual_columns, odd[0].expected_columns, odd[0].number - 1
            raise BadInput(
                f"{what} has {cells} {'cell' if cells == 1 else 'cells'} instead of {wanted} in row {row}; "
                "a cell in which a separator stands needs quotes."
            ) from error
        raise BadInput(f"{what} can't be read as a table: {first_line(error)}.") from error


def _matches(column: Any, pattern: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pa.types.is_string(column.type) and bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def _parquet(file: BufferedIOBase, what: str) -> tuple[Any, None]:
    from pyarrow.parquet import ParquetFile

    opened = ParquetFile(file)
    refuse_too_large(what, 8 * opened.metadata.num_rows * len(opened.schema_arrow.names))
    return _without_index(opened.read()), None


def _arrow(file: BufferedIOBase, what: str) -> tuple[Any, None]:
    """An Arrow file (Feather, version 2), or a stream."""
    import pyarrow as pa

    refuse_too_large(what, file.seek(0, 2))
    file.seek(0)
    try:
        return _without_index(pa.ipc.open_file(file).read_all()), None
    except pa.ArrowInvalid:
        file.seek(0)
        return _without_index(pa.ipc.open_stream(file).read_all()), None


def _without_index(data: Any) -> Any:
    """Without the row labels that pandas has written under names of its own."""
    return data.select(
        [i for i, name in enumerate(data.schema.names) if not re.fullmatch(r"__index_level_\d+__", name)]
    )


def _npz(file: BufferedIOBase, what: str) -> tuple[Any, None]:
    """An array of shape ``(rows,)`` is a column of its name; one of ``(rows, k)`` is k columns, their names numbered."""
    import pyarrow as pa

    with zipfile.ZipFile(file) as members:
        refuse_too_large(what, sum(member.file_size for member in members.infolist()))
    file.seek(0)
    columns: list[tuple[str, Any]] = []
    with np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            columns += _of_array(what, name, arrays[name])
    if len({len(column) for _, column in columns}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns)
        raise BadInput(f"{what} has arrays of different lengths: {lengths}; each should have a number for every row.")
    return pa.table([column for _, column in columns], names=[name for name, _ in columns]), None


def _of_array(what: str, name: str, array: Any) -> list[tuple[str, Any]]:
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "biufUS":
        found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "no array"
        raise BadInput(
            f"{what} has {quoted(name)}, which is {found}; allowed: real numbers or text of shape (rows,) or (rows, columns)."
        )
    array = array.astype(str if array.dtype.kind == "S" else array.dtype.newbyteorder("="))
    if array.ndim == 1 or array.shape[1] == 1:
        return [(name, array.reshape(-1))]
    return [(f"{name}{number}", np.ascontiguousarray(array[:, number - 1])) for number in range(1, array.shape[1] + 1)]


def _picture(file: BufferedIOBase, what: str) -> tuple[Any, tuple[int, int]]:
    """A row a pixel: its centre ``x``, ``y`` (upwards), and ``grey``, or ``r``, ``g``, ``b``, in [0, 1].

    The longer side of the picture is [-1, 1], and the other as much shorter as it is.
    """
    import pyarrow as pa
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture: Image.Image = Image.open(cast(BinaryIO, file), formats=("PNG", "JPEG"))
        refuse_too_large(what, 8 * 5 * picture.width * picture.height)
        picture = ImageOps.exif_transpose(picture)
    except UnidentifiedImageError as error:
        raise BadInput(f"{what} is no picture in PNG or JPEG.") from error
    channels = _channels(picture, what)
    height, width = channels.shape[:2]
    pixel = 2 / max(height, width)
    x = (np.arange(width) + 0.5 - width / 2) * pixel
    y = (height / 2 - np.arange(height) - 0.5) * pixel
    names = ["x", "y", *(("grey",) if channels.shape[2] == 1 else ("r", "g", "b"))]
    grid = [np.tile(x, height), np.repeat(y, width), *channels.reshape(-1, channels.shape[2]).T]
    return pa.table([np.ascontiguousarray(column) for column in grid], names=names), (height, width)


def _channels(picture: Any, what: str) -> Any:
    """The brightness of each pixel, ``(height, width, 1 or 3)`` in [0, 1]."""
    if picture.has_transparency_data:
        clear = int((np.asarray(picture.convert("RGBA"))[..., 3] < 255).sum())
        if clear:
            raise BadInput(
                f"{what} has {clear} transparent pixels, which have no colour of their own; put it on a background."
            )
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    if picture.mode.startswith("I;16") or picture.mode == "I":
        return np.asarray(picture, dtype=np.float64)[..., None] / 65535
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), dtype=np.float64)[..., None] / 255
    if picture.mode not in ("RGB", "P"):
        raise BadInput(f"{what} has the colours {picture.mode}; allowed: grey or RGB.")
    return np.asarray(picture.convert("RGB"), dtype=np.float64) / 255


TEXT: dict[str, Callable[[BufferedIOBase, str], tuple[Any, None]]] = {
    ".csv": partial(_text, separators="\t;,"),
    ".tsv": partial(_text, separators="\t"),
}
READERS: dict[str, Callable[[BufferedIOBase, str], tuple[Any, tuple[int, int] | None]]] = {
    **TEXT,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".npz": _npz,
    ".png": _picture,
    ".jpg": _picture,
    ".jpeg": _picture,
}
