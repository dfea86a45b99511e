"""Training on the rows of a file: what is learned is the function, and what is left is the noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import problems
from harness.data import of
from harness.models import build
from harness.presets import resolve
from harness.training import Epoch, train
from tests.support import write_line

NOISE = 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_error_on_held_out_rows_is_the_noise(seed: int, tmp_path: Path) -> None:
    path = write_line(tmp_path / "plane.csv", rows=4000, noise=NOISE, seed=seed)
    shape = {"model": "mlp", "width": 3, "depth": 1, "epochs": 6, "split": "0.4,0.1,0.5"}
    config = resolve({**shape, "data": path, "outputs": "y", "seed": seed})
    data = of(config)
    epochs = [
        event
        for event in train(build(config, problems.of(config), data.train), data, config)
        if isinstance(event, Epoch)
    ]
    # Of 2000 squares of normal numbers the mean has a standard deviation of 3.2%, of the 1600 for training of 3.5%.
    assert epochs[-1].test_mse == pytest.approx(NOISE**2, rel=0.1)
    assert epochs[-1].train_mse == pytest.approx(NOISE**2, rel=0.1)
