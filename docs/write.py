"""Write what is made of something else.

python docs/write.py configuration        docs/configuration.md, of the fields of the configuration
python docs/write.py needs report.json    whether a network is needed, of a report, to put into docs/competitors.md
python docs/write.py variants runs.csv    the errors of a suite's variants beside each other, of a report
python docs/write.py sizes runs.csv       the errors of networks at equal parameters and operations, of a report on these
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness import problems, suites
from harness.config import Pruning, RunConfig
from harness.families import FAMILIES
from harness.methods import METHODS
from harness.models import network
from harness.models.flops import flops
from harness.models.interface import parameters
from harness.presets import resolve
from harness.protocol import FLOOR

PAGE = Path(__file__).parent / "configuration.md"


def configuration() -> str:
    """The reference of all fields, in Markdown."""
    lines = [
        "# Configuration",
        "",
        "Written by `python docs/write.py configuration` from `harness/config/`. Every field is `--name value` for",
        "`harness run` and `-P name=value` for `mlflow run`. Values come from the defaults here, then from the preset, then",
        "from you; `none` stands for no value. A field that the model or the optimizer does not have is refused.",
        "",
        "## Every run",
        "",
        *_table(RunConfig.model_fields),
    ]
    for name in METHODS.names():
        method = METHODS.get(name)
        lines += ["", f"## Optimizer `{name}`", "", method.summary, "", *_table(method.config.model_fields)]
    for name in FAMILIES.names():
        family = FAMILIES.get(name)
        inherits = [n for n in FAMILIES.names() if FAMILIES.get(n).config in family.config.__bases__]
        elsewhere = {RunConfig, *(c for n in inherits for c in FAMILIES.get(n).config.__mro__)}
        extra = f" It also has the fields of `{inherits[0]}`" if inherits else ""
        if Pruning in family.config.__bases__ and name != "kan_pruned":
            elsewhere.add(Pruning)
            extra += ", and of `kan_pruned` those of pruning"
        own = {
            field: info
            for field, info in family.config.model_fields.items()
            if next(c for c in family.config.__mro__ if field in c.__annotations__) not in elsewhere
        }
        extra += "." if extra else ""
        without = ", ".join(f"`{field}`" for field in sorted(family.config.without))
        extra += f" It has no {without}, nor fields of an optimizer." if without else ""
        lines += [
            "",
            f"## Model `{name}`",
            "",
            f"{family.summary}{extra}",
            *([""] if own else []),
            *(_table(own) if own else []),
        ]
    return "\n".join(lines) + "\n"


def _table(fields: dict[str, Any]) -> Iterable[str]:
    yield "| field | meaning | unit | default | source |"
    yield "|---|---|---|---|---|"
    for name, info in fields.items():
        notes = info.json_schema_extra
        default = ",".join(map(str, info.default)) if isinstance(info.default, tuple) else info.default
        shown = "" if default in (None, "") else f"`{default}`"
        yield f"| `{name}` | {info.description} | {notes['unit']} | {shown} | {notes['source']} |"


def needs(report: Path) -> str:
    """A line for each problem of a report: whether a network is needed, with both sides."""
    lines = [
        "| problem | network needed | best network | NMSE | s | best classical method | NMSE | s |",
        "|---" * 8 + "|",
    ]
    for each in json.loads(report.read_text())["needs"]:
        sides = []
        for side in (each["network"], each["classical"]):
            name = f"{side['model']}{', ' if side['preset'] else ''}{side['preset']}{side['mark']}"
            sides += [name, f"{side['nmse']:.1e}", f"{side['seconds']:.2g}"]
        answer = f"{each['answer']}, {each['better']} of {each['seeds']}"
        lines.append(f"| `{each['problem']}` | {answer} | {' | '.join(sides)} |")
    return "\n".join(lines)


def variants(runs: Path) -> str:
    """A line for each problem and preset: of each variant the median dense NMSE of the completed seeds (least to largest), and
    below the mean over the problems of the logarithms of the medians, above the floor.
    """
    frame = pd.read_csv(runs)
    errors = frame[frame.outcome == "completed"].groupby(["preset", "problem", "variant"])["final/dense_nmse"]
    table = errors.agg(["median", "min", "max"]).unstack()
    names = sorted(table["median"])
    lines = [f"| problem | preset | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for each in table.reset_index().to_dict("records"):
        cells = [f"{each['median', n]:.1e} ({each['min', n]:.1e} to {each['max', n]:.1e})" for n in names]
        lines.append(f"| `{each['problem', '']}` | {each['preset', '']} | {' | '.join(cells)} |")
    for preset, mean in np.log10(table["median"] + FLOOR).groupby(level="preset").mean().iterrows():
        lines.append(f"| mean of log10 | {preset} | {' | '.join(f'{mean[name]:.2f}' for name in names)} |")
    return "\n".join(lines)


def sizes(runs: Path) -> str:
    """A table for each problem: of each network the median dense NMSE of the seeds, at the width that is nearest to each number
    of parameters and of operations, as the suite has it: before any cut.
    """
    frame = pd.read_csv(runs)
    frame["width"] = frame["variant"].str.removeprefix("width=").astype(int)
    errors = frame.groupby(["model", "problem", "width"])["final/dense_nmse"].median()
    wanted = [size for variant in suites.load("equal_params").variants for size in variant.sizes]
    columns = [f"{count} {'operations' if what == 'flops' else what}" for what, count in wanted]
    lines = []
    for name in dict.fromkeys(frame["problem"]):
        known = problems.get(name)
        lines += [f"`{name}`:", "", f"| family | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        for model in dict.fromkeys(frame["model"]):
            own = errors[model, name]
            fields = {"model": model, "problem": name, "preset": "lm"}
            built = {width: network(resolve({**fields, "width": width}), *known.shape) for width in own.index}
            of = {
                "parameters": {width: parameters(each) for width, each in built.items()},
                "flops": {width: flops(each, known.dimension) for width, each in built.items()},
            }
            nearest = (min(of[what], key=lambda width: (abs(of[what][width] - count), width)) for what, count in wanted)
            lines.append(f"| `{model}` | {' | '.join(f'{own[width]:.1e}' for width in nearest)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["configuration"]:
            PAGE.write_text(configuration())
        case ["needs", report]:
            print(needs(Path(report)))
        case ["variants", runs]:
            print(variants(Path(runs)))
        case ["sizes", runs]:
            print(sizes(Path(runs)))
        case _:
            sys.exit(__doc__)
