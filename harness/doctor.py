"""Is everything in order here? Versions, devices, the store, and runs whose process is gone."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from harness import __version__
from harness.addresses import masked
from harness.errors import BadInput
from harness.escaping import visible
from harness.loading import load

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from harness.tracking.claims import Unfinished

LOOK_S = 2.0
"""Seconds between two looks at a heartbeat."""
PACKAGES = ("torch", "mlflow", "pykan", "numpy")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    finding: str
    ok: bool = True


def examine(*, fix: bool) -> Iterator[Check]:
    """Look at one thing after another. With ``fix``, runs whose process is gone are closed as ``interrupted``."""
    yield Check("harness", f"{__version__} on Python {platform.python_version()}")
    for package in PACKAGES:
        try:
            yield Check(package, version(package))
        except PackageNotFoundError:
            yield Check(package, "is not installed; pip install -r requirements.txt -e .", ok=False)
    load("torch", "harness.tracking.claims")
    yield _devices()
    from harness.tracking.claims import close, left_behind, unfinished
    from harness.tracking.liveness import SILENCE_S
    from harness.tracking.store import (
        check_writable,
        look_at_store,
        lost_in_one_sentence,
        open_store,
        reads_only,
        store_address,
    )

    try:
        if not look_at_store(reading=not fix):
            yield Check("store", f"{masked(store_address())} is not there yet; the first run makes it")
            return
        client = open_store(reading=not fix)
        check_writable(client.tracking_uri)
    except BadInput as error:
        yield Check("store", str(error), ok=False)
        return
    can = "read, and is opened read-only" if reads_only(client.tracking_uri) else "read and written"
    yield Check("store", f"{masked(client.tracking_uri)} can be {can}")
    with lost_in_one_sentence():
        found = list(unfinished(client))
        if fix and any(each.process.gone is None for each in found):
            yield Check("runs elsewhere", f"watching their heartbeats for {SILENCE_S:.0f} s")
            found = _watched(client, {each.run.info.run_id for each in found})
    for each in found:
        ending = "left alone"
        if each.process.gone:
            ending = "close it with doctor --fix"
            if fix:
                with lost_in_one_sentence():
                    close(client, each.run.info.run_id, left_behind(each.process))
                ending = "closed as interrupted"
        elif each.process.gone is None:
            ending = "doctor --fix watches whether it is at work"
        said = visible(f"{each.run.info.run_name} is unfinished: {each.process.sentence}; {ending}")
        yield Check(visible(f"run {each.run.info.run_id}"), said, ok=fix or not each.process.gone)
    if not found:
        yield Check("runs", "none of this project's is unfinished")


def _watched(client: MlflowClient, ids: set[str]) -> list[Unfinished]:
    """Those of these runs that are unfinished, once it can be told of each whether its process is gone."""
    from harness.tracking.claims import unfinished
    from harness.tracking.liveness import Watch

    watch = Watch()
    while True:
        found = [each for each in unfinished(client, watch=watch) if each.run.info.run_id in ids]
        if not any(each.process.gone is None for each in found):
            return found
        time.sleep(LOOK_S)


def _devices() -> Check:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Check("devices", ", ".join(["cpu", *(f"cuda:{index} ({name})" for index, name in enumerate(names))]))
