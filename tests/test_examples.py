"""The files that the documentation uses are those of the script beside them."""

from __future__ import annotations

import runpy

import numpy as np
from PIL import Image

from harness.problems.table import read
from tests.support import ROOT

MADE = runpy.run_path(str(ROOT / "examples" / "make.py"))


def test_the_pendulum_is_the_script_s_and_its_repeated_rows_tell_the_noise() -> None:
    path = ROOT / "examples" / "pendulum.csv"
    assert path.read_text() == MADE["pendulum"]()
    table = read(path, outputs=["period"])
    assert table.inputs == ("length", "amplitude")
    assert 0.7 < table.spread[0] ** 0.5 / MADE["NOISE"] < 1.4


def test_the_picture_is_the_script_s() -> None:
    path = ROOT / "examples" / "picture.png"
    with Image.open(path) as picture:
        assert (
            np.abs(np.asarray(picture, int) - np.asarray(MADE["picture"](), int)).max() <= 1
        )  # of 255: libraries round
    table = read(path)
    assert (table.inputs, table.outputs, table.image) == (("x", "y"), ("grey",), (256, 256))
