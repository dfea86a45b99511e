"""Trials that a process left behind are given to the next one, each once.

Everything here is called with the storage to oneself (:func:`studies.storage.alone`).
"""

from __future__ import annotations

import time

import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.tracking.liveness import Owner, Presence, Watch, presence, this_process
from studies.storage import AGAIN, DRIVER

OWNER = "owner"
"""Attribute of a trial: the process that asked for it."""
UNCLAIMED_S = 30.0
"""A trial that no driver has claimed for so many seconds counts as left behind; a driver claims its trial at once."""


def take_over(study: optuna.Study, watch: Watch) -> int:
    """Hand over every trial whose process is gone, and say of how many others that is still open."""
    drivers = _drivers(study, watch)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    gone = {trial.number: _is_gone(trial, drivers) for trial in running}
    for trial in running:
        if gone[trial.number]:
            hand_over(study, trial)
    return sum(each is None for each in gone.values())


def hand_over(study: optuna.Study, trial: FrozenTrial) -> None:
    """Ask for the same values again, and end this trial as failed.

    In this order: a process that dies between the two leaves a trial that was asked for again, which is seen here.
    """
    if not any(each.user_attrs.get(AGAIN) == trial.number for each in study.get_trials(deepcopy=False)):
        study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})
    study.tell(trial.number, state=TrialState.FAIL)


def _is_gone(trial: FrozenTrial, drivers: dict[str, Presence]) -> bool | None:
    """Whether the process of a RUNNING trial is gone; None while that can't be told."""
    tag = trial.user_attrs.get(OWNER)
    if tag is None:
        # Its driver was about to claim it, so wait for it if there is one.
        started = trial.datetime_start
        late = started is None or time.time() - started.timestamp() > UNCLAIMED_S
        return late or all(process.gone for process in drivers.values()) or None
    if tag == str(this_process()):
        return False
    if tag in drivers:
        return drivers[tag].gone
    owner = Owner.parse(tag)
    return owner is None or presence(owner).gone is not False


def _drivers(study: optuna.Study, watch: Watch) -> dict[str, Presence]:
    """What is known of every other driver that the study ever had, by its owner tag."""
    signs = {key.removeprefix(DRIVER): str(sign) for key, sign in study.user_attrs.items() if key.startswith(DRIVER)}
    owners = {tag: Owner.parse(tag) for tag in signs if tag != str(this_process())}
    return {tag: presence(owner, watch.look(tag, signs[tag])) for tag, owner in owners.items() if owner is not None}
