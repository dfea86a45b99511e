"""A picture counts only if it is whole and shows something."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from reports.histories import check_png


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
