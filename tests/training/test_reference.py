"""Tiny trainings of every kind go as they went when the comparability version was last raised.

A change of results that is meant raises ``COMPARABILITY``; then ``python -m tests.training.test_reference`` writes the file
beside this one anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.fingerprint import COMPARABILITY
from harness.methods import METHODS
from harness.training import Epoch, train
from tests.support import MODELS, parts, small

FILE = Path(__file__).with_name("reference.json")
TOLERANCE = 1e-8
"""Starts that differ by rounding alone, as on another CPU or BLAS, move these short curves by at most 5e-13."""
EPOCHS = 6

RUNS: dict[str, dict[str, Any]] = {
    f"{model} {optimizer}": {"model": model, "optimizer": optimizer}
    for model in MODELS
    for optimizer in METHODS.names()
} | {
    f"kan_pruned greedy {optimizer}": {
        "model": "kan_pruned",
        "optimizer": optimizer,
        "prune_mode": "greedy",
        "retrain_briefly": 1,
        "tolerance": 1e6,
        "reduction": 0.5,
        "epochs": 9,
    }
    for optimizer in METHODS.names()
}


def curve(fields: dict[str, Any]) -> list[float]:
    """The training MSE of each epoch, then the validation and the test MSE of the last."""
    settings = {"epochs": EPOCHS, "iterations": None, **fields}
    if settings["model"] == "kan_pruned":
        settings |= {"node_th": 0.3, "edge_th": 0.3}  # so that something is cut
    if settings["optimizer"] == "lbfgs":
        settings["iterations"] = 3
    if settings["optimizer"] == "adam":
        settings |= {"lr": 1e-2, "lr_decay": 0.1, "clip": 1.0}
    config = small(**settings)
    done = [event for event in train(*parts(config), config) if isinstance(event, Epoch)]
    return [*(event.train_mse for event in done), done[-1].val_mse, done[-1].test_mse]


@pytest.mark.parametrize("name", RUNS)
def test_results_change_only_with_the_comparability_version(name: str) -> None:
    kept = json.loads(FILE.read_text())
    remedy = "write the file anew with `python -m tests.training.test_reference`"
    assert kept["comparability"] == COMPARABILITY, f"COMPARABILITY was raised: {remedy}."
    found = curve(RUNS[name])
    assert found == pytest.approx(kept["curves"][name], rel=TOLERANCE), (
        f"results changed ({name}): if that is meant, raise COMPARABILITY in harness/protocol.py and {remedy}."
    )


def test_the_file_has_every_run_and_no_other() -> None:
    assert set(json.loads(FILE.read_text())["curves"]) == set(RUNS)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    curves = {name: [float(f"{value:.12g}") for value in curve(fields)] for name, fields in RUNS.items()}
    FILE.write_text(json.dumps({"comparability": COMPARABILITY, "curves": curves}, indent=1) + "\n")
