"""Networks beside classical methods: whether a problem needs a network, and what each classical method reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.comparing.advice import CLOCK
from reports.comparing.groups import Group, chosen, dagger, final_errors
from reports.comparing.statistics import estimate
from reports.comparing.tables import Entry, Table, noted
from reports.reading.kinds import NAMES, by_kind
from reports.verdicts.need import CUT_SHORT, WAS_CUT_SHORT, Need, Side, of_least_validation
from reports.verdicts.numbers import number


def competitor_tables(preset: str, groups: Mapping[str, Group], classical: Mapping[str, Group]) -> list[Table]:
    """Tables 14 and 15, where classical methods were run: the best of each kind, and all classical methods."""
    if not classical:
        return []
    return [noted(table) for table in (_best(preset, groups, classical), _classical(preset, classical))]


def table_of_needs(needs: Sequence[Need]) -> Table | None:
    """Table 13, over all presets: whether a problem needs a network; None where nothing can be said of that."""
    rows: list[tuple[Entry, ...]] = []
    presets = {each.network.preset for each in needs}
    for each in needs:
        ratio = number(each.ratio)
        if each.seeds > 1:
            ratio += f" ({number(each.least)} to {number(each.largest)})"
        if each.of_floor:
            ratio = "below the floor"
        answer = f"{each.answer}{', unsure' if each.unsure else ''}"
        seeds = f"{each.better} of {each.seeds}"
        network = each.network if len(presets) > 1 else replace(each.network, preset="")  # told once, below
        rows.append((each.problem, answer, seeds, ratio, *_told(network), *_told(each.classical)))
    of_side = ("NMSE", "s", "size")
    columns = ("problem", "needed", "seeds", "ratio", "network", *of_side, "classical", *of_side)
    note = (
        "The best network and the best classical method over all presets, both chosen by their error at held-out points, and "
        "their NMSE on the dense points: median of the seeds. A network whose shape knows the target is left out where another "
        "was run. Yes: at least 95% of the seeds (how many do, of how many) say that the network's error is smaller, by more "
        "than the floor; no: at most 5% do. Unsure: they agree, but so few do not show that more than half of all seeds would "
        "(exact 95% interval; six show it). The ratio is that of the errors, classical over network, with the floor added, of "
        "the median seed (least to largest). s: seconds of training, or of solving with all sizes that were tried; size: active "
        "parameters, or unknowns."
    )
    if any(CUT_SHORT in each.classical.mark for each in needs):
        note += f" {WAS_CUT_SHORT}."
    if len(presets) == 1:
        note += f" The networks are of preset {', '.join(presets)}."
    return noted(Table(13, "Is a network needed", "", note, columns, tuple(rows))) if rows else None


def _told(side: Side) -> tuple[Entry, ...]:
    seconds = "" if math.isnan(side.seconds) else number(side.seconds)
    return str(side), number(side.nmse), seconds, "" if math.isnan(side.parameters) else f"{side.parameters:.0f}"


def _best(preset: str, groups: Mapping[str, Group], classical: Mapping[str, Group]) -> Table:
    kinds = list(by_kind(model for group in (*groups.values(), *classical.values()) for model in group))
    rows = []
    for problem in dict.fromkeys([*groups, *classical]):
        both = {**chosen(groups.get(problem, {})), **classical.get(problem, {})}
        of_kind = by_kind(both)
        entries = (_of_kind({m: both[m] for m in of_kind[k]}) if k in of_kind else None for k in kinds)
        rows.append((problem, *entries))
    note = (
        "NMSE on the dense points, median of the seeds, of the model that has the least validation error of its kind; its name "
        "behind it. All models of a kind are in the other tables."
    )
    return Table(
        14, "The best of each kind", preset, note, ("problem", *(NAMES[kind] for kind in kinds)), tuple(rows), heads=1
    )


def _of_kind(group: Group) -> Entry:
    cells = of_least_validation(group)
    found = estimate(final_errors(cells))
    return None if found is None else f"{number(found.median)}{dagger(cells)} {cells[0].model}"


def _classical(preset: str, classical: Mapping[str, Group]) -> Table:
    models = list(dict.fromkeys(model for group in classical.values() for model in group))
    rows: list[tuple[Entry, ...]] = []
    for problem, group in classical.items():
        rows.append((problem, "NMSE", *(estimate(final_errors(group.get(m, ()))) for m in models)))
        for what, metric in (("seconds", CLOCK), ("parameters", "model/active_params")):
            rows.append((problem, what, *(estimate([c.metric(metric) for c in group.get(m, ())]) for m in models)))
    note = (
        "NMSE on the dense points; seconds of all sizes that were tried, the choice of one on the validation points included; "
        "numbers that the method has found."
    )
    return Table(15, "Classical methods", preset, note, ("problem", "", *models), tuple(rows))
