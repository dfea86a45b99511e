"""What a user can ask of a benchmark, and what is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.execution.benchmark_config import configure
from harness.machine import cores


def test_the_defaults_are_the_whole_of_section_1_on_all_cores() -> None:
    config = configure({})
    assert (config.suite, list(config.seed_range()), config.models) == ("section1", [0, 1, 2, 3, 4], ())
    assert config.where.worker_count() == cores()


def test_fields_that_every_run_has_are_taken_for_all_cells() -> None:
    config = configure({"epochs": "7", "n_train": "50", "seeds": "2", "models": "all"})
    assert config.fields == {"epochs": "7", "n_train": "50"}
    assert config.seeds == 2


@pytest.mark.parametrize(
    ("spelled", "bytes_"), [("2G", 2 * 2**30), ("1.5GiB", 3 * 2**29), ("512MB", 2**29), ("none", None)]
)
def test_memory_is_given_as_people_write_it(spelled: str, bytes_: int | None) -> None:
    assert configure({"max_memory": spelled}).where.max_memory == bytes_


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"seeds": "0"}, r"seeds = '0' can't be used: .* greater than or equal to 1\."),
        ({"workers": "0"}, r"workers = '0' can't be used: give a number from 1"),
        ({"workers": "many"}, r"workers = 'many' can't be used"),
        ({"workers": "1000"}, r"workers = 1000 with threads = 1 is more than the \d+ cores"),
        ({"timeout": "-1"}, r"timeout = '-1' can't be used"),
        ({"max_memory": "lots"}, r"max_memory = 'lots' can't be used"),
        ({"max_memory": "1M"}, r"max_memory = '1M' can't be used: give a number of bytes from 256M"),
        ({"executor": "threads"}, r"executor = 'threads' can't be used: .*process"),
        ({"scheduler": "tcp://x:1"}, r"scheduler = 'tcp://x:1' belongs to executor=dask"),
        ({"executor": "dask", "cluster": "pbs"}, r"workers = 'auto' can't be used with cluster"),
        ({"executor": "dask", "cluster": "lsf"}, r"cluster = 'lsf' can't be used: .*slurm"),
        ({"executor": "dask", "cluster_config": "x.yaml"}, r"cluster_config = 'x.yaml' needs cluster="),
        (
            {"executor": "dask", "cluster": "pbs", "workers": "2", "scheduler": "tcp://x:1"},
            r"cluster = 'pbs' can't be used with scheduler",
        ),
        ({"models": "sirne"}, r"model = 'sirne' is not known; did you mean 'siren'\?"),
        ({"seed": "3"}, r"seed = '3' is decided by the suite"),
        ({"omega0": "3"}, r"omega0 = '3' is a field of siren, wire, finer only; set it in a suite file"),
        ({"worker": "3"}, r"worker = '3' is not a field of a benchmark; did you mean 'workers'\?"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        configure(given)


def test_plugins_are_imported_before_models_are_looked_up(tmp_path: Path, registries: None) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from harness.config import RunConfig\n"
        "from harness.families import Family, register\n"
        "register(Family('mine', RunConfig, 'nowhere:nothing', 'Mine.'))\n"
    )
    assert configure({"plugins": str(plugin), "models": "mine"}).models == ("mine",)
