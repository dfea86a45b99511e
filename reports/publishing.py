"""The command ``harness publish``: results by the protocol (docs/protocol.md), each with the trail to how it was made."""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from harness import presets
from harness.errors import BadInput, quoted
from harness.machine import cores, processor
from harness.outcome import TERMINAL
from harness.protocol import REPORTING
from harness.registry import check_name
from reports.pages.published_tables import published_tables

LEDGER = Path("docs/results/ledger.json")
PACKAGES = ("sciml-harness", "mlflow", "torch", "numpy", "scipy")
"""Whose versions the ledger has."""
MADE = re.compile(r"<!-- made by harness publish: (?P<name>\S+) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)
MEASURED = re.compile(
    r"<!-- measured: commit (?P<commit>[0-9a-f]{7,40})(?:, presets (?P<presets>[^;]*))?; (?P<command>.+) -->"
)
FAILS_ON_PURPOSE = "fault_"
"""How the names of the models of the suite ``faults`` begin: what is published of it is that they fail."""
FIGURE = re.compile(r"[-+*]*\d[\d.,]*(e[-+]?\d+)?(%|x|\*\*)?(\s|,|$)")
"""What a cell of a table looks like that was measured."""


@dataclass(frozen=True)
class LedgerRow:
    """What the ledger says of a result that was published."""

    name: str
    selection: str
    presets: dict[str, str]
    """Digest by name."""
    seeds: dict[str, list[int]]
    """By preset."""
    commit: str
    versions: dict[str, str]
    machine: str
    date: str
    commands: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict)
    """Digest of each text that was made, by the name of its place; ``report`` is the report's page."""

    def line(self) -> str:
        """The trail, as it stands below what was made."""
        of_presets = ", ".join(f"{name} `{digest}`" for name, digest in self.presets.items())
        commands = ", ".join(f"`{each}`" for each in self.commands)
        by_seeds: dict[str, list[str]] = {}
        for name, seeds in self.seeds.items():
            by_seeds.setdefault(spelled(seeds), []).append(name)
        spans = "; ".join(f"{some} ({', '.join(of)})" if len(by_seeds) > 1 else some for some, of in by_seeds.items())
        plural = "s" if any(len(some) > 1 for some in self.seeds.values()) else ""
        return f"*Seed{plural} {spans}, commit `{self.commit[:10]}`, presets {of_presets}; {commands}.*"


def spelled(seeds: Sequence[int]) -> str:
    """``10000 to 10009``; one after the other where some between them are not there."""
    if len(seeds) > 1 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def publish(report: str, name: str, commands: Sequence[str], root: Path = Path()) -> list[Path]:
    """Publish a report, the folder that ``harness report`` has written, under a name; gives the files that were written.

    ``root`` is the checkout. Raises BadInput, with nothing written, for what the protocol does not let be published.
    """
    check_name("name", name)
    if not commands:
        raise BadInput("command is missing; give the command that made the runs, so that others can make them too.")
    if not (root / "docs").is_dir():
        raise BadInput("there is no folder docs here; publish from the checkout of the project.")
    said, cells, page, pictures = _read(report)
    found = row(name, said, cells, commands)
    made = {place: f"{text}\n\n{found.line()}" for place, text in published_tables(said, cells).items()}
    pages = {path: _filled(path.read_text(), name, made) for path in _pages(root)}
    used = {
        place for path in pages for place in made if f"<!-- made by harness publish: {name}/{place} -->" in pages[path]
    }
    title, _, rest = page.partition("\n")
    made["report"] = f"{title}\n\n{found.line()}\n{rest}"
    digests = {place: digest_of(text) for place, text in made.items() if place in used or place == "report"}
    home = root / LEDGER.parent / name
    pages[home / "report.md"] = made["report"]
    others = {each.name: each for each in ledger(root) if each.name != name}
    rows = [*others.values(), LedgerRow(**{**asdict(found), "texts": digests})]
    pages[root / LEDGER] = json.dumps([asdict(each) for each in sorted(rows, key=lambda r: r.name)], indent=1) + "\n"
    shutil.rmtree(home, ignore_errors=True)
    (home / "figures").mkdir(parents=True)
    for picture, content in pictures.items():
        (home / "figures" / picture).write_bytes(content)
    changed = [path for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    for path in changed:
        path.write_text(pages[path])
    return changed


def _read(report: str) -> tuple[dict[str, Any], pd.DataFrame, str, dict[str, bytes]]:
    """What ``harness report`` has written: its JSON, its runs, its page in Markdown, and its pictures by their names."""
    folder = Path(report)
    try:
        said = json.loads((folder / "report.json").read_text())
        text = dict.fromkeys(("preset_digest", "commit", "dirty"), str)  # a digest may look like a number
        cells = pd.read_csv(
            folder / "runs.csv", dtype=text, keep_default_na=False, na_values={"final/dense_nmse": [""]}
        )
        page = (folder / "report.md").read_text()
        pictures = {path.name: path.read_bytes() for path in sorted((folder / "figures").iterdir())}
    except (OSError, ValueError) as error:
        raise BadInput(f"report = {report!r} can't be read: {error}.") from error
    return said, cells, page, pictures


def row(name: str, said: Mapping[str, Any], cells: pd.DataFrame, commands: Sequence[str]) -> LedgerRow:
    """The row of a report. Raises BadInput where its runs are not as the protocol wants them."""
    if said["unsettled"] or not len(cells):
        raise BadInput(f"report is not complete: {said['unsettled'] or 'all'} of its cells have not ended.")
    failed = cells[~cells["outcome"].isin(TERMINAL) & ~cells["model"].astype(str).str.startswith(FAILS_ON_PURPOSE)]
    if len(failed):
        how = ", ".join(sorted({str(outcome) for outcome in failed["outcome"]}))
        raise BadInput(f"report is not complete: {len(failed)} of its cells have ended without a result ({how}).")
    seeds = {str(preset): sorted({int(s) for s in some["seed"]}) for preset, some in cells.groupby("preset")}
    if strange := _strange(seeds):
        raise BadInput(
            f"seed = {strange[0]} is not one that may be published; reporting seeds are {spelled(REPORTING)}."
        )
    used = {}
    for preset, some in cells.groupby("preset"):
        now = presets.digests(str(preset))
        used[str(preset)] = " and ".join(sorted(now & set(some["preset_digest"])))
        for found in sorted(set(some["preset_digest"]) - now):
            raise BadInput(
                f"preset = {quoted(preset)} has the digest {' or '.join(sorted(now))} now, and runs have "
                f"{quoted(found) if found else 'none'}; make them with the preset as it is."
            )
    commits = sorted(set(cells["commit"]))
    if "" in commits or len(commits) > 1:
        raise BadInput(
            f"commit is {', '.join(each[:10] or 'missing' for each in commits)} in the runs; "
            "all of them have to be made from one commit."
        )
    if dirty := int((cells["dirty"] != "false").sum()):
        raise BadInput(f"commit {commits[0][:10]} had changes in {dirty} runs; make them from a clean checkout.")
    versions = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    machine = f"{cores()} cores, {processor()}"
    today = datetime.now(UTC).date().isoformat()
    return LedgerRow(name, str(said["selection"]), used, seeds, commits[0], versions, machine, today, tuple(commands))


def ledger(root: Path = Path()) -> list[LedgerRow]:
    """What has been published."""
    path = root / LEDGER
    rows = json.loads(path.read_text()) if path.is_file() else []
    return [LedgerRow(**{**each, "commands": tuple(each["commands"])}) for each in rows]


def digest_of(text: str) -> str:
    """Hash of a text, whatever blank lines stand around it."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]


def check(root: Path = Path()) -> list[str]:
    """A sentence for each thing that is published and that breaks the protocol; none where all is well. Raises BadInput where
    this is no checkout.
    """
    if not (root / "docs").is_dir():
        raise BadInput("there is no folder docs here; check in the checkout of the project.")
    rows = {each.name: each for each in ledger(root)}
    faults = [fault for each in rows.values() for fault in _faults_of(each)]
    there: dict[str, set[str]] = {name: set() for name in rows}
    for each in rows.values():
        page = root / LEDGER.parent / each.name / "report.md"
        if page.is_file() and digest_of(page.read_text()) == each.texts["report"]:
            there[each.name].add("report")
        else:
            faults.append(f"{LEDGER.parent / each.name / 'report.md'} is not what was published.")
    for path in _pages(root):
        text, name = path.read_text(), path.relative_to(root)
        for found in MADE.finditer(text):
            owner, _, place = found["name"].partition("/")
            if owner not in rows or place not in rows[owner].texts:
                faults.append(f"{name}: {found['name']} has no row in the ledger.")
            elif digest_of(found["text"]) != rows[owner].texts[place]:
                faults.append(f"{name}: {found['name']} is not what was published.")
            else:
                there[owner].add(place)
        faults += [f"{name}: {fault}" for fault in _by_hand(MADE.sub("", text))]
    lost = ((name, place) for name in rows for place in rows[name].texts if place not in there[name] | {"report"})
    return faults + [f"{name}/{place} is in the ledger, and in no page as it was published." for name, place in lost]


def _faults_of(row: LedgerRow) -> Iterator[str]:
    if strange := _strange(row.seeds):
        yield f"{row.name}: seed {strange[0]} is no reporting seed ({spelled(REPORTING)})."
    yield from (f"{row.name}: {fault}" for fault in _stale(row.presets))
    if not re.fullmatch(r"[0-9a-f]{40}", row.commit) or not row.commands:
        yield f"{row.name}: it has no commit or no command."


def _strange(seeds: Mapping[str, Sequence[int]]) -> list[int]:
    return [seed for some in seeds.values() for seed in some if seed not in REPORTING]


def _stale(digests: Mapping[str, str]) -> Iterator[str]:
    for name, digest in digests.items():
        now = presets.digests(name) if name in presets.names() else {"none"}
        if not {*digest.split(" and ")} <= now:
            yield f"preset {name} was {digest} and is {' or '.join(sorted(now))} now."


def _by_hand(text: str) -> Iterator[str]:
    """What is wrong with the tables that no command has made."""
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("|") and not (n and lines[n - 1].startswith("|"))]
    for start in starts:
        rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))
        if not any(FIGURE.match(cell.strip()) for line in rows[2:] for cell in line.split("|")[2:-1]):
            continue
        above = next((line for line in reversed(lines[:start]) if line.strip()), "")
        measured = MEASURED.fullmatch(above.strip())
        if measured is None:
            yield f"the table {rows[0]!r} has figures, and no line above it says how they were measured."
            continue
        named = (part.partition("=") for part in (measured["presets"] or "").split(", ") if part)
        stale = _stale({name: digest for name, _, digest in named})
        yield from (f"the table {rows[0]!r}: {fault}" for fault in stale)


def _pages(root: Path) -> list[Path]:
    made = {root / LEDGER.parent / each.name / "report.md" for each in ledger(root)}
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [path for path in found if path.is_file() and path not in made]


def _filled(text: str, name: str, made: Mapping[str, str]) -> str:
    for place, content in made.items():
        begin, end = f"<!-- made by harness publish: {name}/{place} -->", "<!-- end -->"
        before, found, rest = text.partition(begin)
        if found:
            text = f"{before}{begin}\n\n{content}\n\n{end}{rest.partition(end)[2]}"
    return text
