"""The commands that solve an equation, as README prints them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support import ROOT, harness


def test_the_commands_of_readme_solve_an_equation_by_a_network_and_by_a_classical_solver(outside: Path) -> None:
    (block,) = re.findall(r"<!-- equations -->\n((?:    .*\n)+)", (ROOT / "README.md").read_text())
    errors = []
    for line in block.splitlines():
        _, *arguments = shlex.split(line)
        done = harness(*arguments, "--epochs", "8", timeout=240)
        assert done.returncode == 0, done.stderr
        (error,) = re.findall(r"^error of u  relative L2 (\S+)", done.stdout, re.MULTILINE)
        errors.append(float(error))
    of_network, of_solver = errors
    assert of_solver < 1e-12 < of_network < 1
