"""Many models are grouped by kind: the best of each in front, the others in tables."""

from __future__ import annotations

from dataclasses import replace

from reports.comparing.competitors import competitor_tables, table_of_needs
from reports.comparing.groups import MOST, in_front
from reports.comparing.overall import MOST_PAIRS, overall
from reports.comparing.tables import tables
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from reports.verdicts.need import needs_of
from tests.reports.support import NOTHING, facts, made

NETWORKS = ("mlp", "mlp_fourier", "siren", "kan", "kan_pruned", "one", "two", "three", "four")
FIT = facts("x", sections=["section1_1"])


def cell(model: str, error: float, val: float, preset: str = "tuned") -> Cell:
    metrics = {"final/dense_nmse": error, "val/mse": val, "time/train_s": 3.0, "model/active_params": 9.0}
    return replace(made(FIT, metrics, model=model), preset=preset)


MANY = [cell(model, 10.0**-rank, 10.0**-rank) for rank, model in enumerate(NETWORKS)]
SOLVERS = [cell("spectral", 1e-7, 1e-3), cell("finite_difference", 1e-2, 1e-4)]


def test_of_many_models_a_picture_shows_of_each_kind_that_of_least_validation_error() -> None:
    group = {each.model: [each] for each in MANY}
    assert len(group) > MOST
    assert list(in_front(group)) == ["mlp_fourier", "siren", "kan_pruned", "four"]
    few = {each.model: [each] for each in MANY[:MOST]}
    assert in_front(few) == few


def test_of_many_pairs_the_overview_shows_the_first_of_each_kind_and_says_so() -> None:
    cells = [*MANY, *(replace(each, preset="lm") for each in MANY), *SOLVERS]
    found = overall(Evidence(Selection(presets=("tuned", "lm")), tuple(cells), True, "1", {}))
    assert found is not None
    assert len(found.profile) > MOST_PAIRS
    assert {pair.model for pair in found.front} == {"mlp_fourier", "siren", "kan_pruned", "four", "spectral"}
    assert f"the best of {len(found.profile)} models and presets" in found.folded


def test_a_table_with_a_column_for_each_of_many_models_becomes_one_for_each_kind() -> None:
    found = tables(Evidence(Selection(), tuple(MANY), True, "1", {}), NOTHING, "tuned")
    firsts = [table for table in found if table.number == 1]
    assert [table.title for table in firsts] == [
        "Function approximation (Section 1.1): MLPs",
        "Function approximation (Section 1.1): implicit representations",
        "Function approximation (Section 1.1): KANs",
        "Function approximation (Section 1.1): other models",
    ]
    assert [table.columns[2:] for table in firsts] == [NETWORKS[:2], NETWORKS[2:3], NETWORKS[3:5], NETWORKS[5:]]


def test_the_best_of_each_kind_is_chosen_by_validation_and_told_with_its_name() -> None:
    groups = {"mine": {each.model: [each] for each in MANY[:5]}}
    best, classical = competitor_tables("tuned", groups, {"mine": {each.model: [each] for each in SOLVERS}})
    assert best.rows == (("mine", "0.1 mlp_fourier", "0.01 siren", "1e-4 kan_pruned", "0.01 finite_difference"),)
    assert [row[:2] for row in classical.rows] == [("mine", "NMSE"), ("mine", "seconds"), ("mine", "parameters")]
    assert competitor_tables("tuned", groups, {}) == []


def test_the_table_of_needs_has_the_answer_in_front() -> None:
    table = table_of_needs(needs_of([*MANY, *SOLVERS]))
    assert table is not None
    assert table.rows[0][:3] == ("mine", "yes, unsure", "1 of 1")
    assert "to" not in str(table.rows[0][3]), "one seed has no range"
    seeds = [replace(each, seed=seed) for seed in range(2) for each in (*MANY, *SOLVERS)]
    of_two = table_of_needs(needs_of(seeds))
    assert of_two is not None
    assert " to " in str(of_two.rows[0][3])
    assert table_of_needs(()) is None


def test_the_table_of_needs_says_where_the_clock_has_stopped_a_classical_method() -> None:
    solver = made(FIT, SOLVERS[1].run.metrics if SOLVERS[1].run else {}, model="rbf", tags={"search.cut_short": "over"})
    table, without = table_of_needs(needs_of([*MANY, solver])), table_of_needs(needs_of([*MANY, *SOLVERS]))
    assert table is not None
    assert without is not None
    assert "rbf‡" in table.rows[0]
    assert "‡ its seconds were over before its largest size" in table.note
    assert "‡" not in without.note


def test_a_preset_that_all_networks_share_is_told_once() -> None:
    (need,) = needs_of([*MANY, *SOLVERS])
    one, two = table_of_needs([need]), table_of_needs([need, replace(need, network=replace(need.network, preset="lm"))])
    assert one is not None
    assert two is not None
    assert one.rows[0][4] == need.network.model
    assert f"The networks are of preset {need.network.preset}." in one.note
    assert [row[4] for row in two.rows] == [f"{need.network.model}, {preset}" for preset in (need.network.preset, "lm")]
    assert "of preset" not in two.note


def test_a_model_that_knows_its_target_is_marked_where_it_is_the_best_of_its_kind() -> None:
    knowing = made(
        FIT, {"final/dense_nmse": 1e-9, "val/mse": 1e-9}, model="siren", tags={"preset.knows_target": "true"}
    )
    best, _ = competitor_tables("tuned", {"mine": {"siren": [knowing]}}, {"mine": {SOLVERS[0].model: SOLVERS[:1]}})
    assert best.rows == (("mine", "1e-9† siren", "1e-7 spectral"),)
    needs = table_of_needs(needs_of([knowing, *SOLVERS]))
    assert needs is not None
    for table in (best, needs):
        assert "† shape chosen with knowledge of the target" in table.note
