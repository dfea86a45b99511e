"""Of many settings the better ones go on to larger sizes."""

from __future__ import annotations

from harness.config import Size
from harness.models.classical.ladder import halved

SETTINGS = tuple(range(9))
PLANNED = tuple(Size(f"{setting}_{n}", n, (setting,)) for n in (10, 20, 40, 80) for setting in SETTINGS)


def tried(finalists: int = 1, all_up_to: int = 0, planned: tuple[Size, ...] = PLANNED) -> list[tuple[int, int]]:
    """What is tried where the error is the distance from setting 4."""
    ladder, found = halved(planned, finalists, all_up_to), []
    size = next(ladder)
    while True:
        found.append((size.unknowns, size.setting[0]))
        try:
            size = ladder.send(abs(size.setting[0] - 4.1))
        except StopIteration:
            return found


def test_a_third_goes_on_and_the_best_comes_to_the_end() -> None:
    assert tried()[9:] == [(20, 3), (20, 4), (20, 5), (40, 4), (80, 4)]


def test_there_are_so_many_finalists_and_all_settings_up_to_a_size() -> None:
    assert tried(finalists=2)[-2:] == [(80, 4), (80, 5)]
    assert [n for n, _ in tried(all_up_to=20)] == [*[10] * 9, *[20] * 9, *[40] * 3, 80]


def test_a_setting_that_needs_many_unknowns_takes_part_from_there_on() -> None:
    planned = tuple(size for size in PLANNED if size.setting != (4,) or size.unknowns >= 40)
    assert [n for n, setting in tried(planned=planned) if setting == 4] == [40, 80]
