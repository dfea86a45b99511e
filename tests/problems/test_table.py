from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from harness.errors import BadInput
from harness.problems.table import PARTS, Table, of_numbers, read, split

NAMES = ["a", "b", "y", "group"]
few = st.integers(-2, 2).map(float)
rows_of = st.lists(st.tuples(few, few, few, st.sampled_from("pqr")), min_size=6, max_size=40)


def table_of(rows: list[tuple[float, float, float, str]], grouped: bool = False) -> Table:
    numbers = np.array([row[:3] for row in rows])
    groups = np.array([row[3] for row in rows]) if grouped else None
    return of_numbers("points", ["a", "b"], ["y"], numbers[:, :2], numbers[:, 2:], groups=groups)


def distinct(count: int) -> Table:
    x = np.arange(float(count))[:, None]
    return of_numbers("points", ["x"], ["y"], x, np.square(x))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def points(path: Path, rows: list[tuple[Any, ...]], names: list[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@given(st.data(), rows_of, st.booleans(), st.integers(0, 9))
def test_the_order_of_the_rows_matters_for_nothing(data: Any, rows: Any, grouped: bool, seed: int) -> None:
    table, permuted = table_of(rows, grouped), table_of(data.draw(st.permutations(rows)), grouped)
    assert table.digest == permuted.digest
    assert np.array_equal(table.x, permuted.x)
    assert np.array_equal(table.y, permuted.y)
    assert table.spread == pytest.approx(permuted.spread, nan_ok=True)
    assert splits(table, seed) == splits(permuted, seed)


def splits(table: Table, seed: int) -> Any:
    try:
        return [part.tolist() for part in split(table, seed)]
    except BadInput as error:
        return str(error)


@given(
    rows_of, st.booleans(), st.integers(0, 9), st.sampled_from([(0.7, 0.15, 0.15), (0.2, 0.2, 0.6), (0.98, 0.01, 0.01)])
)
def test_parts_are_disjoint_and_complete_and_no_group_is_split(
    rows: Any, grouped: bool, seed: int, shares: tuple[float, ...]
) -> None:
    table = table_of(rows, grouped)
    try:
        parts = split(table, seed, shares)
    except BadInput:
        units = len({row[3 if grouped else slice(2)] for row in rows})
        assert units < 6
        return
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))
    assert min(map(len, parts)) >= 2
    for one, other in ((0, 1), (0, 2), (1, 2)):
        if grouped:
            assert table.groups is not None
            assert not set(table.groups[parts[one]]) & set(table.groups[parts[other]])
        else:  # rows of equal inputs: the answer to a held-out row would stand in the training rows
            assert not set(map(tuple, table.x[parts[one]])) & set(map(tuple, table.x[parts[other]]))


def test_minus_zero_is_zero() -> None:
    rows = [(float(i % 4), 0.0, float(i), "p") for i in range(8)]
    assert table_of(rows).digest == table_of([(a, -b, c, group) for a, b, c, group in rows]).digest


@pytest.mark.parametrize(
    ("count", "shares", "sizes"),
    [
        (20, (0.7, 0.15, 0.15), [14, 3, 3]),
        (6, (0.7, 0.15, 0.15), [2, 2, 2]),
        (100, (0.01, 0.01, 0.98), [2, 2, 96]),
        (1000, (0.5, 0.25, 0.25), [500, 250, 250]),
    ],
)
def test_each_part_gets_its_share_and_two_rows_at_the_least(count: int, shares: Any, sizes: list[int]) -> None:
    assert [len(part) for part in split(distinct(count), 0, shares)] == sizes


def test_another_seed_gives_other_parts_and_the_same_seed_the_same() -> None:
    table = distinct(30)
    assert splits(table, 0) == splits(table, 0)
    assert splits(table, 0) != splits(table, 1)


def test_the_parts_that_a_column_names_are_taken_whatever_the_seed(tmp_path: Path) -> None:
    rows = [(i, 2 * i, PARTS[i % 3]) for i in range(9)]
    table = read(points(tmp_path / "p.csv", rows, ["x", "y", "set"]), outputs=["y"], split_column="set")
    assert table.inputs == ("x",)
    for seed in (0, 1):
        train, val, test = split(table, seed)
        assert [table.x[part, 0].tolist() for part in (train, val, test)] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_groups_of_a_column_stay_together_and_are_no_input(tmp_path: Path) -> None:
    rows = [(i, 2 * i, i // 4) for i in range(40)]
    table = read(points(tmp_path / "p.csv", rows, ["x", "y", "patient"]), outputs=["y"], group_column="patient")
    assert table.inputs == ("x",)
    parts = [set(table.x[part, 0] // 4) for part in split(table, 3)]
    assert [len(part) for part in parts] == [6, 2, 2]


def test_inputs_are_all_other_columns_of_numbers_in_the_order_of_the_file_unless_named(tmp_path: Path) -> None:
    rows = [("Rome", i, True, i % 2 == 0, f"2026-01-{i + 1:02}", 3 * i) for i in range(8)]
    path = points(tmp_path / "p.csv", rows, ["city", "z", "always", "even", "day", "a"])
    with pytest.raises(
        BadInput, match=r"has 1 in all rows of input 'always'.*; name the inputs without it: inputs=z,even"
    ):
        read(path, outputs=["a"])
    table = read(path, inputs=["even", "z"], outputs=["a"])
    assert table.inputs == ("even", "z")
    assert table.x[0].tolist() == [0, 1]


def test_a_table_holds_raw_numbers_and_nothing_of_its_place(tmp_path: Path) -> None:
    rows = [(i, 1e-320 * i, 1e300 * i) for i in range(8)]
    path = points(tmp_path / "my points.csv", rows, ["a", "größe", "y"])
    table = read(path, outputs=["y"])
    assert (table.name, table.inputs, table.outputs) == ("my points", ("a", "größe"), ("y",))
    assert table.x[1].tolist() == [1.0, 1e-320]
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "q.csv")
    assert read(moved, outputs=["y"]).digest == table.digest


def test_the_digest_is_that_of_all_that_is_used(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [(i, -i, i * i, PARTS[i % 3], i % 3) for i in range(9)]
    names = ["a", "b", "y", "set", "group"]
    path = points(tmp_path / "p.csv", rows, names)
    digests = {
        read(path, ["a"], ["y"]).digest,
        read(path, ["b"], ["y"]).digest,
        read(path, ["a", "b"], ["y"]).digest,
        read(path, ["b", "a"], ["y"]).digest,
        read(path, ["a"], ["y"], split_column="set").digest,
        read(path, ["a"], ["y"], group_column="group").digest,
    }
    rows[4] = (4, -4, 16.000000000000004, *rows[4][3:])
    digests.add(read(points(path, rows, names), ["a"], ["y"]).digest)
    assert len(digests) == 7
    rows[4] = (4, -5, 16, *rows[4][3:])
    assert read(points(path, rows, names), ["a"], ["y"]).digest in digests, "of a column that is not used it is not"


def test_the_spread_is_the_pooled_variance_among_equal_inputs() -> None:
    generator = np.random.default_rng(0)
    x = np.repeat(generator.normal(size=(500, 2)), 4, axis=0)
    y = np.stack([1e3 * x[:, 0], x.sum(axis=1)], axis=1) + generator.normal(size=(2000, 2)) * [0.5, 0.0]
    table = of_numbers("points", ["a", "b"], ["u", "v"], x, y)
    assert table.spread == pytest.approx((0.25, 0.0), rel=0.1, abs=1e-20)
    assert all(math.isnan(spread) for spread in distinct(9).spread)


def test_rows_without_a_value_are_dropped_and_counted_where_that_is_wanted(tmp_path: Path) -> None:
    text = "a,unused,group,y\n,1,p,1\n1,1,,1\n1,1,p,NA\n" + "".join(f"{i},,p{i},{i}\n" for i in range(7))
    table = read(write(tmp_path / "p.csv", text), ["a"], ["y"], group_column="group", missing="drop")
    assert (table.dropped, len(table.x)) == (3, 7)


def test_columns_of_every_numeric_type_become_float64(tmp_path: Path) -> None:
    kinds = [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(22, 2), pa.bool_()]
    numbers = pa.array([0, 1, 1, 0, 1, 0])
    frame = {str(kind): numbers.cast(kind) for kind in kinds} | {
        "halffloat": pa.array(np.array([0, 1, 1, 0, 1, 0], np.float16)),
        "y": pa.array(range(6)),
    }
    parquet.write_table(pa.table(frame), tmp_path / "p.parquet")
    table = read(tmp_path / "p.parquet", outputs=["y"])
    assert len(table.inputs) == 6
    assert {tuple(column) for column in table.x[np.argsort(table.y[:, 0])].T} == {(0, 1, 1, 0, 1, 0)}


def test_an_unsigned_number_that_float64_would_round_is_refused_too(tmp_path: Path) -> None:
    digests = pa.array([1, 2**63 + 5, 3, 4, 5, 6], pa.uint64())
    parquet.write_table(pa.table({"digest": digests, "y": pa.array(range(6))}), tmp_path / "p.parquet")
    with pytest.raises(BadInput, match=r"has 9223372036854775813 in column 'digest', row 2, an integer beyond 2\^53"):
        read(tmp_path / "p.parquet", outputs=["y"])


def test_a_picture_needs_no_names_and_keeps_the_order_of_its_pixels(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.arange(36, dtype=np.uint8).reshape(3, 4, 3)).save(tmp_path / "p.png")
    table = read(tmp_path / "p.png")
    assert (table.inputs, table.outputs, table.image, table.groups) == (("x", "y"), ("r", "g", "b"), (3, 4), None)
    assert np.array_equal(table.y.reshape(3, 4, 3) * 255, np.arange(36).reshape(3, 4, 3))
    assert read(tmp_path / "p.png", outputs=["g"]).y.shape == (12, 1)


MANY = "".join(f"{i},{i * i}\n" for i in range(8))


@pytest.mark.parametrize(
    ("text", "fields", "sentence"),
    [
        (
            "a,y\n,1\n",
            {},
            "no value in column 'a', row 1; fill it in, leave such rows out by missing=drop, or name inputs",
        ),
        ("a,y\n1,1\n2,\n,2\n", {}, "no value in column 'y', row 2, and 2 such rows"),
        ("a,y\n1,inf\n", {}, "has inf in column 'y', row 1; each value should be a finite number."),
        ("a,y\n1,1\n-1e999,2\n", {}, "has -inf in column 'a', row 2"),
        ("a,y\n1,2\nabc,3\n", {}, "has 'abc' in column 'a', row 2, which is no number; correct it, or name inputs and"),
        (
            'a,y\n1,2\n2,"1,234"\n',
            {},
            "has '1,234' in column 'y', row 2; write numbers with a decimal point and with nothing",
        ),
        ("a;y\n0,5;3\n0;2.5\n", {"sep": ";"}, "has '2.5' in column 'y', row 2, beside numbers with decimal commas"),
        ("a;y\n0,5;1.234,5\n", {"sep": ";"}, "has '1.234,5' in column 'y', row 1; write numbers with a decimal point"),
        (
            "a,y\n1,9007199254740993\n",
            {},
            "has 9007199254740993 in column 'y', row 1, an integer beyond 2^53, which float64 would round; make it",
        ),
        ("a,y\n", {"inputs": ["b"]}, "inputs = 'b' is no column of 'p.csv'; allowed: a, y."),
        ("alpha,y\n", {"inputs": ["alhpa"]}, "inputs = 'alhpa' is no column of 'p.csv'; did you mean 'alpha'?"),
        ("a,y\n", {"outputs": ["y", "y"]}, "outputs = 'y' has a role already, in outputs"),
        ("a,y\n", {"inputs": ["y"]}, "outputs = 'y' has a role already, in inputs"),
        ("a,y\n", {"group_column": "y"}, "group_column = 'y' has a role already, in outputs"),
        (
            "a,y\n",
            {"outputs": []},
            "outputs is not given; it should name what is to be learned of the columns of 'p.csv': a, y.",
        ),
        ("a,y\n", {"outputs": ["a", "y"]}, "has no column of numbers left for the inputs"),
        ("a,y\n", {"split_column": "a"}, "has no column of numbers left for the inputs"),
        ("a,y\n", {"split_column": "a", "inputs": ["a"]}, "split_column = 'a' has a role already, in inputs"),
    ],
)
def test_what_can_not_be_learned_from_is_refused_in_one_sentence(
    tmp_path: Path, text: str, fields: dict[str, Any], sentence: str
) -> None:
    fields = {"outputs": ["y"], **fields}
    more = MANY.replace(",", fields.pop("sep", ","))
    with pytest.raises(BadInput) as raised:
        read(write(tmp_path / "p.csv", text + more), **fields)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "fields", "sentence"),
    [
        ("a,y\n", {}, "has 0 rows; at least 6 are needed, 2 for each of train, val and test."),
        ("a,y", {}, "has 0 rows; at least 6 are needed"),
        ("a,y\n1,2\n", {}, "has 1 row; at least 6 are needed"),
        (
            "a,y\n" + ",1\n" * 5 + MANY[:16],
            {"missing": "drop"},
            "has 4 rows without missing values, of 9; at least 6 are",
        ),
        ("a,y\n" + "1,2\n" * 9, {}, "has 1 in all rows of input 'a', from which nothing can be learned; name another."),
        (
            "city,a,y\n" + "Rome,1,2\n" * 9,
            {"inputs": ["city"]},
            "has 'Rome' in column 'city', row 1, which is no number",
        ),
        ("day,y\n" + "2026-01-01,2\n" * 9, {"inputs": ["day"]}, "has date32[day] in column 'day', and not numbers"),
        (
            "a,y,set\n" + "1,2,train\n" * 8 + "2,2,dev\n",
            {"split_column": "set"},
            "has 'dev' in column 'set', row 9; allowed: train, val, test.",
        ),
        (
            "a,y,set,id\n" + "".join(f"{i},2,{PARTS[i % 3]},{i // 2}\n" for i in range(9)),
            {"split_column": "set", "group_column": "id"},
            "has rows of group '0' in two parts of column 'set'",
        ),
    ],
)
def test_a_whole_file_that_can_not_be_learned_from_is_refused_in_one_sentence(
    tmp_path: Path, text: str, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadInput) as raised:
        read(write(tmp_path / "p.csv", text), outputs=["y"], **fields)
    assert sentence in str(raised.value)


@given(st.text('a;,\t\n\r".15e- nN\u00df\x00', max_size=60), st.sampled_from(["csv", "tsv"]))
@example(text="a,b\n" + "1,1\n2,2\n" * 5, extension="csv")
def test_any_text_is_a_table_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str, extension: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{extension}"
    path.write_bytes(f"a,b\n{text}".encode())
    for outputs in (["a"], ["b"], []):
        table = table_or_sentence(path, outputs)
        if isinstance(table, Table):
            assert len(table.x) >= 6
            assert np.isfinite(table.x).all()
        else:
            assert "\n" not in table


def table_or_sentence(path: Path, outputs: list[str]) -> Table | str:
    try:
        return read(path, outputs=outputs, missing="drop")
    except BadInput as error:
        return str(error)


def test_of_many_columns_a_sentence_names_some(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(40)]
    path = points(tmp_path / "p.csv", [tuple(range(40))], names)
    with pytest.raises(BadInput, match=r"outputs = 'zzz' is no column .*: c0, c1, .*, c11 and 28 more\.$"):
        read(path, outputs=["zzz"])


def test_a_part_that_would_have_no_rows_is_refused(tmp_path: Path) -> None:
    rows = [(i, i, "train" if i else "test") for i in range(8)]
    table = read(points(tmp_path / "p.csv", rows, ["x", "y", "set"]), outputs=["y"], split_column="set")
    with pytest.raises(BadInput, match="has 0 rows for part val; each part needs at least 2"):
        split(table, 0)


def test_two_groups_are_too_few_for_three_parts() -> None:
    groups = np.array([0, 1] * 4)
    table = of_numbers("points", ["x"], ["y"], np.arange(8.0)[:, None], np.arange(8.0)[:, None], groups=groups)
    with pytest.raises(BadInput, match="has 2 groups of rows that stay together; at least 3 are needed"):
        split(table, 0)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.7, 0.3, 0.0), (0.7, 0.2, 0.2), (math.nan, 0.5, 0.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="it should be three positive shares, of train, val and test, with the sum 1"):
        split(distinct(9), 0, shares)
