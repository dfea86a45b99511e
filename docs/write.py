"""Write the pages of docs/ that are made of facts held elsewhere.

python docs/write.py configuration            docs/configuration.md from the fields of the configuration
python docs/write.py results STORE            the tables of docs/results.md from a store (benchmarks/matrix.py fills one)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.families import FAMILIES

DOCS = Path(__file__).parent
BEGIN, END = "<!-- made by docs/write.py -->", "<!-- end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pages = parser.add_subparsers(dest="page", required=True)
    pages.add_parser("configuration")
    pages.add_parser("results").add_argument("store")
    given = parser.parse_args()
    if given.page == "configuration":
        (DOCS / "configuration.md").write_text(configuration())
    else:
        page = DOCS / "results.md"
        before, rest = page.read_text().split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{results(given.store)}\n{END}{rest.split(END)[1]}")


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


def results(store: str) -> str:
    """A table for each preset: dense MSE of the latest run of each model and problem, and the outcome where it failed."""
    from mlflow import MlflowClient

    from harness.problems import PROBLEMS

    client = MlflowClient(store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=10_000, order_by=["attributes.start_time ASC"])
    cells: dict[tuple[str, str, str], str] = {}
    for run in runs:
        params, outcome = run.data.params, run.data.tags.get("outcome", "unfinished")
        key = (params["cfg/preset"], params["cfg/problem"], params["cfg/model"])
        done = outcome == "completed"
        cells[key] = f"{run.data.metrics['final/dense_mse']:.1e}" if done else outcome
    models = FAMILIES.names()
    lines: list[str] = []
    for preset in sorted({preset for preset, _, _ in cells}):
        lines += [
            "",
            f"### Preset `{preset}`",
            "",
            f"| problem | {' | '.join(models)} |",
            "|---" * (len(models) + 1) + "|",
        ]
        for problem in PROBLEMS.names():
            lines.append(
                f"| {problem} | {' | '.join(cells.get((preset, problem, model), 'no run') for model in models)} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
