"""The benchmark: the cells of a suite that have no result yet are computed, and each is counted once."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from harness import suites
from harness.config import RunConfig
from harness.errors import BadInput, quoted
from harness.escaping import markdown
from harness.execution.attempt import Attempted, Task, attempt_isolated
from harness.execution.benchmark_config import BenchmarkConfig
from harness.execution.driving import Work, close_ours, drive, parent_at_work
from harness.execution.executors import executor
from harness.execution.isolation import Limits
from harness.fingerprint import fingerprint_of
from harness.machine import memory
from harness.models import try_networks
from harness.outcome import Outcome
from harness.presets import DAGGER, KNOWS_TARGET, digest, folder_of, is_equation, knows_target
from harness.run import Stop, check, stop_on_signals
from harness.tracking.claims import close_if_gone
from harness.tracking.liveness import Watch
from harness.tracking.naming import error_name
from harness.tracking.parent import child_tags, end_parent, leave_parent, write_errors, write_progress, write_table
from harness.tracking.results import Result, results
from harness.tracking.store import look_at_store, lost_in_one_sentence, open_store, run_page, store_address

if TYPE_CHECKING:
    from mlflow import MlflowClient

ERRORS = "log10 NMSE: median (least to largest, seeds); a run that diverged has none."
"""What the figures of the summary are."""
SUMMARY_S = 30.0
"""Seconds between two writes of the summary while the benchmark is at work."""
NOTE = 7900
"""Characters of the note on a parent's page: a tag has room for 8000."""


@dataclass(frozen=True)
class Cell:
    """One (model, problem, preset, seed) of a suite, with its variant."""

    config: RunConfig
    fingerprint: str
    twin: str | None = None
    """Fingerprint of the unpruned twin, where that is a cell of the plan too."""

    def __str__(self) -> str:
        config = self.config
        return f"{config.model} on {config.problem}, {config.preset}, seed {config.seed}"


@dataclass(frozen=True)
class Spread:
    """The errors of the runs with a result of one problem, model and preset, as ``final/log10_nmse``.

    A run that diverged has not reached any error: it counts as infinite.
    """

    problem: str
    model: str
    preset: str
    errors: tuple[float, ...]
    """From the least to the largest."""
    seeds: int
    """Fewer than errors where the suite has several variants."""
    knows_target: bool = False
    """Whether its preset was chosen with knowledge of the target."""

    @property
    def median(self) -> float:
        """Of two middle ones the worse, as in the report."""
        return self.errors[len(self.errors) // 2]

    def __str__(self) -> str:
        runs = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        runs = runs if len(self.errors) == self.seeds else f"{len(self.errors)} runs of {runs}"
        shown = [
            "none" if math.isinf(each) else f"{each:.1f}" for each in (self.median, self.errors[0], self.errors[-1])
        ]
        between = f"{shown[1]} to {shown[2]}, " if len(self.errors) > 1 else ""
        return f"{shown[0]}{DAGGER if self.knows_target else ''} ({between}{runs})"


@dataclass
class BenchmarkState:
    """The state of a benchmark: which cells are settled and how, which are at work."""

    cells: Mapping[str, Cell]
    """Every cell of the plan, by fingerprint."""
    settled: dict[str, Attempted] = field(default_factory=dict)
    running: list[Cell] = field(default_factory=list)
    busy: int = 0
    """Cells that another driver is at work on."""
    started: float = field(default_factory=time.monotonic)
    computed: int = 0
    """Cells settled by this driver's own work."""

    def counts(self) -> dict[str, int]:
        """How many cells ended how, and how many are left; what was interrupted because we were stopped is left."""
        ended = Counter(each.outcome.value for each in self.settled.values() if each.outcome)
        return {outcome.value: ended[outcome.value] for outcome in Outcome} | {
            "left": len(self.cells) - len(self.settled)
        }

    def failed(self) -> list[tuple[Cell, Attempted]]:
        """The cells that ended without a result, with the reason."""
        return [
            (self.cells[fingerprint], ended)
            for fingerprint, ended in self.settled.items()
            if ended.outcome not in (Outcome.COMPLETED, Outcome.DIVERGED)
        ]

    def spreads(self) -> list[Spread]:
        """The errors so far of each problem, model and preset, in the order of the plan."""
        found: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
        marked: set[tuple[str, str, str]] = set()
        for fingerprint, cell in self.cells.items():
            ended, config = self.settled.get(fingerprint), cell.config
            of = (config.problem, config.model, config.preset)
            runs = found.setdefault(of, [])
            marked |= {of} if knows_target(config) else set()
            if ended is not None and ended.outcome in (Outcome.COMPLETED, Outcome.DIVERGED):
                known = ended.log10_nmse if ended.outcome is Outcome.COMPLETED else None
                error = math.inf if known is None or math.isnan(known) else known
                runs.append((error, config.seed))
        return [
            Spread(*of, tuple(sorted(error for error, _ in runs)), len({seed for _, seed in runs}), of in marked)
            for of, runs in found.items()
            if runs
        ]

    def legend(self) -> str:
        """What the figures of :meth:`table` are, and what the mark at some of them says."""
        marked = any(each.knows_target for each in self.spreads())
        return f"{ERRORS} {KNOWS_TARGET}." if marked else ERRORS

    def table(self) -> list[list[str]]:
        """The spreads as texts: a row for each problem and preset, a column for each model, the first row the heads.

        The preset is named where there are several.
        """
        spreads = self.spreads()
        models = sorted({each.model for each in spreads})
        several = len({cell.config.preset for cell in self.cells.values()}) > 1
        rows: dict[str, dict[str, str]] = {}
        for each in spreads:
            rows.setdefault(f"{each.problem}, {each.preset}" if several else each.problem, {})[each.model] = str(each)
        return [["problem", *models], *([name, *(row.get(m, "") for m in models)] for name, row in rows.items())]

    def seconds_left(self) -> float | None:
        """Estimate of the time that is left, from the pace so far."""
        if not self.computed:
            return None
        return (time.monotonic() - self.started) / self.computed * (len(self.cells) - len(self.settled))


CellListener = Callable[[BenchmarkState, Attempted | None], None]
"""Is told of each cell that is settled, and once at the start, of none."""


@dataclass(frozen=True)
class BenchmarkResult:
    """The result of a benchmark."""

    benchmark: str
    """Its id: the suite and a hash of the plan, so that the same command means the same benchmark."""
    parent: str
    state: BenchmarkState
    stopped: str | None
    """Why it ended before all cells were settled."""
    url: str
    ui_command: str | None


def limited(config: BenchmarkConfig) -> tuple[suites.Suite, BenchmarkConfig]:
    """The suite, and the configuration with the suite's plug-ins, and its limits where the user gave none."""
    suite = suites.load(config.suite)
    memory = config.where.max_memory or suite.max_memory
    limits = {
        "timeout": config.timeout or suite.timeout,
        "where": config.where.model_copy(update={"max_memory": memory}),
        "plugins": (*(each for each in suite.plugins if each not in config.plugins), *config.plugins),
    }
    return suite, config.model_copy(update=limits)


def plan(config: BenchmarkConfig) -> dict[str, Cell]:
    """The cells of a benchmark by fingerprint, in the order of computing.

    Raises BadInput when there are none, too many, one with a problem or network that can't be used, or one that this machine
    can't compute where it is the one to do that.
    """
    suite, config = limited(config)
    room = min(memory(), config.where.max_memory or memory())

    def suitable(cell: RunConfig) -> None:
        if config.where.here and cell.seed == config.first_seed:
            check(cell, room)

    given = {**config.fields, "threads": config.where.threads, "timeout": config.timeout, "plugins": config.plugins}
    presets = config.preset or (suite.preset,)
    chosen = list(suites.configurations(suite, config.seed_range(), presets, given, config.models, suitable))
    try_networks(chosen)
    cells = {cell.fingerprint: cell for cell in (Cell(each, fingerprint_of(each)) for each in chosen)}
    met = {cell.config.model for cell in cells.values()}
    without = [name for name in config.models if name not in met and name != suites.ALL]
    if without or not cells:
        has = f"; it has {', '.join(sorted(met))}" if met else ""
        raise BadInput(
            f"models = {quoted(','.join(without or config.models))} leaves nothing of suite {config.suite!r} to compute{has}."
        )
    for cell in list(cells.values()):
        twin = cell.config.twin()
        if twin is not None and (known := fingerprint_of(twin)) in cells:
            cells[cell.fingerprint] = replace(cell, twin=known)
    return cells


def benchmark(config: BenchmarkConfig, listener: CellListener = lambda state, ended: None) -> BenchmarkResult:
    """Compute the cells of the suite that have no result in the store; ``listener`` is told of each that is settled.

    The same call after an interruption, of whatever kind, goes on where it stood. Raises BadInput, with nothing left
    behind, when the store, the scheduler or the suite can't be used, and StoreLost when the store fails in the middle.
    """
    cells, (_, config) = plan(config), limited(config)
    look_at_store()
    config.where.refuse_unsuitable_store(store_address())
    with lost_in_one_sentence(), stop_on_signals() as stop:
        return _compute_what_is_missing(config, cells, listener, stop)


def _compute_what_is_missing(
    config: BenchmarkConfig, cells: Mapping[str, Cell], listener: CellListener, stop: Stop
) -> BenchmarkResult:
    name = suites.title(config.suite)
    identity = f"{name}-{_hash(cells)}"
    tags = {"benchmark": identity, "suite": name}
    about = f"Benchmarks of the suite {markdown(name)}: {markdown(suites.load(config.suite).summary)}"
    state = BenchmarkState(cells)
    with ExitStack() as at_the_end:
        with executor(config.where) as pool:
            client = open_store()  # not before the scheduler is there: what is refused leaves no store
            opened = at_the_end.enter_context(
                parent_at_work(client, name, identity, tags, about, what="benchmark")  # until the workers are gone
            ).info
            _begin(client, opened.run_id, config, state)
            listener(state, None)
            _summarise(client, opened.run_id, config, state)
            written = time.monotonic()
            submit = _submitter(config, client, opened.experiment_id, tags | child_tags(opened.run_id), state, pool)
            for ended in compute(state, submit, 2 * config.where.worker_count(), stop, client):
                listener(state, ended)
                if time.monotonic() - written > SUMMARY_S:
                    _summarise(client, opened.run_id, config, state)
                    written = time.monotonic()
        close_ours(client, Outcome.INTERRUPTED, f"{stop.reason or 'Stopped'}; it did not stop by itself in time.")
        _summarise(client, opened.run_id, config, state)
        _conclude(client, opened.run_id, state, stop)
    page = run_page(client, opened.experiment_id, opened.run_id)
    return BenchmarkResult(identity, opened.run_id, state, stop.reason, *page)


def _begin(client: MlflowClient, parent: str, config: BenchmarkConfig, state: BenchmarkState) -> None:
    """Write the plan to the parent run, and take the results that the store has into the state."""
    used = {
        (each.preset, is_equation(each.problem), each.model) for each in (cell.config for cell in state.cells.values())
    }
    digests = {(file[0], *folder_of(*file).split("/")): digest(*file) for file in used}
    for place, of_file in sorted(digests.items()):
        client.set_tag(parent, ".".join(filter(None, ["preset.digest", *place])), of_file)
    write_table(client, parent, "plan.json", [_row(cell) for cell in state.cells.values()])
    if not config.force:
        found = (each for each in results(client).values() if each.fingerprint in state.cells)
        state.settled |= {each.fingerprint: _reused(each) for each in found}


def _submitter(
    config: BenchmarkConfig,
    client: MlflowClient,
    experiment_id: str,
    tags: Mapping[str, str],
    state: BenchmarkState,
    pool: Executor,
) -> Callable[[Cell], Future[Attempted]]:
    """The function that has a cell computed by the pool."""
    since = time.time() if config.force else 0.0
    limits = Limits(config.where.threads, config.timeout, config.where.max_memory)

    def submit(cell: Cell) -> Future[Attempted]:
        twin = state.settled.get(cell.twin or "")
        known = None if twin is None or twin.dense_mse is None else (twin.run_id, twin.dense_mse)
        fields = cell.config.model_dump(mode="json")
        task = Task(fields, cell.fingerprint, client.tracking_uri, experiment_id, tags, since, known)
        return pool.submit(attempt_isolated, task, limits)

    return submit


def _conclude(client: MlflowClient, parent: str, state: BenchmarkState, stop: Stop) -> None:
    """The errors of all cells, and the end of the parent run."""
    errors = {error_name(each.problem, each.model, each.preset): each.median for each in state.spreads()}
    write_errors(client, parent, errors)
    if stop.reason is not None:
        leave_parent(client, parent, Outcome.INTERRUPTED, stop.reason)
        return
    if failed := len(state.failed()):
        outcome, reason = Outcome.ERROR, f"{failed} cells have no result."
    else:
        outcome, reason = Outcome.COMPLETED, f"All {len(state.cells)} cells have a result."
    end_parent(client, parent, outcome.value, reason, outcome.status)


def compute(
    state: BenchmarkState, submit: Callable[[Cell], Future[Attempted]], window: int, stop: Stop, client: MlflowClient
) -> Iterator[Attempted]:
    """Settle every cell that is not (:func:`drive`), and yield how each ended. A pruned KAN waits for its twin.

    Ends early when ``stop`` has a reason. Runs that this interrupts are yielded, with our reason in the place of the SIGTERM
    that we sent to their workers, and stay unsettled.
    """
    ready: deque[Cell] = deque()
    held: dict[str, list[Cell]] = {}
    for cell in state.cells.values():
        if cell.fingerprint not in state.settled:
            waits = cell.twin is not None and cell.twin not in state.settled
            held.setdefault(str(cell.twin), []).append(cell) if waits else ready.append(cell)
    watch = Watch()
    work = Work(
        take=lambda: ready.popleft() if ready else None,
        again=ready.append,
        submit=submit,
        failed=lambda cell, outcome, reason, run_id: Attempted(cell.fingerprint, outcome, run_id, reason),
        close_lost=partial(close_ours, client),
        look_at=lambda run_id: close_if_gone(client, client.get_run(run_id), watch),
    )
    for now in drive(work, window, stop):
        state.running, state.busy = now.running, now.busy
        for cell, ended in now.ended:
            state.settled[cell.fingerprint] = ended
            state.computed += not ended.reused
            ready.extendleft(held.pop(cell.fingerprint, ()))
            yield ended
        for _, ended in now.interrupted:
            yield replace(ended, reason=stop.reason or ended.reason)


def _reused(found: Result) -> Attempted:
    return Attempted(
        found.fingerprint,
        found.outcome,
        found.run_id,
        dense_mse=found.dense_mse,
        log10_nmse=found.log10_nmse,
        seconds=found.seconds,
        reused=True,
    )


def _hash(cells: Mapping[str, Cell]) -> str:
    return hashlib.sha256("".join(sorted(cells)).encode()).hexdigest()[:8]


def _row(cell: Cell) -> dict[str, object]:
    """A line of the plan."""
    config = cell.config
    return {name: getattr(config, name) for name in ("model", "problem", "preset", "seed", "epochs")} | {
        "fingerprint": cell.fingerprint
    }


def _summarise(client: MlflowClient, parent: str, config: BenchmarkConfig, state: BenchmarkState) -> None:
    """Write counts, errors and failures to the parent run."""
    counts = state.counts()
    ended = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines = [f"**{markdown(config.suite)}**: {len(state.cells)} cells, {ended}.", ""]
    spreads, (heads, *rows) = state.spreads(), state.table()
    failed = [
        f"\n- {cell}: {lost.outcome.value if lost.outcome else ''}. {markdown(lost.reason)}"
        for cell, lost in state.failed()[:20]
    ]
    if rows:
        lines += [state.legend(), "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        lines += shortened([f"| {' | '.join(row)} |" for row in rows], NOTE - len("\n".join([*lines, *failed])))
    write_progress(client, parent, counts, "\n".join([*lines, *failed]))
    write_table(client, parent, "summary.json", [_spread_row(each) for each in spreads])


def shortened(rows: Sequence[str], room: int) -> list[str]:
    """As many rows of a table as there is room for, in characters; a sentence below says where the others are."""
    kept: list[str] = []
    taken = 0
    for row in rows:
        taken += len(row) + 1
        if taken > room:
            return [*kept, "", f"{len(rows) - len(kept)} more rows are in the artifact `summary.json`."]
        kept.append(row)
    return kept


def _spread_row(spread: Spread) -> dict[str, object]:
    """A line of the summary; an error that was not reached is null."""
    figures = {"median": spread.median, "min": spread.errors[0], "max": spread.errors[-1]}
    return {
        **{name: getattr(spread, name) for name in ("problem", "model", "preset")},
        **{name: round(value, 2) if math.isfinite(value) else None for name, value in figures.items()},
        "seeds": spread.seeds,
        "knows_target": spread.knows_target,
        "runs": len(spread.errors),
        "reached": sum(map(math.isfinite, spread.errors)),
    }
