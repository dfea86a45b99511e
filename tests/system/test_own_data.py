"""The commands for the user's own data, as README prints them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd

from tests.support import ROOT, harness


def test_the_commands_of_readme_learn_the_pendulum_to_its_noise_and_predict(outside: Path) -> None:
    (block,) = re.findall(r"<!-- own data -->\n((?:    .*\n)+)", (ROOT / "README.md").read_text())
    learn, look, predict = (line.split() for line in block.splitlines())
    assert (learn[0], look, predict[0]) == ("harness", ["mlflow", "ui"], "harness")
    shutil.copytree(ROOT / "examples", outside / "examples")
    done = harness(*learn[1:])
    assert done.returncode == 0, done.stderr
    assert f"run         {predict[2]}\n" in done.stdout
    assert str(outside / "examples") not in done.stdout
    done = harness(*predict[1:])
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(predict[-1])
    assert ((found["period"] - found["prediction"]) ** 2).mean() < 2e-4, "the noise is 1e-4"
