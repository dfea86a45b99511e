"""How far a KAN can be cut: its error, in relation to the unpruned twin's, against what is really gone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.comparing.groups import Group
from reports.comparing.statistics import estimate
from reports.comparing.tables import Entry, Table
from reports.reading.cells import Cell
from reports.reading.targets import target
from reports.verdicts.pruning_rules import LARGEST_LOSS, nearness
from reports.verdicts.verdict import median_figure

MODEL = "kan_pruned"


@dataclass(frozen=True)
class Cut:
    """The runs of a problem that were told to cut the same part of their parameters."""

    asked: str
    """The field ``reduction``."""
    reached: tuple[float, ...]
    """Parts of the active parameters that are gone, a seed each."""
    ratios: tuple[float, ...]
    """As K2 has them, with the floor; in the order of ``reached``, then an infinity for each run without a result."""
    raw: tuple[float, ...]
    """Likewise without the floor."""

    @property
    def reduction(self) -> float:
        """What the median seed has reached; 0 where none has a result."""
        return median_figure(self.reached) or 0.0

    @property
    def ratio(self) -> float:
        """Of the median seed."""
        found = median_figure(self.ratios)
        return math.inf if found is None else found


def cuts(cells: Iterable[Cell]) -> list[Cut]:
    """The greedy cuts of a problem by what they were told, the smallest first. A cell whose run is not over is left out, and one
    whose twin has no result.
    """
    asked: dict[str, list[tuple[float | None, float, float]]] = defaultdict(list)
    for cell in cells:
        known, run = target(cell), cell.run
        if cell.model != MODEL or run is None or known is None or run.field("prune_mode") != "greedy":
            continue
        gone, pruned, base = (cell.metric(f"prune/{name}") for name in ("reduction", "mse_final", "base_dense_mse"))
        if cell.outcome == "diverged":
            asked[run.field("reduction")].append((None, math.inf, math.inf))
        elif gone is not None and pruned is not None and base is not None:
            raw = pruned / base if base > 0 else math.inf if pruned > 0 else 1.0
            ratio = nearness(pruned, base, known.floor).figure
            asked[run.field("reduction")].append((gone, math.inf if ratio is None else ratio, raw))
    found = []
    for name, seeds in asked.items():
        seeds.sort(key=lambda seed: seed[0] is None)
        reached = tuple(gone for gone, _, _ in seeds if gone is not None)
        found.append(Cut(name, reached, tuple(r for _, r, _ in seeds), tuple(raw for _, _, raw in seeds)))
    return sorted(found, key=lambda cut: (cut.reduction, cut.asked))


def paths(groups: Mapping[str, Group]) -> dict[str, list[Cut]]:
    """The cuts of each problem that has several."""
    found = {problem: cuts(group.get(MODEL, ())) for problem, group in groups.items()}
    return {problem: of for problem, of in found.items() if len(of) > 1}


def farthest(of: Sequence[Cut]) -> Cut | None:
    """The cut that has reached most while the median seed stays within twice the error of the twin."""
    return max((cut for cut in of if cut.ratio <= LARGEST_LOSS), key=lambda cut: cut.reduction, default=None)


def pruning_table(preset: str, groups: Mapping[str, Group]) -> Table:
    """Table 8: how far each problem's KAN can be cut within twice the error of the unpruned twin."""
    rows: list[tuple[Entry, ...]] = []
    for problem, of in paths(groups).items():
        best, last = farthest(of), of[-1]
        shown: tuple[Entry, ...] = ("none", "", None, None)
        if best is not None:
            shown = (f"{best.reduction:.0%}", best.asked, estimate(best.ratios), estimate(best.raw))
        rows.append((problem, *shown, f"{last.reduction:.0%}", last.asked, estimate(last.ratios)))
    note = (
        "Part of the active parameters that is gone, median seed, and the error in relation to the unpruned twin's (as K2 has "
        "it, with the floor; raw beside it): the largest whose median is within 2x, then the largest that was reached at all. "
        "A greedy cut stops where the validation error does not bear more, whatever it was told."
    )
    if not rows:
        note = "No pruned KAN of this selection was told to cut different parts; the suite pruning_path does so."
    columns = ("problem", "within 2x", "told so", "its ratio", "its raw ratio", "largest", "told", "ratio")
    return Table(8, "Pruning path", preset, note, columns, tuple(rows), heads=1)
