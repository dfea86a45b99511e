"""The parent run of many: what was planned, and a summary that can be read without unfolding its children."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from harness.errors import BadInput
from harness.escaping import quoted
from harness.tracking.claims import owner_tag, search
from harness.tracking.store import exclusive

Table = Sequence[Mapping[str, Any]]
"""Rows by column; all have the same columns."""


def open_parent(client: MlflowClient, experiment_id: str, name: str, identity: Mapping[str, str]) -> str:
    """The parent run that has the tags of ``identity``, made if there is none, and RUNNING. Gives its id.

    Where MLflow started this process it is the run that MLflow made.
    """
    tags = {**resolve_tags(), **identity, **owner_tag()}
    given = os.environ.get("MLFLOW_RUN_ID")
    with exclusive(client.tracking_uri):
        if given is None:
            condition = " AND ".join(f"tags.`{key}` = {quoted(value)}" for key, value in identity.items())
            found = [run for run in search(client, condition) if MLFLOW_PARENT_RUN_ID not in run.data.tags]
            given = found[0].info.run_id if found else client.create_run(experiment_id, run_name=name).info.run_id
        try:
            client.update_run(given, status="RUNNING", name=name)
        except MlflowException as error:
            raise BadInput(f"MLFLOW_RUN_ID = {given!r} can't be used: {error.message.rstrip('.')}.") from error
        client.log_batch(given, tags=[RunTag(key, value) for key, value in tags.items()])
    return str(given)


def child_tags(parent: str) -> dict[str, str]:
    """The tags that make a run a child of ``parent`` and that name the driver that answers for it."""
    return {MLFLOW_PARENT_RUN_ID: parent, "driver": owner_tag()["owner"]}


def write_table(client: MlflowClient, run_id: str, name: str, rows: Table) -> None:
    """A table that MLflow's UI opens, in the place of an earlier one of that name (MLflow's ``log_table`` appends)."""
    columns = list(rows[0]) if rows else []
    table = {"columns": columns, "data": [[row[column] for column in columns] for row in rows]}
    client.log_text(run_id, json.dumps(table), name)
    shown = json.loads(client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    if not any(each["path"] == name for each in shown):
        client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([*shown, {"path": name, "type": "table"}]))


def write_progress(client: MlflowClient, run_id: str, counts: Mapping[str, int], note: str) -> None:
    """How many children ended how, as metrics, and the note on the run's page."""
    now = int(time.time() * 1000)
    metrics = [Metric(f"cells/{name}", float(count), now, 0) for name, count in counts.items()]
    client.log_batch(run_id, metrics=metrics, tags=[RunTag("mlflow.note.content", note)])


def end_parent(client: MlflowClient, run_id: str, outcome: str, reason: str, status: str) -> None:
    """Close the parent run."""
    client.log_batch(run_id, tags=[RunTag("outcome", outcome), RunTag("outcome.reason", reason)])
    client.set_terminated(run_id, status)
