from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.errors import BadInput
from harness.models.kan import KAN

kan = pytest.importorskip("kan")


@pytest.fixture(autouse=True)
def _in_an_empty_folder_and_float64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # MultKAN.attribute mixes in a float32 matrix unless float64 is the default.
    monkeypatch.chdir(tmp_path)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network(sizes: list[int], grid: int = 5, k: int = 3, seed: int = 0) -> KAN:
    made = KAN(sizes, grid, k, 0.5, torch.Generator().manual_seed(seed))
    made.update_grid(points(sizes[0]))
    return made


def points(dimension: int) -> Tensor:
    return 2 * torch.rand(300, dimension, generator=torch.Generator().manual_seed(5), dtype=torch.float64) - 1


def multkan(**changes: Any) -> Any:
    return kan.MultKAN(**{"width": [2, 3, 1], "grid": 4, "k": 3, "auto_save": False, **changes})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sizes", [[2, 5, 1], [1, 1], [2, 3, 4, 2]])
def test_the_way_there_and_back_keeps_every_number(sizes: list[int], dtype: torch.dtype) -> None:
    own = network(sizes).to(dtype)
    back = KAN.from_multkan(own.to_multkan())
    assert own.state_dict().keys() == back.state_dict().keys()
    for name, tensor in own.state_dict().items():
        assert torch.equal(tensor, back.state_dict()[name])
        assert tensor.dtype == back.state_dict()[name].dtype == dtype


def test_a_multkan_and_its_kan_are_the_same_function() -> None:
    theirs = multkan(seed=3)
    theirs.update_grid_from_samples(points(2))
    theirs.act_fun[0].mask.data[1, 2] = 0
    own, x = KAN.from_multkan(theirs), points(2)
    torch.testing.assert_close(own(x), theirs(x), rtol=1e-12, atol=1e-13)


def test_layers_may_differ_in_their_grids() -> None:
    theirs = multkan(grid=[3, 7])
    own, x = KAN.from_multkan(theirs), points(2)
    torch.testing.assert_close(own(x), theirs(x), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(own.to_multkan()(x), theirs(x), rtol=1e-12, atol=1e-13)
    assert own.active_parameters() == 6 * (3 + 5) + 3 * (7 + 5)


def test_the_copy_shares_nothing_with_the_original() -> None:
    own = network([2, 2, 1])
    theirs = own.to_multkan()
    before = own(points(2))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.fill_(7.0)
    assert torch.equal(own(points(2)), before)


QUIET = """
import os, random
import numpy as np, torch
from harness.models.kan import KAN
states = torch.get_rng_state(), np.random.get_state(), random.getstate()
KAN.from_multkan(KAN([2, 5, 1], 3, 3, 0.3, torch.Generator()).to_multkan())
assert torch.equal(torch.get_rng_state(), states[0])
assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1]))
assert random.getstate() == states[2]
assert os.listdir() == []
"""


def test_no_generator_is_touched_no_file_written_and_nothing_printed(tmp_path: Path) -> None:
    # In a process of its own: the type checks of this one draw from `random` themselves.
    root = Path(harness.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-W", "ignore", "-c", QUIET]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def symbolic() -> Any:
    made = multkan()
    made(points(2))
    made.fix_symbolic(0, 0, 0, "sin", verbose=False, log_history=False)
    return made


def biased() -> Any:
    made = multkan()
    made.node_bias[0].data[0] = 0.1
    return made


def permuted() -> Any:
    made = multkan()
    made.input_id = torch.tensor([1, 0])
    return made


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: multkan(width=[2, [2, 1], 1]), "multiplication nodes"),
        (symbolic, "symbolic edges"),
        (lambda: multkan(k=[3, 2]), r"different degrees, k = \[2, 3\]"),
        (lambda: multkan(base_fun="identity"), "base_fun = 'identity'"),
        (biased, "biases"),
        (permuted, "inputs"),
    ],
)
def test_what_a_kan_has_not_is_refused_by_name(make: Any, name: str) -> None:
    with pytest.raises(BadInput, match=name):
        KAN.from_multkan(make())


def test_importing_the_models_does_not_import_pykan() -> None:
    code = "import sys, harness.models, harness.models.multkan; sys.exit('kan' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
