"""The parent run of many: what was planned, and a summary that can be read without unfolding its children."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunTag
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from harness.addresses import clean
from harness.escaping import in_filter
from harness.outcome import Outcome
from harness.tracking.claims import WITHDRAWAL_S, adopt, close_left_behind, owner_of, search, unfinished
from harness.tracking.liveness import Owner, owner_tag, presence
from harness.tracking.pages import ANY_RUNS
from harness.tracking.store import BATCH, exclusive, experiment_of

PARENT = "parent"
"""Tag that tells the parent of a benchmark or study from its children, which share the others."""
Table = Sequence[Mapping[str, Any]]
"""Rows by column; all have the same columns."""


def open_parent(
    client: MlflowClient, section: str, name: str, identity: Mapping[str, str], about: str = ANY_RUNS
) -> Run:
    """The parent run that has the tags of ``identity``, RUNNING; runs of ours whose process is gone are closed before.

    It is the run that MLflow made, where that started this process, else one of the experiment that ``section`` stands for
    (:func:`experiment_of`, as is ``about``), made if there is none. Raises BadInput,
    before anything is written, when that can't be used.
    """
    given = os.environ.get("MLFLOW_RUN_ID")
    parent = adopt(client, given) if given else None
    experiment_id = parent.info.experiment_id if parent else experiment_of(client, section, about).experiment_id
    close_left_behind(client)
    with exclusive(client.tracking_uri):
        parent = parent or _found_or_made(client, experiment_id, name, identity)
        run_id = str(parent.info.run_id)
        client.update_run(run_id, status="RUNNING", name=name)
        for tag in ("outcome", "outcome.reason"):
            if tag in parent.data.tags:
                client.delete_tag(run_id, tag)  # how it ended before; it is at work again
        tags = {**resolve_tags(), **identity, PARENT: "true", **owner_tag()}
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    return parent


def _found_or_made(client: MlflowClient, experiment_id: str, name: str, identity: Mapping[str, str]) -> Run:
    """One parent, although several processes may come at the same moment to a server, which has no lock to offer.

    As with a claim, each makes a candidate first and looks for rivals then. One that sees a rival with a smaller id
    withdraws; the one with the smallest waits until the others have withdrawn, or one that saw no rival is the parent. A
    parent stays the parent, so all others join it.
    """
    mine: str | None = None
    patience = 0.0
    while True:
        found = _parents(client, experiment_id, identity)
        if parents := [run for run in found if run.data.tags[PARENT] == "true"]:
            if mine is not None:
                client.delete_run(mine)
            return parents[0]
        rivals = [str(run.info.run_id) for run in found if run.info.status == "RUNNING" and run.info.run_id != mine]
        out_of_patience = time.monotonic() > patience
        if mine is None and (out_of_patience or not rivals):
            tags = {**resolve_tags(), **identity, PARENT: "candidate", **owner_tag()}
            mine = str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
            patience = time.monotonic() + WITHDRAWAL_S
        elif mine is not None and (out_of_patience or not rivals):
            client.set_tag(mine, PARENT, "true")
            return client.get_run(mine)
        elif mine is not None and min(rivals) < mine:
            client.delete_run(mine)
            mine = None
        time.sleep(0.1 if rivals else 0.0)


def _parents(client: MlflowClient, experiment_id: str, identity: Mapping[str, str]) -> list[Run]:
    """The parents of ours with these tags, and candidates for that, the latest first; in one look, so that none is missed."""
    conditions = [*(f"tags.`{key}` = {in_filter(value)}" for key, value in identity.items()), f"tags.{PARENT} LIKE '%'"]
    found = search(client, " AND ".join(conditions))
    return [run for run in found if owner_of(run) is not None and run.info.experiment_id == experiment_id]


def child_tags(parent: str) -> dict[str, str]:
    """The tags that make a run a child of ``parent`` and that name the driver that answers for it."""
    return {MLFLOW_PARENT_RUN_ID: parent, "driver": owner_tag()["owner"]}


def write_table(client: MlflowClient, run_id: str, name: str, rows: Table) -> None:
    """A table that MLflow's UI opens, instead of an earlier one of that name (MLflow's ``log_table`` appends)."""
    columns = list(rows[0]) if rows else []
    table = {"columns": columns, "data": [[row[column] for column in columns] for row in rows]}
    client.log_text(run_id, clean(json.dumps(table)), name)
    shown = json.loads(client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    if not any(each["path"] == name for each in shown):
        client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([*shown, {"path": name, "type": "table"}]))


def write_progress(client: MlflowClient, run_id: str, counts: Mapping[str, int], note: str) -> None:
    """How many children ended how, as metrics, and the note on the run's page."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(f"outcome/{name}", float(count), now, 0) for name, count in counts.items() if count or name == "left"
    ]
    client.log_batch(run_id, metrics=metrics, tags=progress_tags(note))


def write_errors(client: MlflowClient, run_id: str, errors: Mapping[str, float]) -> None:
    """Errors of the whole, by the name of their metric; an infinite one is NaN, since the store would make 1.8e308 of it."""
    now = int(time.time() * 1000)
    metrics = [
        Metric(name, error if math.isfinite(error) else math.nan, now, 0) for name, error in sorted(errors.items())
    ]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def progress_tags(note: str) -> list[RunTag]:
    """The note on a parent's page, with its writer as the owner of the run: of several drivers one that is alive."""
    return [RunTag(key, value) for key, value in {"mlflow.note.content": note, **owner_tag()}.items()]


def end_parent(client: MlflowClient, run_id: str, outcome: str, reason: str, status: str) -> None:
    """Close the parent run."""
    client.log_batch(run_id, tags=[RunTag("outcome", outcome), RunTag("outcome.reason", reason)])
    client.set_terminated(run_id, status)


def leave_parent(client: MlflowClient, run_id: str, outcome: Outcome, reason: str) -> None:
    """Close the parent run of a driver that ends before its work does, unless another driver is at work on it.

    That one owns the run then, and closes it.
    """
    if other := _other_driver(client, run_id):
        client.set_tag(run_id, "owner", other)
    else:
        end_parent(client, run_id, outcome.value, reason, outcome.status)


def _other_driver(client: MlflowClient, run_id: str) -> str | None:
    """The owner tag of another driver: of the one that wrote to the parent last, or of one that has a child at work.

    A driver on another machine counts: to tell whether it is gone takes minutes. A driver is missed that has no child at
    work at the moment, and wrote to the parent before us.
    """
    children = unfinished(client, f"tags.`{MLFLOW_PARENT_RUN_ID}` = {in_filter(run_id)}")
    drivers = [each.run.data.tags.get("driver", "") for each in children]
    for tag in (client.get_run(run_id).data.tags.get("owner", ""), *drivers):
        owner = Owner.parse(tag)
        if owner is not None and tag != owner_tag()["owner"] and not presence(owner).gone:
            return tag
    return None
