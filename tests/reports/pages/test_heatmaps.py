"""Heatmaps stand on the domain of their problem, each axis with its own ends and name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from reports.pages import heatmaps
from reports.reading.targets import target
from tests.reports.support import NOTHING, facts, made, write_dense


def test_an_equation_in_space_and_time_has_each_axis_on_its_own_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []

    def keep(figure: Figure, title: str, formula: str = "") -> bytes:
        drawn.append(figure)
        return b""

    monkeypatch.setattr(heatmaps, "png", keep)
    x, t = (each.ravel() for each in np.meshgrid(np.linspace(-1, 1, 101), np.linspace(0, 3, 101), indexing="ij"))
    write_dense(tmp_path, {"x": x, "t": t, "target": x * t, "prediction": x * t + 0.1})
    cell = made(facts("xt", "u", "equation", formula="x t"), {"final/dense_nmse": 1e-3}, folder=tmp_path)
    known = target(cell)
    assert known is not None
    picture = heatmaps.heatmaps(known, "lm", {"kan": [cell]}, NOTHING)
    images = [axes for axes in drawn[0].axes if axes.get_images() and axes.get_title()]
    assert [axes.get_title() for axes in images] == ["exact u", "kan\nNMSE 0.01", "error up to 0.1"]
    for axes in images:
        assert tuple(axes.get_images()[0].get_extent()) == (-1, 1, 0, 3)
    assert images[0].get_ylabel() == "t"
    assert "target" not in picture.description
