"""The tables of a report that are published in the pages of docs, from its JSON and its runs."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from harness.families import FAMILIES
from harness.outcome import TERMINAL
from harness.presets import DAGGER, KNOWS_TARGET
from harness.problems import PROBLEMS
from reports.reading.kinds import is_network
from reports.verdicts.criteria import CRITERIA
from reports.verdicts.verdict import Verdict, median_figure


def published_tables(said: Mapping[str, Any], cells: pd.DataFrame) -> dict[str, str]:
    """Each table by the name of its place: from what ``report.json`` says, and from the lines of ``runs.csv``."""
    return {
        "groups": groups(said),
        "verdicts": verdicts(said),
        **{f"verdicts-{_slug(group)}": verdicts(of) for group, of in _by_group(said).items()},
        "errors": errors(cells),
        "summary": summary(cells),
    }


def errors(cells: pd.DataFrame) -> str:
    """A table for each model: dense NMSE on each problem under each preset.

    Median over the seeds, with the least and the largest; a seed that diverged counts as infinite, one that ended without a
    result is left out.
    """
    known, marked = _nmse(cells), _marked(cells)
    lines = [f"Dense NMSE, median of the seeds (least to largest).{_legend(marked)}"]
    used = list(dict.fromkeys(cells["preset"]))
    for model in (name for name in FAMILIES.names() if name in set(cells["model"])):
        lines += ["", f"### `{model}`", "", f"| problem | {' | '.join(used)} |", "|---" * (len(used) + 1) + "|"]
        for problem in (name for name in PROBLEMS.names() if name in set(cells["problem"])):
            keys = [(problem, model, preset) for preset in used]
            spreads = (_spread(known.get(key, ()), DAGGER if key in marked else "") for key in keys)
            lines.append(f"| {problem} | {' | '.join(spreads)} |")
    return "\n".join(lines)


def summary(cells: pd.DataFrame) -> str:
    """One table: the median dense NMSE of each model on each problem, under the row's preset; the least of a network is bold."""
    known, marked = _nmse(cells), _marked(cells)
    models = [name for name in FAMILIES.names() if name in set(cells["model"])]
    lines = [f"| problem | preset | {' | '.join(models)} |", "|---" * (len(models) + 2) + "|"]
    for problem in (name for name in PROBLEMS.names() if name in set(cells["problem"])):
        for preset in dict.fromkeys(cells["preset"]):
            medians = {
                m: figure for m in models if (figure := median_figure(known.get((problem, m, preset), ()))) is not None
            }
            least = min((medians[m] for m in filter(is_network, medians)), default=math.inf)
            marks = {m: DAGGER if (problem, m, preset) in marked else "" for m in models}
            shown = (f"{medians[m]:.1e}{marks[m]}" if m in medians else "–" for m in models)
            best = [m for m in filter(is_network, medians) if medians[m] == least < math.inf]
            bold = (f"**{s}**" if m in best else s for m, s in zip(models, shown, strict=True))
            if medians:
                lines.append(f"| {problem} | {preset} | {' | '.join(bold)} |")
    return "\n".join([*lines, "", _legend(marked).strip()] if marked else lines)


def _marked(cells: pd.DataFrame) -> set[tuple[str, str, str]]:
    """Problem, model and preset whose shape was chosen with knowledge of the target."""
    knowing = cells[cells["knows_target"].astype(str) == "True"]
    return set(zip(knowing["problem"], knowing["model"], knowing["preset"], strict=True))


def _legend(marked: Collection[object]) -> str:
    return f" {KNOWS_TARGET}." if marked else ""


def _nmse(cells: pd.DataFrame) -> dict[tuple[str, str, str], list[float]]:
    """Dense NMSE of the seeds that have a result, by problem, model and preset; infinite where that is to have diverged."""
    cells = cells[cells["outcome"].isin(TERMINAL)]
    nmse = pd.to_numeric(cells["final/dense_nmse"], errors="coerce")
    known = cells.assign(nmse=nmse.where(cells["outcome"] == "completed").fillna(math.inf))
    return {
        (str(problem), str(model), str(preset)): [float(value) for value in some["nmse"]]
        for (problem, model, preset), some in known.groupby(["problem", "model", "preset"])
    }


def _spread(values: Sequence[float], mark: str) -> str:
    """The median, of two middle seeds the worse as in the report, with the least and the largest."""
    median = median_figure(values)
    return "no run" if median is None else f"{median:.1e}{mark} ({min(values):.1e} to {max(values):.1e})"


def verdicts(said: Mapping[str, Any]) -> str:
    """The verdicts of a ``report.json`` by criterion and preset, with the problems on which each holds; then, once, those of
    the rules over presets.
    """
    used = said["presets"]
    rows: dict[str, dict[str | None, str]] = {}
    for each in said["verdicts"]:
        of = rows.setdefault(f"{each['criterion']} | {each['sentence']}", {})
        of[each["preset"]] = f"{each['verdict']} {each['counts']}".rstrip()
    of_presets = {name: of for name, of in rows.items() if None not in of}
    lines = [f"| | | {' | '.join(used)} |", "|---" * (len(used) + 2) + "|"]
    lines += [f"| {name} | {' | '.join(of.get(p, '') for p in used)} |" for name, of in of_presets.items()]
    over = [f"| {name} | {of[None]} |" for name, of in rows.items() if None in of]
    if over:
        lines += [
            "",
            f"Rules over presets ({', '.join(used)}), each decided once:",
            "",
            "| | | |",
            "|---|---|---|",
            *over,
        ]
    return "\n".join(lines)


def _by_group(said: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a report says, by the group of its criteria."""
    found: dict[str, dict[str, Any]] = {}
    for each in said["verdicts"]:
        of = found.setdefault(CRITERIA.get(each["criterion"]).group, {**said, "verdicts": []})
        of["verdicts"].append(each)
    return found


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def groups(said: Mapping[str, Any]) -> str:
    """A line for each group of criteria: how many have which verdict, by preset; those that do not hold are named.

    Rules over presets stand once, in their own column.
    """
    columns = [*said["presets"], None]
    counted: dict[str, dict[str | None, dict[str, list[str]]]] = {}
    for group, of_group in _by_group(said).items():
        for each in of_group["verdicts"]:
            of = counted.setdefault(group, {}).setdefault(each["preset"], {})
            of.setdefault(each["verdict"], []).append(each["criterion"])

    def entry(of: Mapping[str, Sequence[str]]) -> str:
        order = sorted(of, key=[verdict.value for verdict in Verdict].index)
        held = ("PASS", "EXPECTED", "N/A")
        return ", ".join(f"{len(of[v])} {v}" + ("" if v in held else f" ({', '.join(of[v])})") for v in order)

    lines = [
        f"| criteria | {' | '.join(map(str, said['presets']))} | over presets |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for group, by_preset in counted.items():
        ids = list(dict.fromkeys(name for of in by_preset.values() for some in of.values() for name in some))
        ids = [name for name in CRITERIA.names() if name in ids]
        entries = (entry(by_preset.get(column, {})) for column in columns)
        lines.append(f"| {group} ({', '.join(ids)}) | {' | '.join(entries)} |")
    return "\n".join(lines)
