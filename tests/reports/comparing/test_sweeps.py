"""Error against noise and against the number of points, as a table and as a picture."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from reports.comparing.statistics import Estimate
from reports.comparing.sweeps import AXES, sweep_table, sweeps
from reports.pages.sweeps import sweep_picture
from reports.reading.cells import Cell, with_variants
from reports.reading.png import check_png
from tests.reports.support import facts, made

NOISE, POINTS = AXES


def at(noise: object, nmse: float, seed: int = 0, model: str = "kan", **fields: Any) -> Cell:
    metrics = {"final/dense_nmse": nmse, "val/mse": nmse}
    variant = ", ".join(f"{name}={value}" for name, value in fields.items())
    return made(
        facts("xy"),
        metrics,
        model=model,
        seed=seed,
        target_noise=noise,
        variant=f"{variant}, target_noise={noise}",
        **fields,
    )


SWEPT = {
    "mine": {
        "kan": [at(noise, nmse, seed) for noise, nmse in ((0.1, 1e-2), (0, 1e-8), (0.01, 1e-4)) for seed in range(3)],
        "mlp": [at(0.0, 1e-5, model="mlp"), at(0.1, 3e-2, model="mlp"), at("", 1.0, model="mlp")],
        "siren": [at(0.0, 1e-5, model="siren")],
    },
    "other": {"kan": [at(0.1, 1e-3)]},
}


def test_a_model_has_a_row_where_the_field_differs_and_its_values_rise() -> None:
    table = sweep_table("tuned", SWEPT, NOISE)
    assert table.columns == ("problem", "model", "target_noise = 0", "target_noise = 0.01", "target_noise = 0.1")
    assert [row[:2] for row in table.rows] == [("mine", "kan"), ("mine", "mlp")]
    medians = [[e.median if isinstance(e, Estimate) else e for e in row[2:]] for row in table.rows]
    assert medians == [[1e-8, 1e-4, 1e-2], [1e-5, None, 3e-2]]
    assert table.number == 9


def test_where_nothing_differs_there_is_no_row_and_no_picture_and_the_note_says_so() -> None:
    table = sweep_table("tuned", SWEPT, POINTS)
    assert table.rows == ()
    assert table.note == "No model of this selection was trained at more than one n_train."
    assert sweep_picture("tuned", SWEPT, POINTS) is None


def test_of_several_variants_at_a_value_that_of_least_validation_error_counts() -> None:
    cells = [at(noise, nmse, width=width) for noise in (0, 0.1) for width, nmse in ((5, 0.2), (9, 0.1))]
    (known,) = sweeps({"mine": {"kan": cells}}, NOISE)["mine"].values()
    assert [each.median for each in known.values()] == [0.1, 0.1]


def test_the_picture_has_a_panel_for_each_problem_and_bears_zero_and_what_was_not_reached() -> None:
    swept = {name: dict(group) for name, group in SWEPT.items()}
    swept["third"] = {"kan": [at(0, 0.0), at(0.1, math.nan), at(0.2, math.inf)]}
    picture = sweep_picture("tuned", swept, NOISE)
    assert picture is not None
    assert picture.png is not None
    check_png(picture.png)
    assert "against the target without noise" in picture.description
    only_zero = {"mine": {"kan": [at(0, 1e-3), at(-0.0, 1e-3)]}}
    assert sweep_picture("tuned", only_zero, NOISE) is None


def test_the_band_of_few_seeds_is_called_their_range() -> None:
    for seeds, said in ((5, "band: range."), (6, "band: 95% bootstrap interval.")):
        cells = [at(noise, 1e-3 * (1 + seed), seed) for noise in (0.0, 0.1) for seed in range(seeds)]
        found = sweep_picture("tuned", {"mine": {"kan": with_variants(cells)}}, AXES[0])
        assert found is not None
        assert said in found.description


def test_points_are_an_axis_too() -> None:
    cells = [made(facts("xy"), {"final/dense_nmse": 1 / n}, n_train=n, variant=f"n_train={n}") for n in (10, 100, 1000)]
    picture = sweep_picture("tuned", {"mine": {"kan": cells}}, POINTS)
    assert picture is not None
    assert picture.png is not None
    check_png(picture.png)
    assert [row[1] for row in sweep_table("tuned", {"mine": {"kan": cells}}, POINTS).rows] == ["kan"]


def test_the_rows_that_the_split_of_a_file_gives_each_seed_are_no_variant() -> None:
    def of(seed: int, n_train: int, fingerprint: str) -> Cell:
        cell = made(facts("xy"), {"final/dense_nmse": 1.0}, seed=seed, n_train=n_train, n_test=20 + seed, data="p.csv")
        assert cell.run is not None
        params = {**cell.run.params, "cfg/seed": str(seed)}
        return replace(cell, fingerprint=fingerprint, run=replace(cell.run, params=params))

    by_the_split = [of(0, 70, "a"), of(1, 71, "b")]
    assert [cell.variant for cell in with_variants(by_the_split)] == ["", ""]
    by_hand = [*by_the_split, of(0, 30, "c"), of(1, 30, "d")]
    assert [cell.variant for cell in with_variants(by_hand)] == ["n_train=70", "n_train=71", "n_train=30", "n_train=30"]
