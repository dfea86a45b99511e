"""The command ``harness report``: read the store, decide, write the pages, and keep them with the benchmark."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from harness.addresses import clean, fault, masked, page_of
from harness.errors import BadInput, quoted
from harness.escaping import visible
from harness.machine import refuse_unwritable
from harness.tracking.store import is_server, look_at_store, lost_in_one_sentence, open_store, reads_only
from reports.pages.contents import Report, contents_of
from reports.pages.render import OVER, Link, html, tex, text
from reports.pages.report_csv import runs_csv, tables_csv, verdicts_csv
from reports.pages.report_json import as_json
from reports.reading.artifacts import Artifacts
from reports.reading.evidence import Selection, gather
from reports.reading.store import log_files

if TYPE_CHECKING:
    from mlflow import MlflowClient

INTO = "report"
"""Folder of the report among the artifacts of the benchmark's parent run."""


@dataclass(frozen=True)
class Written:
    """A report that was written."""

    report: Report
    folder: Path
    logged: str
    """Where it is kept in the store, or why it is not."""


def select(benchmark: str | None, experiment: str | None, tag: str | None, preset: str | None) -> Selection:
    """The selection as the command line gives it; an empty text is none. Raises BadInput for what is no selection."""
    given = {"benchmark": benchmark, "experiment": experiment, "tag": tag}
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise BadInput(f"{' and '.join(named)} are given; a report is about one of them.")
    pair = None
    if tag:
        name, equals, value = tag.partition("=")
        if not name or not equals:
            raise BadInput(f"tag = {quoted(tag)} is not a tag with its value; write --tag name=value.")
        pair = (name, value)
    presets = tuple(part.strip() for part in (preset or "").split(",") if part.strip())
    if preset and not presets:
        raise BadInput(f"preset = {quoted(preset)} names none; write --preset tuned,lm.")
    return Selection(benchmark or None, experiment or None, pair, presets)


def report(selection: Selection, out: str = "report", ui: str | None = None) -> Written:
    """Write the report of a selection into the folder ``out`` and log it to the benchmark's parent run.

    ``ui`` is the address of the tracking UI, for links to the runs. Raises BadInput, with nothing made, when the folder can't be
    written, the address is none, or the store has no run of the selection.
    """
    ui = ui or None
    if ui is not None and (not ui.startswith(("http://", "https://")) or fault(ui)):
        raise BadInput(f"ui = {quoted(masked(ui))} is not an address; give one such as http://127.0.0.1:5000.")
    if not out.strip():
        raise BadInput(
            f"out = {quoted(out)} names no folder; give one such as report, or . for the one that you are in."
        )
    folder = Path(out)
    refuse_unwritable("out", folder, folder=True)
    if not look_at_store(reading=True):
        raise BadInput("there is no store here to report on; name one with MLFLOW_TRACKING_URI, or make runs first.")
    with lost_in_one_sentence():
        client = open_store(reading=True)
        evidence = gather(client, selection)
        gc.freeze()  # the runs stay; to look through them for cycles, again and again, took a tenth of a large report
        made = contents_of(evidence, Artifacts(client))
    runs = {cell.run.run_id: cell.run.experiment_id for cell in evidence.cells if cell.run is not None}
    server = client.tracking_uri if is_server(client.tracking_uri) else None
    names = write(made, folder, link_to(ui or server, runs))
    return Written(made, folder, _keep(client, evidence.parent, folder, names))


def link_to(ui: str | None, experiments: Mapping[str, str]) -> Link:
    """From a run's id to its page, where the address of the UI is known."""

    def link(run_id: str) -> str:
        if ui is None or run_id not in experiments:
            return ""
        where = f"{quote(experiments[run_id])}/runs/{quote(run_id)}"
        return f"{page_of(ui)}/#/experiments/{where}?workflowType=machine_learning"

    return link


def write(made: Report, folder: Path, link: Link) -> list[str]:
    """Every format of a report, each file whole or as it was before; gives their names.

    Raises BadInput when one can't be written.
    """
    pages: dict[str, Iterable[str]] = {
        "report.html": [html(made, link)],
        "report.md": [text(made, link)],
        "report.json": as_json(made),
        "verdicts.csv": verdicts_csv(made),
        "tables.csv": [tables_csv(made)],
        "runs.csv": runs_csv(made),
        "tables.tex": [tex(made)],
    }
    contents: dict[str, Iterable[bytes]] = {name: map(str.encode, page) for name, page in pages.items()}
    contents |= {f"figures/{p.file}": [p.png] for p in (*made.overview, *made.pictures) if p.png is not None}
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, pieces in contents.items():
            partial = folder / f"{name}.part"
            try:
                with partial.open("wb") as file:
                    file.writelines(pieces)
                partial.replace(folder / name)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadInput(f"out = {str(folder)!r} can't be written: {error.strerror}.") from error
    return list(contents)


def _keep(client: MlflowClient, parent: str | None, folder: Path, names: Sequence[str]) -> str:
    if parent is None:
        return "not kept in the store: the selection is not one benchmark"
    if reads_only(client.tracking_uri):
        return "not kept in the store: it is opened read-only"
    try:
        log_files(client, parent, folder, names, INTO)
    except Exception as error:
        # The report is there. That the store did not take a copy of it is said, and is no failure.
        return clean(
            f"not kept in the store: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )
    return f"artifacts {INTO}/ of run {parent}"


def summary(written: Written) -> str:
    """What the terminal says of a report."""
    made = written.report
    evidence = made.evidence
    lines = [f"report      {visible(evidence.selection)}: {len(evidence.cells)} cells"]
    if evidence.partial:
        lines.append(f"partial     {visible(evidence.partial)}")
    if evidence.left_out:
        lines.append(f"left out    {sum(evidence.left_out.values())} runs of other comparability versions")
    for preset in (*evidence.presets, None) if evidence.presets else ():
        counts = {verdict: ids for verdict, ids in made.counts(preset).items() if ids}
        lines.append(
            f"{visible(preset or OVER):<11} " + ", ".join(f"{len(ids)} {verdict}" for verdict, ids in counts.items())
        )
        lines += [
            f"            {name}: {', '.join(counts[name])}" for name in ("FAIL", "NO DATA", "UNSURE") if name in counts
        ]
    lines += [f"look        {(written.folder / 'report.html').resolve()}", f"kept        {visible(written.logged)}"]
    return "\n".join(lines)
