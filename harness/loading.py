"""Loading what a command needs, once it is known which command that is."""

from __future__ import annotations

import gc
import importlib
import sys


def load(*modules: str) -> None:
    """Import modules without a search for garbage among what they are made of, now or later.

    Python looks for unused cycles whenever so many objects were made. torch and MLflow make a million, which all stay:
    looking through them, again and again, took a fifth of the time until the first epoch.
    """
    missing = [name for name in modules if name not in sys.modules]
    if not missing:
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        for name in missing:
            importlib.import_module(name)
    finally:
        gc.freeze()
        if collects:
            gc.enable()
