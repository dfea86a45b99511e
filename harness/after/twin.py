"""The unpruned twin: the same network, neither sparsified nor cut, at the same seed and total budget (criterion K2)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.after import Trained
from harness.evaluation import evaluate, of_dense_grid
from harness.models import build
from harness.outcome import Additions, Ending, Outcome
from harness.training import BaseStarted, Event, train


def compare_with_twin(trained: Trained) -> tuple[Ending | None, Additions]:
    """Train the twin and add its dense error, or what was found of it before. A twin that diverges leaves the run completed."""
    of_twin = trained.config.twin()
    assert of_twin is not None
    added = Additions({"prune/mse_final": trained.metrics["final/dense_mse"]})
    if trained.twin is not None:
        added.metrics["prune/base_dense_mse"] = trained.twin.dense_mse
        return None, added
    data = trained.data
    base = build(of_twin, trained.problem, data.train).to(data.dense.x.device)

    def events() -> Iterator[Event]:
        yield BaseStarted()
        yield from train(base, data, of_twin)

    ended = trained.follow(events())
    if ended.outcome is Outcome.COMPLETED:
        found = evaluate(base, trained.problem, data.dense)
        added.metrics["prune/base_dense_mse"] = found["final/dense_mse"]
        if not math.isfinite(found["final/dense_nmse"]):
            ended = Ending(Outcome.DIVERGED, of_dense_grid(found))
    if ended.outcome is Outcome.COMPLETED:
        return None, added
    if ended.outcome is Outcome.DIVERGED:
        reason = f"Its unpruned twin diverged, so there is nothing to compare it with: {ended.reason}"
        return Ending(Outcome.COMPLETED, reason), added
    return Ending(ended.outcome, f"While training the unpruned twin: {ended.reason}", ended.error), added
