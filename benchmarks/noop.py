"""A cell that computes nothing: it is claimed and closed. What is left is what driver, worker and store cost."""

from __future__ import annotations

from harness.execution.attempt import Attempted, Task
from harness.outcome import Outcome
from harness.tracking.claims import Claimed, claim
from harness.tracking.store import open_store, trust


def noop(task: Task) -> Attempted:
    trust(task.store)
    client = open_store()
    claimed = claim(client, task.fingerprint, task.experiment_id, "noop", task.tags)
    if not isinstance(claimed, Claimed):
        return Attempted(task.fingerprint, Outcome.COMPLETED, reused=True)
    client.set_tag(claimed.run_id, "outcome", "completed")
    client.set_terminated(claimed.run_id)
    return Attempted(task.fingerprint, Outcome.COMPLETED, claimed.run_id)
