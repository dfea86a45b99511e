"""Whether the process behind a run is still there: by facts on this machine, by its heartbeat where it can't be looked at."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

import psutil
from mlflow import MlflowClient

from harness.tracking.store import STORE_ERRORS

HEARTBEAT_S = 30.0
SILENCE_S = 120.0
"""A process elsewhere, or hidden, counts as gone when its heartbeat was seen unchanged for so many seconds."""


@dataclass(frozen=True)
class Owner:
    """The process that a run belongs to, so that another one of its number is never taken for it.

    A process number means something only on one machine, since one boot, and in one PID namespace (``man 7
    pid_namespaces``): containers on one machine may share a host name, and each has a process 1.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    start: int
    """When the process began. On Linux in ticks since boot, which setting the clock does not move (``man 5 proc``)."""

    @classmethod
    def parse(cls, tag: str) -> Owner | None:
        """The owner that a tag names; None for a tag of another form, which is not of this project."""
        found = re.fullmatch(r"harness/([^/]+)/([0-9A-Za-z-]+)/(\d+)/(\d+)/(\d+)", tag, re.ASCII)
        if found is None:
            return None
        host, boot, namespace, pid, start = found.groups()
        return cls(host, boot, namespace, int(pid), int(start))

    def __str__(self) -> str:
        return f"harness/{self.host}/{self.boot}/{self.namespace}/{self.pid}/{self.start}"

    def is_here(self) -> bool:
        """Whether its process number is one of ours."""
        return (self.host, self.boot, self.namespace) == _here()


def this_process() -> Owner:
    """The calling process."""
    started = _start_of(os.getpid())
    assert started is not None, "it is alive"
    return Owner(*_here(), os.getpid(), started)


def owner_tag() -> dict[str, str]:
    """The tag by which a later process can tell whether the process that owns a run is still there."""
    return {"owner": str(this_process())}


@cache
def _here() -> tuple[str, str, str]:
    """Host, boot and PID namespace of this process; the latter two are known on Linux only."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        boot, namespace = "unknown", "0"
    return socket.gethostname(), boot, namespace


def _start_of(pid: int) -> int | None:
    """When a process of this machine began; None when there is none, or one that has ended and was not reaped.

    Raises PermissionError for one that this user may not look at.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError as error:
            # With hidepid (man 5 proc) the processes of others are not there either, or not readable; a signal finds them.
            try:
                os.kill(pid, 0)
            except (ProcessLookupError, OverflowError):
                return None
            raise PermissionError(f"process {pid} can't be looked at") from error
        # The name, in brackets, may hold anything. Behind it come the state and, as field 22, the start.
        state, *rest = stat.rpartition(")")[2].split()
        return None if state in ("Z", "X") else int(rest[18])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(100 * process.create_time())
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied as error:
        raise PermissionError(error.msg) from error


@dataclass(frozen=True)
class Watched:
    """What was seen of a sign of life."""

    silent: float = 0.0
    """Seconds for which it was seen not to change."""
    changed: bool = False
    """Whether it has changed while it was watched."""


class Watch:
    """Signs of life, each looked at again and again: only whether one *changes* counts, by the clock of the watcher.

    What a sign says is of no interest, since clocks of two machines differ. Between two looks no more than ``HEARTBEAT_S``
    counts as silence: a watcher that was suspended or cut off from the store has heard nothing.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float, Watched]] = {}

    def look(self, who: str, sign: str) -> Watched:
        """Take in the present sign of ``who``, and say what was seen of it so far."""
        now = time.monotonic()
        watched = Watched()
        if who in self._seen:
            before, at, known = self._seen[who]
            silent = known.silent + min(now - at, HEARTBEAT_S) if sign == before else 0.0
            watched = Watched(silent, known.changed or sign != before)
        self._seen[who] = sign, now, watched
        return watched


@dataclass(frozen=True)
class Presence:
    """What is known of a process."""

    sentence: str
    gone: bool | None
    """None when it can't be told yet: the process is elsewhere or hidden, and was not watched for long enough."""


def presence(owner: Owner, watched: Watched | None = None) -> Presence:
    """What is known of ``owner``; elsewhere, or where it can't be looked at, by what was ``watched`` of its sign of life."""
    hidden = False
    if owner.is_here():
        try:
            gone = _start_of(owner.pid) != owner.start
            return Presence(f"process {owner.pid} {'is gone' if gone else 'is at work'}", gone)
        except PermissionError:
            hidden = True  # there is one of that number, which may be another one by now
    watched = watched or Watched()
    if watched.silent > SILENCE_S:
        return Presence(f"process {owner.pid} on {owner.host} gave no sign for {watched.silent:.0f} s", True)
    if watched.changed:
        return Presence(f"process {owner.pid} on {owner.host} is at work", False)
    where = "there, and hidden from this user" if hidden else f"on {owner.host}, or in another container"
    return Presence(f"process {owner.pid} is {where}", None)


class Heartbeat:
    """While this is open, the run's tag ``heartbeat`` changes every half minute: a sign for those elsewhere."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._over = threading.Event()

    def __enter__(self) -> Heartbeat:
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        return self

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            try:
                self._client.set_tag(self._run_id, "heartbeat", f"{time.time():.0f}")
            except STORE_ERRORS:
                continue  # the store is away; the run itself has to cope with that, and the next beat may be heard

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
