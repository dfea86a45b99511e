"""Each line of tables.csv has its columns, whatever a table says of its rows."""

from __future__ import annotations

import csv
import io

import pytest

from reports.comparing.comparison import Comparison
from reports.comparing.statistics import estimate
from reports.comparing.tables import Table
from reports.pages.contents import Report
from reports.pages.report_csv import tables_csv
from reports.reading.evidence import Evidence, Selection


@pytest.mark.parametrize(("heads", "row_detail"), [(1, ""), (2, "kan")])
def test_a_table_with_one_head_leaves_the_second_empty(heads: int, row_detail: str) -> None:
    about = ("p", "kan")[:heads]
    names = (*("problem", "model")[:heads], "ratio")
    table = Table(8, "a table", "lm", "a note", names, ((*about, estimate([2.0, 3.0])),), heads=heads)
    evidence = Evidence(Selection(), (), True, "1", {})
    report = Report(evidence, (), (), (Comparison("lm", (), {}, {}, (table,)),), (), None, (), None, 0.0)
    (found,) = csv.DictReader(io.StringIO(tables_csv(report)))
    assert (found["row"], found["row_detail"], found["column"]) == ("p", row_detail, "ratio")
    assert (float(found["median"]), float(found["least"]), float(found["largest"])) == (3, 2, 3)
