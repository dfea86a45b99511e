"""A picture counts only if it is whole and shows something."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reports.reading.gone import Gone
from reports.reading.png import DrawnAxes, check_png, drawn_axes


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def drawn() -> bytes:
    figure, buffer = Figure(), io.BytesIO()
    figure.subplots().plot([1, 3, 2])
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def test_a_drawn_figure_passes() -> None:
    check_png(drawn())


@given(st.sampled_from(["L", "RGB", "RGBA", "P"]), st.integers(0, 255), st.integers(1, 400), st.integers(1, 300))
def test_a_picture_of_one_colour_is_blank_in_whatever_format(mode: str, colour: int, width: int, height: int) -> None:
    with pytest.raises(ValueError, match="blank"):
        check_png(png(Image.new(mode, (width, height), colour)))


def test_an_empty_figure_is_blank() -> None:
    buffer = io.BytesIO()
    Figure().savefig(buffer, format="png")
    with pytest.raises(ValueError, match="blank"):
        check_png(buffer.getvalue())


@given(st.integers(0, 10_000))
def test_a_picture_cut_short_or_with_a_flipped_bit_is_refused(at: int) -> None:
    content = DRAWN
    at %= len(content)
    with pytest.raises((ValueError, KeyError)):
        check_png(content[:at])
    damaged = bytearray(content)
    damaged[at] ^= 1
    with pytest.raises((ValueError, KeyError)):
        check_png(bytes(damaged))


DRAWN = drawn()


def saying(text: str | None, path: Path) -> Path:
    said = PngInfo()
    if text is not None:
        said.add_text("axes", text)
    Image.new("L", (2, 2)).save(path, pnginfo=said)
    return path


def test_a_figure_says_what_its_axes_show(tmp_path: Path) -> None:
    text = '[{"shown": [0, 2], "data": {"target": [0.5, 1.5]}}]'
    assert drawn_axes(saying(text, tmp_path / "fit.png")) == [DrawnAxes((0.0, 2.0), {"target": (0.5, 1.5)})]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "says nothing of its axes"),
        ("[{", "can't be read"),
        ("{}", "can't be read"),
        ('[{"shown": [0], "data": {}}]', "can't be read"),
        ('[{"shown": [0, "high"], "data": {}}]', "can't be read"),
        ("[" * 100_000, "can't be read"),
    ],
)
def test_what_a_figure_says_of_its_axes_in_another_form_is_gone(text: str | None, why: str, tmp_path: Path) -> None:
    with pytest.raises(Gone, match=why):
        drawn_axes(saying(text, tmp_path / "fit.png"))


def test_a_figure_whose_bytes_are_damaged_says_nothing(tmp_path: Path) -> None:
    path = saying("[]", tmp_path / "fit.png")
    content = bytearray(path.read_bytes())
    content[content.index(b"axes") + 6] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(Gone, match="can't be read: is damaged"):
        drawn_axes(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_of_two_colours_shows_something_however_few_rows_differ(mode: str) -> None:
    striped = Image.new(mode, (40, 300), 0)
    striped.paste(Image.new(mode, (20, 300), 200), (10, 0))
    check_png(png(striped))
