"""What runs and their models are called, in the store and on the screen."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from harness.config import RunConfig
from harness.presets import by_hand

LENGTH = 100
"""Characters of a run's name that what was set by hand may fill it up to."""

LONGEST = 250
"""Characters that MLflow takes in the name of a metric."""


def run_name(config: RunConfig) -> str:
    """``model-problem-preset-seed``, with what was set by hand before the seed (contract).

    Letters, digits and ``_ . + -``. Where not everything that was set has room, ``+N.hash`` stands for the rest of it,
    so that two runs of different fields still have different names.
    """
    ends = f"{config.model}-{config.problem}-{config.preset}", f"s{config.seed}"
    fields = by_hand(config)
    words = [_word(name, value) for name, value in fields.items()]
    for shown in range(len(words), -1, -1):
        left = dict(list(fields.items())[shown:])
        name = "-".join([ends[0], *words[:shown], *([_stand_in(left)] if left else []), ends[1]])
        if len(name) <= LENGTH:
            break
    return name


def model_name(config: RunConfig) -> str:
    """The run's name for its logged model, with ``_`` for each dot: MLflow takes none in the name of a model."""
    return run_name(config).replace(".", "_")


def error_name(problem: str, model: str, preset: str) -> str:
    """The metric of a benchmark with the median error of these; the UI makes a section of it for each problem.

    MLflow takes no ``+`` there, and 250 characters, so a hash stands for the end of a longer one.
    """
    name = f"log10_nmse/{problem}/{model}-{preset}".replace("+", "_")
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 7]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _word(name: str, value: Any) -> str:
    """``lr0.01``, ``grids5_10``, ``optimizer_adam``: a field and its value. Floats have four significant digits."""
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        name += "_"
    spelled = "_".join(f"{number:.4g}" if isinstance(number, float) else str(number).lower() for number in numbers)
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name + (spelled or "_none"))


def _stand_in(fields: dict[str, Any]) -> str:
    return f"+{len(fields)}.{hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:6]}"
