"""Files of a user that have the names of this project's packages, ``reports.py`` say: which of the two Python takes."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from harness.errors import BadInput, quoted

HOME = Path(__file__).parents[1]
"""The folder that this project's packages lie in."""


def look_here_last() -> None:
    """From here on a module is sought in the current folder last, also by the processes that are started from here.

    ``python -m`` puts it before everything else. Only where the packages themselves lie there, as in a checkout, it stays.
    """
    here = str(Path.cwd())
    if here == str(HOME):
        return
    elsewhere = [folder for folder in sys.path if folder not in ("", here)]
    sys.path[:] = [*elsewhere, *([] if str(HOME) in elsewhere else [str(HOME)]), here]


def refuse_shadows() -> None:
    """Raise BadInput when something else stands before a package of this project, by way of PYTHONPATH.

    Although ``harness`` itself is imported by now: worker processes would take the other one.
    """
    for name in ("harness", "reports", "studies"):
        spec = PathFinder.find_spec(name)
        if spec is None:
            continue  # an editable install knows it by other means
        places = [spec.origin] if spec.origin else [*(spec.submodule_search_locations or ())]
        if HOME / name / "__init__.py" not in map(Path, places):
            raise BadInput(
                f"the package {name} of this project is hidden by {quoted(places[0])}, which comes before "
                f"{quoted(str(HOME / name))} on Python's path; rename that one, or take its folder out of PYTHONPATH."
            )
