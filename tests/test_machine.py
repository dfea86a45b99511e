"""What can't fit is refused, with both sizes, before anything is allocated; what may fit is not."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import BadInput
from harness.machine import cores, gib, memory, refuse_unwritable, refuse_what_can_not_fit
from harness.models import KAN, network
from harness.models.interface import parameters
from harness.presets import resolve
from harness.run import run
from tests.support import MODELS, python, small

FREED = """
import resource, sys
import numpy as np
from harness.machine import keep_freed_memory
keep_freed_memory()
for turn in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(400_000) for _ in range(8)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_got_again_without_the_system_unless_the_environment_says_how() -> None:
    pages = 8 * 400_000 * 8 // resource.getpagesize()
    assert int(python(["-c", FREED]).stdout) < pages / 20
    assert int(python(["-c", FREED], MALLOC_TRIM_THRESHOLD_="100000").stdout) > pages / 2


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fields", [{"width": 3, "depth": 1}, {"width": 7, "depth": 3}])
def test_the_parameters_of_a_configuration_are_those_of_its_network(
    model: str, fields: dict[str, Any], dimension: int
) -> None:
    of_kan = {"grids": (2, 4), "k": 2} if model.startswith("kan") else {}
    retrained = {"retrain_grids": (9,)} if model == "kan_pruned" else {}
    config = resolve({"model": model, **fields, **of_kan, **retrained})
    built = network(config, dimension)
    if isinstance(built, KAN):  # it has most of them on its last grid
        built.refine(config.values()["grids"][-1] if model == "kan" else 9)
    assert config.parameters(dimension) == parameters(built)


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"optimizer": "adam"}, lambda p: 4 * 8 * p),
        ({"optimizer": "adam", "dtype": "float32"}, lambda p: 4 * 4 * p),
        ({"optimizer": "lm"}, lambda p: 2 * 8 * p),
        ({"optimizer": "lbfgs", "history": 7}, lambda p: (2 + 2 * 7) * 8 * p),
        ({"optimizer": "lbfgs", "history": 1000, "iterations": 2, "epochs": 3}, lambda p: (2 + 2 * 6) * 8 * p),
    ],
)
def test_a_run_is_refused_exactly_when_what_it_certainly_needs_is_more_than_there_is(
    fields: dict[str, Any], needed: Any
) -> None:
    config = resolve({"model": "mlp", "width": 400, "depth": 2, "n_train": 100, "n_val": 50, "n_test": 10, **fields})
    item = 4 if config.dtype == "float32" else 8
    bytes_ = needed(config.parameters(2)) + 8 * 3 * 160 + item * 100 * 800
    refuse_what_can_not_fit(config, (2,), bytes_)
    with pytest.raises(BadInput, match=r"^width = 400, depth = 2.* can't fit: with 162,001 parameters") as refused:
        refuse_what_can_not_fit(config, (2,), bytes_ - 1)
    assert gib(bytes_) in str(refused.value)


def test_where_the_points_need_most_they_are_named_first() -> None:
    config = resolve({"model": "siren", "n_train": "1000000"})
    with pytest.raises(BadInput, match=r"^n_train = 1000000, width = \d+, depth = \d can't fit"):
        refuse_what_can_not_fit(config, (2,), 2**20)
    config = resolve({"model": "siren", "n_test": "10000000"})
    with pytest.raises(BadInput, match=r"^n_test = 10000000"):
        refuse_what_can_not_fit(config, (2,), 2**20)


def test_a_gpu_needs_of_this_memory_what_is_made_here() -> None:
    config = resolve({"model": "mlp", "width": 1000, "depth": 3, "dtype": "float32"})
    room = 8 * config.parameters(1) + 8 * 2 * (config.n_train + config.n_val + config.n_test)
    refuse_what_can_not_fit(config, (1,), room, on_gpu=True)
    with pytest.raises(BadInput):
        refuse_what_can_not_fit(config, (1,), room - 1, on_gpu=True)
    with pytest.raises(BadInput):
        refuse_what_can_not_fit(config, (1,), room)


def test_training_takes_what_was_counted_and_more(outside: Path) -> None:
    """The other side: a run that really needs less than the estimate would be refused for nothing."""
    script = r"""
import re, sys
from pathlib import Path
from harness.data import sample
from harness.machine import refuse_what_can_not_fit
from harness.models import build
from harness.presets import resolve
from harness.problems import get
from harness.training import train
def bytes_(name):
    return 1024 * int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])
def trained(fields):
    config = resolve({"epochs": 2, "n_train": 20_000, "depth": 2, **fields})
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here (man proc)
    before = bytes_("VmRSS")
    problem = get(config.problem)
    data = sample(problem, 0, config.n_train, 10, 10)
    for event in train(build(config, problem, data.train), data, config):
        pass
    refuse_what_can_not_fit(config, problem.shape, bytes_("VmHWM") - before)
trained({"model": "mlp", "width": 100, "optimizer": "adam"})
trained({"model": "siren", "width": 150, "optimizer": "lbfgs", "iterations": 2})
trained({"model": "kan", "width": 14, "optimizer": "adam"})
"""
    done = python(["-c", script])
    assert done.returncode == 0, done.stderr


def test_a_limit_on_the_memory_of_this_process_counts() -> None:
    script = """
import resource
from harness.machine import memory
for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (2**29, before[1]))
    assert memory() == 2**29, memory()
    resource.setrlimit(kind, before)
"""
    done = python(["-c", script])
    assert done.returncode == 0, done.stderr
    assert memory() > 2**28


def test_a_run_that_asks_for_too_many_threads_or_too_much_memory_is_refused_before_a_run_is_made(outside: Path) -> None:
    threads = torch.get_num_threads()
    with pytest.raises(BadInput, match=rf"threads = {cores() + 1} is more than the {cores()} cores"):
        run(small("mlp", threads=cores() + 1))
    with pytest.raises(BadInput, match=r"width = 100000.*GiB"):
        run(small("mlp", width=100_000))
    assert torch.get_num_threads() == threads
    assert list(outside.iterdir()) == []


def test_whether_a_place_can_be_written_is_found_out_without_writing(outside: Path) -> None:
    (outside / "file").write_text("mine")
    refuse_unwritable("out", Path("new/below"), folder=True)
    refuse_unwritable("out", Path("new.md"), folder=False)
    for path, folder in (("file", True), ("file/below", True), ("new/below.md", False), (".", False)):
        with pytest.raises(BadInput, match=rf"out = '{path}' can't be written"):
            refuse_unwritable("out", Path(path), folder=folder)
    assert [path.name for path in outside.iterdir()] == ["file"]


def test_a_file_that_its_owner_has_protected_is_refused_and_stays_as_it_is(outside: Path) -> None:
    (outside / "file").write_text("mine")
    (outside / "file").chmod(0o444)
    outside.chmod(0o777)
    me = os.geteuid()
    try:
        if me == 0:  # from whom nothing is protected
            os.seteuid(65534)
        with pytest.raises(BadInput, match=r"out = 'file' can't be written: Permission denied"):
            refuse_unwritable("out", Path("file"), folder=False)
    finally:
        os.seteuid(me)
    assert (outside / "file").read_text() == "mine"
