"""Whether a process is there is a fact on this machine, and elsewhere a question of whether its heartbeat changes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from harness.tracking.liveness import (
    HEARTBEAT_S,
    SILENCE_S,
    Heartbeat,
    Owner,
    Watch,
    Watched,
    owner_tag,
    presence,
    this_process,
)
from tests.support import environment, gone


def test_the_owner_tag_names_this_process_and_reads_back() -> None:
    owner = this_process()
    assert (owner.host, owner.pid) == (socket.gethostname(), os.getpid())
    assert owner_tag() == {"owner": str(owner)}
    assert Owner.parse(str(owner)) == owner
    assert presence(owner).gone is False


@given(st.text())
def test_whatever_else_a_tag_says_names_no_process_of_ours(tag: str) -> None:
    assert Owner.parse(tag) is None


@pytest.mark.parametrize(
    "tag",
    ["", "alice", "host/12/1.00", "harness/h/b/1/2", "harness/h/b/1/2/3\n", "harness//b/1/2/3", "harness/h/b/1/٣/4"],
)
def test_a_tag_that_comes_close_is_none_of_ours(tag: str) -> None:
    assert Owner.parse(tag) is None


def test_a_process_that_has_ended_is_gone() -> None:
    owner = gone()
    assert presence(owner).gone is True
    assert presence(owner, Watched(changed=True)).gone is True, "no heartbeat counts against a fact"


def test_a_process_whose_number_was_given_to_another_is_gone() -> None:
    assert presence(replace(this_process(), start=this_process().start - 1)).gone is True


def test_a_process_that_has_ended_and_was_not_reaped_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        owner = replace(this_process(), pid=child.pid, start=start_of(child.pid))
        deadline = time.monotonic() + 30
        while not presence(owner).gone and time.monotonic() < deadline:
            time.sleep(0.05)
        assert presence(owner).gone is True, "it is a zombie by now"
    finally:
        child.wait(timeout=30)


def start_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


HERE = replace(this_process(), pid=2**22 + 1)


@pytest.mark.parametrize(
    "owner",
    [replace(HERE, host="elsewhere"), replace(HERE, boot="another"), replace(HERE, namespace="1")],
    ids=["machine", "boot", "container"],
)
def test_a_process_of_another_machine_boot_or_container_is_not_looked_for_here(owner: Owner) -> None:
    assert presence(HERE).gone is True
    assert presence(owner).gone is None
    assert presence(owner, Watched(silent=SILENCE_S - 1)).gone is None
    assert presence(owner, Watched(silent=SILENCE_S + 1)).gone is True
    assert presence(owner, Watched(silent=5.0, changed=True)).gone is False
    assert presence(owner, Watched(silent=SILENCE_S + 1, changed=True)).gone is True


IN_ANOTHER_CONTAINER = """
import sys
from harness.tracking.liveness import Owner, presence
owner = Owner.parse(sys.argv[1])
print(owner.is_here(), presence(owner).gone)
"""


def test_a_live_run_is_not_gone_for_a_process_in_another_pid_namespace() -> None:
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", IN_ANOTHER_CONTAINER]
    done = subprocess.run(
        [*command, str(this_process())], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip("needs the right to make a PID namespace")
    assert done.stdout == "False None\n", done.stderr


OF_ANOTHER_USER = """
import os, sys
from harness.tracking.liveness import Owner, Watched, presence
owner, ended = map(Owner.parse, sys.argv[1:])
assert owner.is_here() and presence(owner).gone is False
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert os.listdir("/proc") and not os.access(f"/proc/{owner.pid}/stat", os.R_OK)
print(presence(owner).gone, presence(owner, Watched(silent=121.0)).gone, presence(owner, Watched(5.0, True)).gone)
print(presence(ended).gone)
"""


@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_a_live_run_of_another_user_whose_processes_are_hidden_is_not_gone(hidepid: str) -> None:
    mounted = f'mount -t proc -o hidepid={hidepid} proc /proc && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mounted, "sh", sys.executable, "-c", OF_ANOTHER_USER]
    owners = [str(this_process()), str(gone())]
    done = subprocess.run(
        [*command, *owners], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("needs the right to mount /proc anew")
    assert done.stdout == "None True False\nTrue\n", done.stderr


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("harness.tracking.liveness.time.monotonic", lambda: self.now)


def test_only_whether_a_sign_changes_counts_and_not_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, watch = Clock(monkeypatch), Watch()
    assert watch.look("run", "1") == Watched()
    for second in range(1, 300):
        clock.now += 1
        watched = watch.look("run", str(second // 30))  # Unix times of 1970: that clock is half a century behind
        assert watched.silent < HEARTBEAT_S
    assert watched.changed
    for _ in range(130):
        clock.now += 1
        watched = watch.look("run", "9")
    assert watched.silent > SILENCE_S


def test_a_watcher_that_could_not_look_has_not_heard_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, watch = Clock(monkeypatch), Watch()
    watch.look("run", "1")
    clock.now += 3600  # suspended, or cut off from the store
    assert watch.look("run", "1").silent == HEARTBEAT_S


def test_a_heartbeat_changes_while_it_lasts(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.tracking.liveness.HEARTBEAT_S", 0.05)
    run_id = store.create_run("0").info.run_id
    with Heartbeat(store, run_id):
        seen: set[str] = set()
        deadline = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < deadline:
            seen |= {store.get_run(run_id).data.tags.get("heartbeat", "")} - {""}
            time.sleep(0.05)
    assert len(seen) == 2
