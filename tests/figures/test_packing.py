"""A picture is packed in another way than by matplotlib, and nobody can tell."""

from __future__ import annotations

import io
import json

import numpy as np
from matplotlib.figure import Figure
from PIL.PngImagePlugin import PngImageFile

from harness.figures.drawing import described
from harness.figures.packing import png
from reports.reading.png import check_png


def drawn() -> Figure:
    figure = Figure(figsize=(5.01, 3.3), dpi=97)
    axes = figure.subplots()
    axes.plot([1, 3, 2], gid="target")
    axes.imshow(np.linspace(0, 1, 12).reshape(3, 4), cmap="magma", alpha=0.5)
    return figure


def test_its_pixels_and_its_words_are_those_of_savefig() -> None:
    theirs = io.BytesIO()
    drawn().savefig(theirs, format="png", dpi="figure", metadata={"axes": described(drawn())})
    ours = png(drawn())
    check_png(ours)
    expected, found = PngImageFile(io.BytesIO(theirs.getvalue())), PngImageFile(io.BytesIO(ours))
    assert expected.convert("RGBA").getchannel("A").getextrema() == (255, 255), "nothing is transparent"
    np.testing.assert_array_equal(np.asarray(found.convert("RGB")), np.asarray(expected.convert("RGB")))
    assert found.info["dpi"] == expected.info["dpi"]
    assert (found.text["Software"], set(found.text)) == (expected.text["Software"], {"Software", "axes"})
    assert json.loads(found.text["axes"])[0]["data"] == {"target": [1.0, 3.0]}
