"""The console command ``harness``, in a module that has the name of the distribution, which nobody else has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """As ``harness.cli.main``, with this project's ``harness`` whatever else of that name stands before it."""
    sys.path.insert(0, str(Path(__file__).parent))
    from harness.cli import main

    del sys.path[0]
    main()
