"""One run in the store, written while its events come in."""

from __future__ import annotations

import math
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from torch import Tensor

from harness.addresses import clean
from harness.config import RunConfig
from harness.data import Data, scale2
from harness.escaping import markdown
from harness.evaluation import log10_nmse
from harness.figures.packing import png
from harness.fingerprint import COMPARABILITY, fingerprint
from harness.models import Regressor
from harness.outcome import Additions, Ending, Outcome
from harness.presets import digest, knows_target
from harness.problems import Problem
from harness.tracking.artifacts import (
    EVENTS,
    TABLES,
    write_checkpoint,
    write_datasets,
    write_dense,
    write_events,
    write_history,
    write_model,
)
from harness.tracking.claims import adopt, context_tags
from harness.tracking.description import describe, facts
from harness.tracking.liveness import Heartbeat, owner_tag
from harness.tracking.naming import model_name, run_name
from harness.tracking.store import BATCH, experiment_of, open_store
from harness.training import BaseStarted, CutShort, Epoch, Event, Kept, NonFinite, Pruned, StageStarted, Taken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLUSH_S = 10.0
"""Seconds between two writes while the training goes on; one metric costs 0.05 to 0.1 ms on SQLite."""
SYSTEM_METRICS_S = 5.0
HISTORY = ("train/mse", "val/mse", "test/mse", "lr", "grad/norm", "time/train_s", "evals")


class Recorder:
    """Writes one run by the contract (``docs/contract.md``).

    A context: whatever happens inside, the run does not stay RUNNING. Training goes through :meth:`record`, the end
    through :meth:`conclude`.
    """

    def __init__(
        self,
        config: RunConfig,
        problem: Problem,
        data: Data,
        state: Mapping[str, Tensor],
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> None:
        """Open the store and start the run. Raises BadInput when the store can't be used; nothing is left then.

        ``state`` is the one that the model starts from: the last finite one until an epoch is over. The run is that of
        ``run_id``, or where MLflow started this process the one that it made (``MLFLOW_RUN_ID``), else a new one.
        """
        self.config = config
        self.client: MlflowClient = open_store()
        opening = {"fingerprint": fingerprint(config, data), "comparability": COMPARABILITY, **owner_tag()}
        self.run: Run = _start(self.client, config, problem, run_id or os.environ.get("MLFLOW_RUN_ID"), opening)
        self.last_finite = {key: tensor.detach().clone() for key, tensor in state.items()}
        """The model's state after the last epoch that was recorded, or the one that is kept of a training that failed."""
        self.kept: Kept | None = None
        """What the training said last that it would keep if a later stage failed."""
        self._problem = problem
        self._data = data
        self._scale2 = scale2(data.dense.y.double())
        self._metrics: list[Metric] = []
        self._flushed = time.monotonic()
        self._rows: list[dict[str, Any]] = []
        self._events: list[NonFinite] = []
        self._stages: list[str] = []
        self._cut_short: CutShort | None = None
        self._of_base = False
        self._concluded = False
        self._model_id: str | None = None
        self._tables: Mapping[str, str] = {}
        self._beating = ExitStack()
        self._monitor = SystemMetricsMonitor(
            self.run_id, sampling_interval=SYSTEM_METRICS_S, tracking_uri=self.client.tracking_uri
        )
        self._monitor.mlflow_logger.client = self.client  # which outlasts a database that is locked
        try:
            self._open(opening | dict(tags or {}))
        except BaseException as error:
            # The context was not entered yet, so its end would not close the run.
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def _open(self, tags: Mapping[str, str]) -> None:
        config, data = self.config, self._data
        note = {
            "problem.facts": facts(self._problem, data.dense),
            "mlflow.note.content": describe(config, self._problem),
            "preset.digest": digest(config.preset, self._problem.equation is not None, config.model),
            **({"preset.knows_target": "true"} if knows_target(config) else {}),
        }
        self.client.log_batch(
            self.run_id,
            params=[Param(name, value) for name, value in _params(config).items()],
            tags=_tags(note | _git_tags() | dict(tags)),
        )
        drawn = f"{config.problem}-s{config.seed}"
        samples = {(drawn, "train"): data.train, (drawn, "test"): data.test}
        if data.dense is not data.test:
            samples[_dense(config), "dense"] = data.dense
        write_datasets(self.client, self.run, self._problem, samples)
        self._monitor.start()
        self._beating.enter_context(Heartbeat(self.client, self.run_id))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._concluded:
            outcome = Outcome.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Outcome.ERROR
            reason = (
                f"The run was left by {type(error).__name__}: {error}"
                if error
                else "The run was left without a conclusion."
            )
            self.conclude(Ending(outcome, reason, error))

    @property
    def run_id(self) -> str:
        """MLflow's id of the run."""
        return str(self.run.info.run_id)

    @property
    def history(self) -> pd.DataFrame:
        """One row for each planned epoch; those that were not reached are NaN."""
        extra = sorted({name for row in self._rows[:1] for name in row} - {"epoch", "stage", *HISTORY})
        frame = pd.DataFrame(self._rows, columns=["epoch", "stage", *HISTORY, *extra])
        return frame.set_index("epoch").reindex(range(1, self.config.epochs + 1)).reset_index()

    @property
    def events(self) -> tuple[NonFinite, ...]:
        """The non-finite events so far."""
        return tuple(self._events)

    def record(self, event: Event) -> None:
        """Take in an event. Of the unpruned twin only the non-finite numbers are kept."""
        match event:
            case BaseStarted():
                self._of_base = True
            case NonFinite():
                self._events.append(replace(event, stage=f"base: {event.stage}") if self._of_base else event)
                if not self._of_base:
                    # Once, so that the curve shows where it happened; the store would turn an infinity into 1.8e308.
                    self._put({"train/mse": math.nan}, event.epoch)
            case Kept() if not self._of_base:
                self.kept = event
            case Taken() if not self._of_base:
                self.last_finite = event.state
                residual = {} if event.val_residual is None else {"val/best_residual": event.val_residual}
                self._put({"val/best_epoch": event.epoch, "val/best_mse": event.val_mse, **residual}, 0)
            case StageStarted() if not self._of_base:
                self._stages.append(event.name)
            case CutShort():
                self._cut_short = event
            case Pruned():
                self._put(
                    {
                        "prune/params_before": event.params_before,
                        "prune/params_after": event.params_after,
                        "prune/reduction": (event.params_before - event.params_after) / event.params_before,
                        "prune/mse_before": event.mse_before,
                        "prune/mse_after_cut": event.mse_after_cut,
                    },
                    0,
                )
            case Epoch() if not self._of_base:
                self._record_epoch(event)
        if time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def _record_epoch(self, event: Epoch) -> None:
        self.last_finite = event.state
        numbers = (
            event.train_mse,
            event.val_mse,
            event.test_mse,
            event.lr,
            event.grad_norm,
            event.train_s,
            event.evals,
        )
        values = {name: value for name, value in zip(HISTORY, numbers, strict=True) if value is not None} | event.extra
        self._rows.append({"epoch": event.epoch, "stage": self._stages[event.stage], **values})
        values["test/log10_nmse"] = log10_nmse(event.test_mse, self._scale2)
        if event.extra:
            values["stage"] = event.stage
        self._put(values, event.epoch)

    def flush(self) -> None:
        """Write the metrics that have come together."""
        while self._metrics:
            self.client.log_batch(self.run_id, metrics=self._metrics[:BATCH])
            del self._metrics[:BATCH]
        self._flushed = time.monotonic()

    def conclude(
        self,
        ending: Ending,
        *,
        figures: Mapping[str, Callable[[], Figure]] | None = None,
        prediction: Callable[[], Tensor] | None = None,
        model: Regressor | None = None,
        added: Additions | None = None,
    ) -> Ending:
        """Write everything that exists, then how it ended, and close the run.

        The metrics of ``added`` are final ones; one that is not finite becomes an event. Its tags and texts are written.
        ``figures`` draws each picture by its file name, ``prediction`` gives the values ``(points, outputs)`` of the last finite
        state on the dense grid, ``model`` is logged for others to load if the run is completed. What fails here is recorded:
        a fault turns ``completed`` into ``error``, and the rest is still written. A second Ctrl-C turns it into ``interrupted``:
        of the rest the final metrics and the ending are still written, and then it goes on.
        Gives the ending that the run got.
        """
        self._concluded = True
        added = added or Additions()
        metrics = {name: value for name, value in added.metrics.items() if math.isfinite(value)}
        faults = [] if ending.error is None else [ending.error]
        try:
            if self.client.get_run(self.run_id).info.status != "RUNNING":
                ending = Ending(Outcome.INTERRUPTED, f"Closed by somebody else while it was at work. {ending.reason}")
            self._events += self._not_finite(added.metrics)
            for what, write in self._pieces(figures or {}, prediction, model, added).items():
                if what == "the model" and ending.outcome is not Outcome.COMPLETED:
                    # Others load only what is completed. And on a full disk torch would end the process (std::terminate).
                    continue
                try:
                    write()
                except (Exception, SystemExit) as error:
                    faults.append(error)
                    ending = _with_fault(ending, f"Could not write {what}: {_first_line(error)}.", error)
        except BaseException as error:
            faults.append(error)
            ending = _with_fault(ending, f"Left by {type(error).__name__} while the results were written.", error)
            raise
        finally:
            ending = self._close(ending, faults, metrics, added.tags)
        return ending

    def _close(
        self,
        ending: Ending,
        faults: Sequence[BaseException],
        metrics: Mapping[str, float],
        found: Mapping[str, str],
    ) -> Ending:
        """Write the tracebacks, then the final metrics and the ending, then the status; each whatever happens to those before."""
        try:
            if faults:
                text = "\n".join("".join(traceback.format_exception(fault)) for fault in faults)
                self.client.log_text(self.run_id, clean(text), "error/traceback.txt")
        except Exception as error:
            # Anything: without its client an address of artifacts raises ImportError, and each client has errors of its own.
            ending = _with_fault(ending, f"Could not write the traceback: {_first_line(error)}.", error)
        finally:
            try:
                self.client.log_batch(
                    self.run_id,
                    metrics=self._final(metrics),
                    tags=_tags(self._closing_tags(ending, metrics, found)),
                )
            finally:
                with self._beating:
                    self.client.set_terminated(self.run_id, ending.outcome.status)
        return ending

    def _pieces(
        self,
        figures: Mapping[str, Callable[[], Figure]],
        prediction: Callable[[], Tensor] | None,
        model: Regressor | None,
        added: Additions,
    ) -> dict[str, Callable[[], None]]:
        """What writes each piece of the record, by its name, in the order in which they are written."""
        pieces: dict[str, Callable[[], None]] = {
            "the metrics": self._write_metrics,
            "history.parquet": lambda: write_history(self.client, self.run, self.history),
            EVENTS: self._write_events,
            "the checkpoint": lambda: write_checkpoint(
                self.client, self.run, self.config, self._problem, self.last_finite
            ),
        }
        if prediction is not None:
            pieces["dense.parquet"] = lambda: write_dense(
                self.client, self.run, self._problem, self._data.dense, prediction()
            )
        pieces |= {f"figures/{name}": partial(self._write_figure, name, draw) for name, draw in figures.items()}
        pieces |= {path: partial(self._write_text, path, text) for path, text in added.texts.items()}
        if model is not None:
            pieces["the model"] = partial(self._write_model, model)
        pieces["the system metrics"] = self._stop_monitor
        return pieces

    def _not_finite(self, final: Mapping[str, float]) -> list[NonFinite]:
        """An event for each final metric that is not finite, at the last epoch."""
        last = self._rows[-1] if self._rows else {}
        return [
            NonFinite(
                epoch=last.get("epoch", 0),
                stage=last.get("stage", ""),
                evaluation=int(last.get("evals", 0)),
                what=name,
                value=value,
                lr=last.get("lr"),
                grad_norm=last.get("grad/norm", math.nan),
                last_finite_loss=last.get("train/mse", math.nan),
            )
            for name, value in final.items()
            if not math.isfinite(value)
        ]

    def _put(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self._metrics += [Metric(name, float(value), now, step) for name, value in values.items()]

    def _write_metrics(self) -> None:
        nan = sum(math.isnan(event.value) for event in self._events)
        first = min((event.epoch for event in self._events), default=-1)
        self._put({"nan/count": nan, "inf/count": len(self._events) - nan, "nan/first_step": first}, 0)
        self.flush()

    def _write_events(self) -> None:
        write_events(self.client, self.run, self._events)
        self._tables = TABLES

    def _write_model(self, model: Regressor) -> None:
        self._model_id = write_model(
            self.client,
            self.run,
            model,
            self._problem,
            self._data.test.x[:5],
            model_name(self.config),
            _params(self.config),
        )

    def _final(self, metrics: Mapping[str, float]) -> list[Metric]:
        """The final metrics that are finite, as those of the model too where there is one, most of them on the dense grid.

        Filters on models never match a NaN, and the store would turn an infinity into 1.8e308.
        """
        now = int(time.time() * 1000)
        own = self._data.dense is not self._data.test
        name = _dense(self.config) if own else f"{self.config.problem}-s{self.config.seed}"
        dense = {"dataset_name": name, "dataset_digest": self._data.dense.digest}
        return [
            Metric(
                name,
                float(value),
                now,
                0,
                model_id=self._model_id,
                **({} if self._model_id is None or name.startswith("model/") else dense),
            )
            for name, value in metrics.items()
        ]

    def _write_figure(self, name: str, draw: Callable[[], Figure]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(png(draw()))
            self.client.log_artifact(self.run_id, str(path), "figures")

    def _write_text(self, path: str, text: str) -> None:
        self.client.log_text(self.run_id, clean(text), path)

    def _stop_monitor(self) -> None:
        """A run shorter than the sampling interval gets the one sample that was taken at its start."""
        self._monitor.finish()
        last = self._monitor.aggregate_metrics()
        if last:
            self._monitor.publish_metrics(last)
            self._monitor.mlflow_logger.flush()

    def _closing_tags(self, ending: Ending, metrics: Mapping[str, float], found: Mapping[str, str]) -> dict[str, str]:
        tags = {
            "outcome": ending.outcome.value,
            "outcome.reason": ending.reason,
            "nan.occurred": str(bool(self._events)).lower(),
            "mlflow.note.content": describe(
                self.config, self._problem, ending, metrics, self._events, found.get("symbolic.formula")
            ),
            **self._tables,
            **found,
        }
        if self._events:
            tags["nan.kind"] = self._events[0].what
        if self._stages and self._stages != ["train"]:
            tags["stages"] = ",".join(self._stages)
        if self._cut_short is not None:
            tags["search.cut_short"] = str(self._cut_short)
        if ending.error is not None:
            tags |= {"error.type": type(ending.error).__name__, "error.message": str(ending.error)}
        return tags


def _start(
    client: MlflowClient, config: RunConfig, problem: Problem, given: str | None, tags: Mapping[str, str]
) -> Run:
    name = run_name(config)
    if not given:
        about = f"Single runs of the problems of {markdown(problem.sections[0])}."
        experiment = experiment_of(client, problem.sections[0], about)
        return client.create_run(experiment.experiment_id, run_name=name, tags=context_tags() | dict(tags))
    run = adopt(client, given)
    client.update_run(given, status="RUNNING", name=name)
    return run


def _first_line(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"SystemExit: {error}"  # which by itself is a number
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _with_fault(ending: Ending, sentence: str, error: BaseException) -> Ending:
    """The ending with one fault more; it is what the user reads first only if there was none before."""
    if ending.outcome is Outcome.COMPLETED:
        outcome = Outcome.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Outcome.ERROR
        return Ending(outcome, sentence, error)
    return Ending(ending.outcome, f"{ending.reason} {sentence}", ending.error or error)


def _dense(config: RunConfig) -> str:
    """The name of the dense grid as a dataset, which is the same for every seed."""
    return f"{config.problem}-dense"


def _params(config: RunConfig) -> dict[str, str]:
    """The params of a run, and of its model."""
    return {f"cfg/{field}": _spell(value) for field, value in config.shown().items()}


def _spell(value: object) -> str:
    """A configuration value as the command line would take it back."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow takes them: at most 8000 characters each."""
    return [RunTag(key, value[:8000]) for key, value in tags.items()]


@cache
def _git_tags(code: Path = Path(__file__)) -> dict[str, str]:
    """The commit of the code, and whether the working tree differs from it; nothing outside of a checkout, or without git.

    Asked once a process, when its code has just been loaded: what changes later is not what runs.
    """
    try:
        import git  # which looks for the program
    except ImportError:
        return {}
    try:
        repository = git.Repo(code.parent, search_parent_directories=True)
        # In a virtual environment the repository around it is somebody's own, and doesn't have this file.
        repository.git.ls_files("--error-unmatch", code)
        dirty = repository.is_dirty(untracked_files=True)
        return {
            "mlflow.source.git.commit": repository.head.commit.hexsha,
            "mlflow.source.git.dirty": str(dirty).lower(),
        }
    except (git.GitError, ValueError):
        return {}
