"""The ticks of a logarithmic axis: named wherever it spans, and left alone where a picture has its own."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.pages.pictures import png


def drawn_with(high: float) -> Axes:
    axes: Axes = Figure().add_subplot()
    axes.plot([100, high], [1e-9, 1e-2])
    axes.set(xscale="log", yscale="log")
    return axes


def shown(axes: Axes) -> list[str]:
    low, high = axes.get_xlim()
    return [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]


def test_of_several_decades_these_are_named_and_of_less_than_one_round_numbers() -> None:
    for high, expected in ((1e5, ["10²", "10³", "10⁴", "10⁵"]), (130, ["100", "110", "120", "130"])):
        axes = drawn_with(high)
        assert isinstance(axes.figure, Figure)
        png(axes.figure, "a title")
        assert [each for each in shown(axes) if each in expected] == expected


def test_ticks_that_a_picture_has_chosen_stay() -> None:
    axes = drawn_with(1e5)
    axes.set_xticks([300, 30_000], ["none", "many"])
    assert isinstance(axes.figure, Figure)
    png(axes.figure, "a title")
    assert shown(axes) == ["none", "many"]
