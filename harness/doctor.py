"""Is everything in order here? Versions, devices, the store, and runs that nobody will finish."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from harness import __version__
from harness.errors import BadInput
from harness.escaping import visible

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
    yield _devices()
    from harness.tracking.claims import close, unfinished
    from harness.tracking.store import open_store

    try:
        client = open_store()
    except BadInput as error:
        yield Check("store", str(error), ok=False)
        return
    yield Check("store", f"{client.tracking_uri} can be read and written")
    found = list(unfinished(client))
    for each in found:
        if each.left_behind and fix:
            close(client, each.run, f"Left behind: {each.state}; closed by doctor.")
        ending = (
            "closed as interrupted"
            if each.left_behind and fix
            else "close it with doctor --fix"
            if each.left_behind
            else "left alone"
        )
        yield Check(
            visible(f"run {each.run.info.run_id}"),
            visible(f"{each.run.info.run_name} is unfinished: {each.state}; {ending}"),
            ok=fix or not each.left_behind,
        )
    if not found:
        yield Check("runs", "none is unfinished")


def _devices() -> Check:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Check("devices", ", ".join(["cpu", *(f"cuda:{index} ({name})" for index, name in enumerate(names))]))
