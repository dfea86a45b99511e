"""What a figure of a run shows, as far as its PNG says so: whether it is whole and not blank, and its axes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from reports.reading.gone import Gone

MOST_PIXELS = 20_000
"""Of a row of a picture."""
ROWS = 4
"""That are unpacked at once: a figure shows its eleven different rows within its title, in the first twenty."""
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a pixel, by the colour type of a PNG."""
PNG = b"\x89PNG\r\n\x1a\n"


def check_png(content: bytes) -> None:
    """Raise ValueError unless this is a whole PNG, by its checksums, of more than one colour.

    It is unpacked only as far as it takes to see a second colour: after the five filters of PNG (specification, section 9), each
    on the first row and on others, a picture of one colour has at most ten different rows, and in each of them all pixels but
    the first are equal.
    """
    if not content.startswith(PNG):
        raise ValueError("is not a PNG")
    width, bits, packed, ended = 0, 0, [], False
    for kind, data in _chunks(content):
        if kind == b"IHDR":
            width, bits = int.from_bytes(data[:4]), data[8] * SAMPLES.get(data[9], 0) if len(data) == 13 else 0
            if not 0 < width <= MOST_PIXELS or not bits:
                raise ValueError("has a header that is of no picture")
        elif kind == b"IDAT":
            packed.append(data)
        ended = kind == b"IEND"
    if not ended or not packed:
        raise ValueError("is cut short")
    row, pixel = 1 + (width * bits + 7) // 8, 0 if bits % 8 else bits // 8
    unpack, rest, seen = zlib.decompressobj(), b"".join(packed), set()
    left = b""
    while rest or left:
        block = left + unpack.decompress(rest, ROWS * row)
        rest = unpack.unconsumed_tail
        rows = [block[start : start + row] for start in range(0, len(block) - row + 1, row)]
        seen.update(rows)
        left = block[len(block) - len(block) % row :] if rest else b""
        if len(seen) > 10 or (pixel and any(each[1 + pixel : -pixel] != each[1 + 2 * pixel :] for each in rows)):
            return
    raise ValueError("is blank")


@dataclass(frozen=True)
class DrawnAxes:
    """Axes of a figure: the limits of y, and the least and largest y of each curve by its name."""

    shown: tuple[float, float]
    data: dict[str, tuple[float, float]]


AXES = TypeAdapter(list[DrawnAxes])


def drawn_axes(path: Path) -> list[DrawnAxes]:
    """What a figure of a run says of its axes, in its own text chunk ``axes``. Raises Gone where it says nothing usable."""
    try:
        for kind, data in _chunks(path.read_bytes()):
            name, _, text = data.partition(b"\0")
            if (kind, name) == (b"tEXt", b"axes"):
                return AXES.validate_json(text)
    except (OSError, ValueError) as error:
        raise Gone(f"{path.name} can't be read: {str(error).splitlines()[0]}") from error
    raise Gone(f"{path.name} says nothing of its axes; an older version drew it")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(content[at + 8 + size : at + 12 + size]):
            raise ValueError("is damaged")
        yield kind, data
        at += 12 + size
