"""The formula of a trained KAN, where the run is to look for one."""

from __future__ import annotations

import traceback
from functools import partial
from typing import cast

from harness.after import Trained
from harness.config import Pruning
from harness.outcome import Additions
from harness.symbolic import find_formula


def look_for_formula(trained: Trained) -> tuple[None, Additions]:
    """The formula, or why there is none. The run is complete without it, so a failure here does not fail the run."""
    if not cast(Pruning, trained.config).symbolic:
        return None, Additions()
    try:
        formula = find_formula(
            trained.model, trained.problem, trained.data, partial(trained.go_on, "there was a formula")
        )
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        tags = {"symbolic.error": f"{type(error).__name__}: {error}"}
        return None, Additions(tags=tags, texts={"symbolic/traceback.txt": text})
    added = Additions(tags={"symbolic.formula": formula.text}, texts={"symbolic/formula.json": formula.json()})
    if formula.is_finite():
        added.metrics |= {"symbolic/dense_mse": formula.dense_mse, "symbolic/dense_nmse": formula.dense_nmse}
    else:
        added.tags["symbolic.error"] = "The formula is not finite everywhere on the dense grid."
    return None, added
