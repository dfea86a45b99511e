from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import feather, parquet

from harness.errors import BadInput
from harness.problems import formats
from harness.problems.columns import read_columns

FRAME: dict[str, list[Any]] = {"a": [0.5, 1e-320, -3.0], "größe": [1.5, 2.5, 1e300], "word": ["x", "y", "z"]}
LINES = [("a", "größe", "word"), ("0.5", "1.5", "x"), ("1e-320", "2.5", "y"), ("-3", "1e300", "z")]


def text(separator: str, newline: str = "\n", comma: bool = False) -> bytes:
    lines = newline.join(separator.join(line) for line in LINES) + newline
    return (lines.replace(".", ",") if comma else lines).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("points.csv", text(",")),
        ("points.CSV", text(",", "\r\n")),
        ("points.csv", b"\xef\xbb\xbf" + text(", ", "\r")),
        ("points.csv", text(";")),
        ("points.csv", text(";", comma=True)),
        ("points.csv", text("\t", comma=True)),
        ("points.tsv", text("\t")),
        ("points.csv.gz", gzip.compress(text(","))),
        ("points.tsv.gz", gzip.compress(text("\t"))),
    ],
    ids=["csv", "crlf", "bom, cr", "semicolons", "decimal commas", "tabs", "tsv", "csv.gz", "tsv.gz"],
)
def test_text_is_read_however_it_is_separated_and_whatever_its_decimal_sign(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    found = read_columns(tmp_path / name)
    assert (found.file, found.stem, found.image) == (name, "points", None)
    assert {key: [_stripped(cell) for cell in column] for key, column in found.data.to_pydict().items()} == FRAME


def _stripped(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def write_npz(path: Path) -> None:
    np.savez(path, a=FRAME["a"], größe=FRAME["größe"], word=FRAME["word"])


def write_stream(path: Path) -> None:
    with pa.ipc.new_stream(path, pa.table(FRAME).schema) as stream:
        stream.write_table(pa.table(FRAME))


WRITERS: dict[str, Callable[[Path], None]] = {
    "points.parquet": lambda path: parquet.write_table(pa.table(FRAME), path),
    "points.feather": lambda path: feather.write_feather(pa.table(FRAME), str(path)),
    "points.arrow": write_stream,
    "points.npz": write_npz,
}


@pytest.mark.parametrize("name", WRITERS)
def test_binary_formats_give_the_same_columns(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert read_columns(tmp_path / name).data.to_pydict() == FRAME


def test_categories_and_long_text_are_text_and_the_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    frame = pa.table(
        {"kind": pa.array(["a", "b"]).dictionary_encode(), "long": pa.array(["c", "d"], pa.large_string())}
    )
    parquet.write_table(frame.append_column("__index_level_0__", pa.array([4, 5])), tmp_path / "points.parquet")
    data = read_columns(tmp_path / "points.parquet").data
    assert data.schema.names == ["kind", "long"]
    assert set(data.schema.types) == {pa.string()}


def test_an_array_of_several_columns_gives_numbered_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", x=np.arange(6.0).reshape(3, 2), y=np.zeros((3, 1), ">f4"), s=np.array([b"u"] * 3))
    data = read_columns(tmp_path / "points.npz").data.to_pydict()
    assert data == {"x1": [0, 2, 4], "x2": [1, 3, 5], "y": [0, 0, 0], "s": ["u"] * 3}


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"a;b\n1,500;1\n0,5;2\n", 1.5), (b"a;b\n1.500;1\n2;2\n", 1.5), (b"a;b\n1,500;1\n2,25;2\n", 1.5)],
)
def test_a_decimal_comma_is_read_where_no_number_could_be_one_in_thousands(
    tmp_path: Path, content: bytes, value: float
) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    assert read_columns(tmp_path / "points.csv").data.column("a")[0].as_py() == value


@pytest.mark.parametrize(("content", "cell"), [(b"a;b\n1,500;1\n", "1,500"), (b"a,b\n'1,500',1\n", "1,500")])
def test_a_number_that_could_be_in_thousands_stays_text(tmp_path: Path, content: bytes, cell: str) -> None:
    (tmp_path / "points.csv").write_bytes(content.replace(b"'", b'"'))
    assert read_columns(tmp_path / "points.csv").data.column("a")[0].as_py() == cell


def test_a_picture_is_its_pixels_from_the_upper_left_corner_with_its_aspect_kept(tmp_path: Path) -> None:
    pixels = np.array([[0, 51, 102, 153], [204, 255, 0, 51]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    found = read_columns(tmp_path / "grey.png")
    assert found.image == (2, 4)
    assert found.data.to_pydict() == {
        "x": [-0.75, -0.25, 0.25, 0.75] * 2,
        "y": [0.25] * 4 + [-0.25] * 4,
        "grey": (pixels.reshape(-1) / 255).tolist(),
    }


@pytest.mark.parametrize(
    ("pixels", "mode", "names", "first"),
    [
        (np.array([[[255, 0, 51], [0, 0, 0]]], np.uint8), "RGB", ["r", "g", "b"], [1.0, 0.0, 0.2]),
        (np.array([[[255, 0, 51, 255], [0, 0, 0, 255]]], np.uint8), "RGBA", ["r", "g", "b"], [1.0, 0.0, 0.2]),
        (np.array([[65535, 0]], np.uint16), "I;16", ["grey"], [1.0]),
    ],
)
def test_the_channels_of_a_picture_are_brightnesses_up_to_one(
    tmp_path: Path, pixels: Any, mode: str, names: list[str], first: list[float]
) -> None:
    picture = Image.fromarray(pixels)
    assert picture.mode == mode
    picture.save(tmp_path / "picture.png")
    data = read_columns(tmp_path / "picture.png").data
    assert data.schema.names[2:] == names
    assert [column[0].as_py() for column in data.columns[2:]] == first


def transparent(path: Path) -> None:
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(path)


def cmyk(path: Path) -> None:
    Image.new("CMYK", (2, 2)).save(path)


def pickled(path: Path) -> None:
    np.savez(path, a=np.array([{}], dtype=object))


def uneven(path: Path) -> None:
    np.savez(path, a=np.zeros(2), b=np.zeros(3))


def deep(path: Path) -> None:
    np.savez(path, a=np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("points.csv", None, "data = 'points.csv' can't be read: No such file or directory."),
        ("folder.csv", Path.mkdir, "is a folder or a device; it should be a file"),
        ("points.xlsx", b"", "has an extension that is not known; allowed: .csv, .tsv, .parquet, "),
        ("points.npz.gz", b"", "has an extension that is not known"),
        ("points.csv", b"", "is empty; its first line should name the columns"),
        ("points.csv", b"\xef\xbb\xbf\r\n", "is empty"),
        ("points.csv", b"1,2\n3,4\n", "begins with the row '1,2'; its first line should name the columns"),
        ("points.csv", b"1,5;2,5\n3;4\n", "begins with the row '1,5;2,5'"),
        ("points.csv", "a,b\n1,2\n1,°\n".encode("latin-1"), "is not text in UTF-8, first in line 3"),
        ("points.csv", "a,b\n1,2\n".encode("utf-16"), "is not text in UTF-8, first in line 1"),
        (
            "points.csv",
            b"a,b\n1,2\n1,2,3\n",
            "has 3 cells instead of 2 in row 2; a cell in which a separator stands needs quotes.",
        ),
        ("points.csv", b"a,b\n1,2\n3\n", "has 1 cell instead of 2 in row 2"),
        ("points.csv", b"a,b, a\n1,2,3\n", "has two columns 'a'"),
        ("points.csv", b",a\n1,2\n", "has no name for column 1"),
        ("points.csv", b"a,b\x1b[2J\n1,2\n", "has a column 'b\\x1b[2J'; a name should have no control characters"),
        ("points.csv.gz", b"a,b\n", "can't be read: Not a gzipped file"),
        ("points.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "can't be read: Compressed file ended"),
        ("points.parquet", b"a,b\n", "can't be read: "),
        ("points.arrow", b"a,b\n1,2\n", "can't be read: "),
        ("points.npz", b"a,b\n", "can't be read: File is not a zip file"),
        ("points.npz", pickled, "can't be read: Object arrays cannot be loaded when allow_pickle=False."),
        ("points.npz", uneven, "has arrays of different lengths: a 2, b 3"),
        ("points.npz", deep, "has 'a', which is float64 of shape (2, 2, 2); allowed: real numbers or text"),
        ("picture.png", b"a,b\n", "is no picture in PNG or JPEG"),
        ("picture.png", transparent, "has 4 transparent pixels"),
        ("picture.jpg", cmyk, "has the colours CMYK; allowed: grey or RGB"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_in_one_sentence_without_its_folder(
    tmp_path: Path, name: str, content: bytes | Callable[[Path], None] | None, sentence: str
) -> None:
    if callable(content):
        content(tmp_path / name)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as raised:
        read_columns(tmp_path / name)
    said = str(raised.value)
    assert said.startswith(f"data = {name!r} ")
    assert sentence in said
    assert "\n" not in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize(
    "name", ["points.csv", "points.csv.gz", "points.parquet", "points.arrow", "points.npz", "picture.png"]
)
def test_a_file_that_does_not_fit_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.arange(1000.0)
    writers: dict[str, Callable[[Path], object]] = {
        "points.csv": lambda path: path.write_text("a\n" + "1\n" * 1000),
        "points.csv.gz": lambda path: path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 1000)),
        "points.parquet": lambda path: parquet.write_table(pa.table({"a": numbers}), path),
        "points.arrow": lambda path: feather.write_feather(pa.table({"a": numbers}), str(path)),
        "points.npz": lambda path: np.savez(path, a=numbers),
        "picture.png": lambda path: Image.new("L", (50, 50)).save(path),
    }
    writers[name](tmp_path / name)
    read_columns(tmp_path / name)
    monkeypatch.setattr(formats, "memory", lambda: 1000)
    with pytest.raises(BadInput, match=rf"data = '{name}' needs at least .* GiB of memory, and there is 0.0 GiB"):
        read_columns(tmp_path / name)
