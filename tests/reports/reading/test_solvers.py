"""Which runs are a classical solver's, and what each of their epochs is."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.reading.kinds import is_network
from reports.reading.solvers import levels
from tests.reports.support import NOTHING, facts, made, write_history


def test_every_family_but_the_classical_solvers_is_a_network() -> None:
    assert [name for name in ("mlp", "spectral", "kan", "finite_difference", "mine") if is_network(name)] == [
        "mlp",
        "kan",
        "mine",
    ]


@pytest.mark.parametrize(
    ("stages", "field", "found"),
    [
        (["degree_4", "degree_16"], "None", [4, 16]),
        (["solve", "solve"], "4,8,16", [4, 8]),
        (["solve", "solve"], "4", [4, None]),
        (["solve", "solve"], "None", [None, None]),
    ],
)
def test_a_level_is_what_the_stage_says_else_what_the_field_says(
    tmp_path: Path, stages: list[str], field: str, found: list[int | None]
) -> None:
    cell = made(
        facts("x", "u", "equation"), folder=write_history(tmp_path, {"test/mse": [1.0, 0.1]}, stages), degrees=field
    )
    assert cell.run is not None
    assert levels("spectral", cell.run, NOTHING.history(cell.run)) == found
