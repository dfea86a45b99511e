"""Sets each fault of this folder into a copy of the code, and says whether the tests find it.

``python tests/mutants/run.py [name ...]``, all of them unless named. A patch names the tests that should find it in its first
line, ``tests: tests/x/test_y.py ...``. Ends with 0 when every fault was found, with 1 when one survived, when one can't
be set any more because the code has changed (make its patch anew), or when the tests fail on the code as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PASSED, FAILED = 0, 1
"""Exit codes of pytest; any other says that it could not run the tests."""


def main(names: list[str]) -> int:
    """Run the mutants of these names, and print a line for each."""
    patches = [FOLDER / f"{name}.patch" for name in names] or sorted(FOLDER.glob("*.patch"))
    tests = {patch: patch.read_text().splitlines()[0].removeprefix("tests:").split() for patch in patches}
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "mlruns", "*.db"))
        if (code := _test(copy, sorted({test for of_patch in tests.values() for test in of_patch}))) != PASSED:
            _say(f"the tests do not pass on the code as it is: pytest ended with {code}")
            return 1
        found = [_try(copy, patch, tests[patch]) for patch in patches]
    _say(f"{found.count('killed')} of {len(found)} killed")
    return 0 if found.count("killed") == len(found) else 1


def _try(copy: Path, patch: Path, tests: list[str]) -> str:
    started = time.monotonic()
    if not _apply(copy, patch):
        verdict = "does not apply"
    else:
        code = _test(copy, tests)
        verdict = {PASSED: "SURVIVED", FAILED: "killed"}.get(code, f"pytest ended with {code}")
        if not _apply(copy, patch, "--reverse"):
            raise RuntimeError(f"{patch.name} could not be taken back")
    _say(f"{verdict:<15} {patch.stem} ({time.monotonic() - started:.0f} s)")
    return verdict


def _apply(copy: Path, patch: Path, *options: str) -> bool:
    # The copy may lie inside of another repository, of which git would think.
    alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}
    command = ["git", "apply", *options, str(patch.resolve())]
    return subprocess.run(command, cwd=copy, env=alone, check=False).returncode == 0


def _test(copy: Path, tests: list[str]) -> int:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, check=False, stdout=subprocess.DEVNULL).returncode


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
