"""What the store has results of, by fingerprint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import Run

from harness.outcome import TERMINAL, Outcome
from harness.tracking import queries
from harness.tracking.claims import search
from harness.tracking.store import database

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Result:
    """What is known of a run that is over, without asking the store for all of it."""

    fingerprint: str
    run_id: str
    outcome: Outcome
    started: float
    """Unix time, in seconds."""
    seconds: float
    model: str
    preset: str
    epochs: int
    dense_mse: float | None
    log10_nmse: float | None
    train_s: float | None
    """Seconds of these that were training."""


def results(client: MlflowClient) -> dict[str, Result]:
    """The latest ``completed`` or ``diverged`` run of each fingerprint that the store has.

    A database is asked directly, a tracking server by MLflow's search, which takes a hundred times as long.
    """
    engine = database(client.tracking_uri)
    found = _from_server(client) if engine is None else _from_database(engine)
    return {result.fingerprint: result for result in sorted(found, key=lambda result: result.started)}


def result_of(run: Run) -> Result:
    """The result of a run that is over."""
    params, metrics = run.data.params, run.data.metrics
    return Result(
        run.data.tags["fingerprint"],
        run.info.run_id,
        Outcome(run.data.tags["outcome"]),
        run.info.start_time / 1000,
        ((run.info.end_time or run.info.start_time) - run.info.start_time) / 1000,
        params.get("cfg/model", ""),
        params.get("cfg/preset", ""),
        _whole(params.get("cfg/epochs")),
        metrics.get("final/dense_mse"),
        metrics.get("final/log10_nmse"),
        metrics.get("time/train_s"),
    )


def _whole(text: str | None) -> int:
    """A param of up to nine digits; 0 for what is no such number, since anybody can write a param."""
    return int(text) if text and re.fullmatch("[0-9]{1,9}", text) else 0


def _from_server(client: MlflowClient) -> Iterator[Result]:
    for outcome in TERMINAL:
        for run in search(client, f"tags.outcome = '{outcome}' AND attributes.status != 'RUNNING'"):
            if "fingerprint" in run.data.tags:
                yield result_of(run)


def _from_database(engine: Engine) -> Iterator[Result]:
    with engine.connect() as connection:
        rows = queries.results(
            connection,
            TERMINAL,
            params=("cfg/model", "cfg/preset", "cfg/epochs"),
            metrics=("final/dense_mse", "final/log10_nmse", "time/train_s"),
        )
    for fingerprint, run_id, ended, start, end, model, preset, epochs, dense_mse, log10_nmse, train_s in rows:
        seconds = ((end or start) - start) / 1000
        yield Result(
            fingerprint,
            run_id,
            Outcome(ended),
            start / 1000,
            seconds,
            model or "",
            preset or "",
            _whole(epochs),
            dense_mse,
            log10_nmse,
            train_s,
        )
