"""A text is a text in every format."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.escaping import code, file_name, in_filter, latex, markdown, spreadsheet, visible

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


def test_what_can_not_be_seen_is_spelled() -> None:
    assert visible("a\x1b[31mred\x07\u202eb\n  c\ud800") == r"a\x1b[31mred\x07\u202eb c\ud800"


@given(TEXTS)
def test_a_terminal_gets_one_line_of_printable_characters(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)


@given(TEXTS)
def test_a_code_span_ends_where_it_should(text: str) -> None:
    fence = re.match("`+", code(text))
    assert fence is not None
    inner = code(text)[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in inner.strip(" ") or not inner.strip(" ")


def test_markdown_makes_no_link_of_a_bare_address() -> None:
    assert markdown("see http://a.b, www.a.b or me@a.b: all") == "see http&#58;//a.b, www&#46;a.b or me&#64;a.b: all"


@given(TEXTS)
def test_latex_has_no_character_of_its_own_meaning_left(text: str) -> None:
    inert = re.sub(r"(?<!\\)\$(<|>|\\leq|\\geq|\^\\d{1,2}agger)\$", "", latex(text))
    assert not re.search(r"(?<!\\)[%&#$_~^<>|\"`]", inert)
    assert not re.search(r"\\(?![%&#$_{}]|text[a-z]+\{\})", inert)


def test_latex_has_no_comparison_outside_of_mathematics() -> None:
    # In text, TeX's first fonts have an inverted question mark in the place of >.
    assert latex("NMSE <= 1, a < b > c >= d†, e‡") == r"NMSE $\leq$ 1, a $<$ b $>$ c $\geq$ d$^\dagger$, e$^\ddagger$"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1"])
def test_no_entry_of_a_table_is_a_formula(text: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([spreadsheet(text), spreadsheet(-1.5), spreadsheet("a=b")])
    assert next(csv.reader(io.StringIO(buffer.getvalue(), newline=""))) == [f"'{text}", "-1.5", "a=b"]


@given(TEXTS, TEXTS)
def test_files_of_two_texts_are_two_in_their_folder(first: str, second: str) -> None:
    for text in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,120}", file_name(text))
        assert Path("folder", file_name(text)).parent == Path("folder")
    assert (file_name(first) == file_name(second)) == (first == second)
    assert file_name("loss-poisson_1d_sin-tuned") == "loss-poisson_1d_sin-tuned"


def test_a_quoted_value_finds_the_run_that_has_it(store: MlflowClient) -> None:
    for value in ("it's", 'a"b', "a`b", "a AND b", "tags.x = 1", "\\'", "a\\", " x ", "a;b -- c"):
        run = store.create_run("0", tags={"key": value}).info.run_id
        assert [each.info.run_id for each in store.search_runs(["0"], f"tags.key = {in_filter(value)}")] == [run]


def test_a_value_that_no_filter_can_express_is_refused() -> None:
    with pytest.raises(BadInput, match="can't be searched for"):
        in_filter("'\"")
