"""What this machine has, what can't fit on it, and how a process holds its memory."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform
import re
import resource
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import BeforeValidator

from harness.config import RunConfig
from harness.errors import BadInput, quoted
from harness.fields import OrNone

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
LEAST_MEMORY, MOST_MEMORY = 2**28, 2**50
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
KEPT, LARGEST = 2**28, 2**25
"""Bytes: of freed memory; of an array that is kept in it, as large as glibc allows."""


def _bytes(value: object) -> object:
    """``2G``, ``500MB`` or a number of bytes."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", str(value).strip(), re.IGNORECASE)
    size = math.inf if found is None else float(found[1]) * UNITS[found[2].upper()]
    if value is not None and not LEAST_MEMORY <= size <= MOST_MEMORY:
        raise ValueError("give a number of bytes from 256M to 1024T, such as 2G")
    return value if value is None else int(size)


Memory = Annotated[int | None, BeforeValidator(_bytes), OrNone]
"""A size as people write it; None where there is no limit."""


def cores() -> int:
    """The cores that this process may use, which a batch job's limits can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The name of the CPU, as its maker gives it."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def memory() -> int:
    """Bytes that a process could get at the most: what is available, swap included, or less where limits say so."""
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return min([free, *(limit for limit in (*limits, _of_control_group()) if limit != resource.RLIM_INFINITY)])


def _of_control_group() -> int:
    """The limit on the memory of a container or a batch job (cgroup v2); RLIM_INFINITY where there is none."""
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
    except OSError:
        return resource.RLIM_INFINITY
    place = Path("/sys/fs/cgroup", group)
    found = [folder / "memory.max" for folder in (place, *place.parents)]
    limits = [text for file in found if file.is_file() and (text := file.read_text().strip()).isdecimal()]
    return min(map(int, limits), default=resource.RLIM_INFINITY)


@functools.cache
def keep_freed_memory() -> None:
    """Keep freed memory in this process, up to ``KEPT`` bytes. An evaluation frees what it kept for its gradient; given back to
    the system, it is got again zeroed, page by page, which takes as long as the evaluation itself.

    By glibc's mallopt(3); elsewhere, or where the environment says how memory is to be allocated, nothing changes.
    """
    said = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_"} & set(os.environ)
    if sys.platform != "linux" or said or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, KEPT)
        mallopt(MMAP_THRESHOLD, LARGEST)


def gib(size: float) -> str:
    """Bytes as people read them."""
    return f"{size / 2**30:,.1f} GiB"


def more_threads_than_cores(threads: int) -> str:
    """The sentence for a run that asks for more threads than there are cores, which only slows it down; else none."""
    return (
        f"threads = {threads} is more than the {cores()} cores of this machine; at most {cores()} fit"
        if threads > cores()
        else ""
    )


def refuse_what_can_not_fit(config: RunConfig, shape: tuple[int, ...], room: int, *, on_gpu: bool = False) -> None:
    """Raise BadInput, with both sizes, for a run that needs more than ``room`` bytes, whatever else it does.

    What is counted is certain: the points; the parameters, their gradient and what the optimizer keeps of them; the numbers
    that an evaluation keeps at each point. So whatever is refused can't fit, but not all that can't fit is refused. For
    a GPU only points and network count, since they are made here and moved.
    """
    item = {"float64": 8, "float32": 4}[config.dtype]
    parameters = config.parameters(*shape)
    of_network = max(8, 0 if on_gpu else item * config.method.vectors(config.epochs)) * parameters
    points = {name: getattr(config, name) for name in ("n_train", "n_val", "n_test")}
    of_points = 8 * sum(points.values()) * (sum(shape) if len(shape) > 1 else shape[0] + 1)
    of_points += 0 if on_gpu else item * config.n_train * config.kept(shape[0])
    if of_network + of_points <= room:
        return
    names = ["width", "features", "depth", "degrees", "grids", "retrain_grids", "k"]
    names += ["history"] if of_network > of_points else []
    values = config.values()
    names = [name for name in names if values.get(name)]
    if of_points >= of_network:
        names.insert(0, max(points, key=lambda name: points[name]))
    shown = ", ".join(f"{name} = {_spelled(values[name])}" for name in names)
    who = values.get("optimizer", config.model)
    raise BadInput(
        f"{shown} can't fit: with {parameters:,} parameters and {config.n_train:,} training points {who} needs "
        f"at least {gib(of_network + of_points)} of memory, and there is {gib(room)}."
    )


def _spelled(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _there(path: Path) -> Path:
    """The innermost part of a path that exists."""
    try:
        path.lstat()
        return path
    except FileNotFoundError:
        return _there(path.parent)


def refuse_unwritable(field: str, path: Path, *, folder: bool) -> None:
    """Raise BadInput when no file can be written at ``path``, or in it where it is a ``folder``; makes nothing.

    Folders that are not there yet count as writable where they can be made, but only for a ``folder``.
    """
    try:
        place = _there(path) if folder else path.parent
        with tempfile.TemporaryFile(dir=place):
            pass
        if not folder and path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if not folder and path.is_file():
            with path.open("ab"):  # changes nothing, but tells whether its owner has protected it
                pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"{field} = {quoted(str(path))} can't be written: {why}.") from error
