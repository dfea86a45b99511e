"""Trials that a process left behind are given to the next one, each once.

Everything here is called with the storage to oneself (:func:`studies.storage.alone`).
"""

from __future__ import annotations

import time

import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.tracking.claims import owner_tag, presence
from studies.storage import AGAIN, DRIVER

OWNER = "owner"
"""Attribute of a trial: the process that asked for it."""
UNCLAIMED_S = 30.0
"""Seconds after which a trial counts as left behind that nobody has claimed; its driver does so at once."""


def take_over(study: optuna.Study) -> int:
    """Hand over every trial whose process is gone, and say how many there were."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    left = [trial for trial in running if _left_behind(study, trial)]
    for trial in left:
        hand_over(study, trial)
    return len(left)


def hand_over(study: optuna.Study, trial: FrozenTrial) -> None:
    """Ask for the same values again, and end this trial as failed.

    In this order: a process that dies between the two leaves a trial that was asked for again, which is seen here.
    """
    if not any(each.user_attrs.get(AGAIN) == trial.number for each in study.get_trials(deepcopy=False)):
        study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})
    study.tell(trial.number, state=TrialState.FAIL)


def _left_behind(study: optuna.Study, trial: FrozenTrial) -> bool:
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        started = trial.datetime_start
        return started is None or time.time() - started.timestamp() > UNCLAIMED_S or not _others(study)
    if owner == owner_tag()["owner"]:
        return False
    found = presence(owner, float(study.user_attrs.get(DRIVER + owner, 0.0)))
    return found is None or found[1]


def _others(study: optuna.Study) -> bool:
    """Whether another driver is alive."""
    own = owner_tag()["owner"]
    drivers = {key.removeprefix(DRIVER): at for key, at in study.user_attrs.items() if key.startswith(DRIVER)}
    found = [presence(owner, float(at)) for owner, at in drivers.items() if owner != own]
    return any(each is not None and not each[1] for each in found)
