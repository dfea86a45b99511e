"""Whoever reads our output may leave, and whatever it goes to may be full: nothing else changes. Real pipes, real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.support import environment

TALKS = """
import sys
from harness.streams import let_the_reader_go
let_the_reader_go()
for line in range(50_000):
    print(line, "µ ✓ \\udcff")
print("still here", file=sys.stderr)
with open("done", "w") as file:
    file.write(str(file.fileno()))
"""
FULL = "harness: standard output can't be written: No space left on device; the rest is not shown.\n"


def talk(
    folder: Path, out: int | IO[bytes] | None, shell: str = "", **extra: str
) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-c", TALKS]
    return subprocess.run(
        command, stdout=out, stderr=subprocess.PIPE, env=environment(**extra), cwd=folder, timeout=60, check=False
    )


def test_a_reader_that_leaves_ends_nothing_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = talk(tmp_path, writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"still here\n")
    assert (tmp_path / "done").exists()


def test_a_terminal_that_was_closed_is_a_reader_that_left(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    os.close(ours)
    done = talk(tmp_path, theirs, "2>&1")
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = talk(tmp_path, full)
    assert (done.returncode, done.stderr.decode()) == (0, f"{FULL}still here\n")


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_descriptor_that_was_closed_is_given_to_no_file(tmp_path: Path, closed: str) -> None:
    done = talk(tmp_path, subprocess.DEVNULL, closed)
    assert done.returncode == 0
    assert int((tmp_path / "done").read_text()) > 2


def test_what_a_character_set_does_not_have_is_an_escape(tmp_path: Path) -> None:
    done = talk(tmp_path, subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(rb"0 \xb5 \u2713 \udcff")


def test_a_command_that_prints_is_quiet_about_a_reader_that_left(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "list", "presets"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment(), text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, FULL)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, env=environment(), text=True, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
