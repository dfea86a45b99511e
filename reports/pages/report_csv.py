"""A report as CSV: its verdicts, its runs, its tables."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator

from harness.escaping import spreadsheet
from reports.comparing.statistics import Estimate
from reports.pages.contents import Report
from reports.reading.evidence import ROW, row_of


def verdicts_csv(report: Report) -> Iterator[str]:
    """A line for each run that a verdict was read from, and for each problem that has none."""
    names = (
        "criterion",
        "preset",
        "problem",
        "problem_verdict",
        "model",
        "variant",
        "seed",
        "verdict",
        "figure",
        "note",
        "run",
    )
    return _csv(names, _verdict_rows(report))


def _verdict_rows(report: Report) -> Iterator[tuple[object, ...]]:
    for each in report.judgements:
        head = (each.criterion.id, each.preset or "")
        if not each.problems:
            yield (*head, "", each.verdict.value, "", "", "", "", "", each.note, "")
        for found in each.problems:
            if not found.witnesses:
                yield (*head, found.problem, found.verdict.value, "", "", "", "", found.figure, found.note, "")
            for w in found.witnesses:
                said = (w.finding.verdict.value, w.finding.figure, w.finding.note)
                yield (*head, found.problem, found.verdict.value, w.model, w.variant, w.seed, *said, w.run_id)


def runs_csv(report: Report) -> Iterator[str]:
    """A line for each cell. A metric that is absent and one that is NaN are both empty; ``nan_metrics`` tells them apart."""
    rows = map(row_of, report.evidence.cells)
    # What is not equal to itself is NaN.
    return _csv(ROW, (["" if (value := row[name]) != value else value for name in ROW] for row in rows))


def tables_csv(report: Report) -> str:
    """A line for each entry of each table."""
    names = ("table", "preset", "row", "row_detail", "column", "text", *Estimate.__dataclass_fields__)
    return "".join(_csv(names, _table_rows(report)))


def _table_rows(report: Report) -> Iterator[tuple[object, ...]]:
    over_presets = [report.needs] if report.needs else []
    for table in (*over_presets, *(table for each in report.comparisons for table in each.tables)):
        for row in table.rows:
            for column, entry in zip(table.columns[table.heads :], row[table.heads :], strict=True):
                numbers = tuple(vars(entry).values()) if isinstance(entry, Estimate) else ()
                text = entry if isinstance(entry, str) else ""
                if numbers or text:
                    heads = (*row[: table.heads], "")[:2]
                    yield (table.number, table.preset, *heads, column, text, *numbers)


class _Line:
    """A file that hands back what is written into it, so that a writer of CSV does."""

    def write(self, line: str) -> str:
        """The line."""
        return line


def _csv(names: tuple[str, ...], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Line by line."""
    writer = csv.writer(_Line(), lineterminator="\n")
    for row in itertools.chain([names], rows):
        yield writer.writerow([spreadsheet(value) if isinstance(value, str) else value for value in row])
