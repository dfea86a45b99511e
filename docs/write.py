"""Write the pages of docs/ that are made of facts held elsewhere.

python docs/write.py configuration            docs/configuration.md from the fields of the configuration
python docs/write.py results REPORT/runs.csv  the tables of docs/results.md from a report
python docs/write.py verdicts REPORT/report.json  the verdicts of the README from a report
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from harness.config import RunConfig
from harness.families import FAMILIES
from harness.presets import DAGGER, KNOWS_TARGET
from harness.problems import PROBLEMS

DOCS = Path(__file__).parent
BEGIN, END = "<!-- made by docs/write.py -->", "<!-- end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pages = parser.add_subparsers(dest="page", required=True)
    pages.add_parser("configuration")
    pages.add_parser("results").add_argument("runs", type=Path)
    pages.add_parser("verdicts").add_argument("report", type=Path)
    given = parser.parse_args()
    if given.page == "configuration":
        (DOCS / "configuration.md").write_text(configuration())
    elif given.page == "results":
        _replace(DOCS / "results.md", results(given.runs))
    else:
        _replace(DOCS.parent / "README.md", verdicts(given.report))


def _replace(page: Path, tables: str) -> None:
    before, rest = page.read_text().split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.split(END)[1]}")


def configuration() -> str:
    """The reference of all fields, in Markdown."""
    lines = [
        "# Configuration",
        "",
        "Written by `python docs/write.py configuration` from `harness/config.py`. Every field is `--name value` for",
        "`harness run` and `-P name=value` for `mlflow run`. Values come from the defaults here, then from the preset, then",
        "from you; `none` stands for no value. A field that the model or the optimizer does not have is refused.",
        "",
        "## Every run",
        "",
        *_table(RunConfig.model_fields),
    ]
    for name in FAMILIES.names():
        family = FAMILIES.get(name)
        parent = family.config.__mro__[1]
        own = {
            field: info for field, info in family.config.model_fields.items() if field in family.config.__annotations__
        }
        inherits = [n for n in FAMILIES.names() if FAMILIES.get(n).config is parent]
        extra = f" It also has the fields of `{inherits[0]}`." if inherits else ""
        lines += ["", f"## `{name}`", "", f"{family.summary}{extra}", "", *_table(own)]
    return "\n".join(lines) + "\n"


def _table(fields: dict[str, Any]) -> Iterable[str]:
    yield "| field | meaning | unit | default | source |"
    yield "|---|---|---|---|---|"
    for name, info in fields.items():
        notes = info.json_schema_extra
        default = ",".join(map(str, info.default)) if isinstance(info.default, tuple) else info.default
        shown = "" if default in (None, "") else f"`{default}`"
        yield f"| `{name}` | {info.description} | {notes['unit']} | {shown} | {notes['source']} |"


def results(runs: Path) -> str:
    """A table for each model, from a report's ``runs.csv``: dense NMSE on each problem under each preset.

    Median over the seeds, with the least and the largest; a seed without a result counts as infinite.
    """
    cells = pd.read_csv(runs)
    cells["nmse"] = cells["final/dense_nmse"].where(cells["outcome"] == "completed", float("inf"))
    presets = [name for name in ("seed_default", "seed", "tuned", "lm", "lm_plain") if name in set(cells["preset"])]
    seeds = sorted(cells["seed"].unique())
    lines = [f"Seeds {seeds[0]} to {seeds[-1]}." + (f" {KNOWS_TARGET}." if cells["knows_target"].any() else "")]
    for model in FAMILIES.names():
        lines += ["", f"### `{model}`", "", f"| problem | {' | '.join(presets)} |", "|---" * (len(presets) + 1) + "|"]
        for problem in PROBLEMS.names():
            of_both = cells[(cells["model"] == model) & (cells["problem"] == problem)]
            spreads = (_spread(of_both.loc[of_both["preset"] == preset]) for preset in presets)
            lines.append(f"| {problem} | {' | '.join(spreads)} |")
    return "\n".join(lines)


def _spread(runs: pd.DataFrame) -> str:
    values, mark = runs["nmse"], DAGGER if runs["knows_target"].any() else ""
    return f"{values.median():.1e}{mark} ({values.min():.1e} to {values.max():.1e})" if len(values) else "no run"


def verdicts(report: Path) -> str:
    """The verdicts of a ``report.json`` by criterion and preset, with the problems on which each holds; then, once, those of
    the rules over presets.
    """
    found = json.loads(report.read_text())
    presets = found["presets"]
    rows: dict[str, dict[str | None, str]] = {}
    for each in found["verdicts"]:
        row = rows.setdefault(f"{each['criterion']} | {each['sentence']}", {})
        row[each["preset"]] = f"{each['verdict']} {each['counts']}".rstrip()
    of_presets = {name: row for name, row in rows.items() if None not in row}
    lines = [f"| | | {' | '.join(presets)} |", "|---" * (len(presets) + 2) + "|"]
    lines += [f"| {name} | {' | '.join(row.get(p, '') for p in presets)} |" for name, row in of_presets.items()]
    lines += ["", f"Rules over presets ({', '.join(presets)}), each decided once:", "", "| | | |", "|---|---|---|"]
    lines += [f"| {name} | {row[None]} |" for name, row in rows.items() if None in row]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
