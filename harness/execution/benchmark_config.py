"""The configuration of a benchmark: a record like that of a run, whose fields the command line takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness import presets, suites
from harness.config import RunConfig, fields_of
from harness.errors import BadInput, quoted, refusal
from harness.execution.executors import ExecutorConfig, every_field, take
from harness.families import FAMILIES
from harness.fields import Names, OrNone, field
from harness.registry import load_plugins, nearest


def _usual(value: object) -> object:
    return () if value == "usual" else value


class BenchmarkConfig(BaseModel):
    """What a benchmark computes, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    suite: str = field("section1", "Suite, see `harness list suites`, or the path of a .yaml file with one.")
    seeds: int = field(5, "Number of seeds.", ge=1, le=1_000_000)
    first_seed: int = field(0, "The first of the seeds, which follow one another.", ge=0, lt=2**31 - 1_000_000)
    models: Annotated[Names, BeforeValidator(_usual)] = field(
        (),
        "Only these model families of the suite, comma-separated. `usual`, the default: those that the suite names, else those "
        "of the document, classical methods and plug-ins; `all`: where the suite names none, every family.",
    )
    preset: Names = field((), "Presets, comma-separated. Default: the one that the suite names.")
    timeout: Annotated[float | None, OrNone] = field(
        None,
        "Deadline of a cell. It is asked to stop then, keeping what it has, and killed 15 s later.",
        unit="s",
        gt=0,
    )
    force: bool = field(False, "Compute every cell again, whatever the store has.")
    dry_run: bool = field(False, "Print the plan and an estimate of its time, and compute nothing.")
    plugins: Names = field((), "Modules or .py files to import first, comma-separated.")
    where: ExecutorConfig = Field(ExecutorConfig(), description="Where cells are computed.")
    fields: dict[str, Any] = Field({}, description="Fields of the run configuration, for every cell.")

    def seed_range(self) -> range:
        """The seeds, in order."""
        return range(self.first_seed, self.first_seed + self.seeds)


OWN = BenchmarkConfig.model_fields.keys() - {"where", "fields"}
"""The fields that only a benchmark has."""


def configure(given: Mapping[str, str]) -> BenchmarkConfig:
    """The validated configuration for what the user gave. What every run has, such as ``epochs``, is taken for all cells.

    Raises BadInput with one sentence.
    """
    try:
        config = BenchmarkConfig.model_validate({name: value for name, value in given.items() if name in OWN})
    except ValidationError as error:
        raise refusal(error) from error
    suites.load(config.suite)  # a mistake in its file is told before anything heavy is imported
    load_plugins(config.plugins)  # which may bring the executor
    where, fields = take(
        {name: value for name, value in given.items() if name not in OWN}, OWN | set(fields_of(RunConfig))
    )
    for name, value in fields.items():
        _refuse_what_is_no_field_of_all_cells(name, value)
    for model in config.models:
        if model != suites.ALL:
            FAMILIES.get(model)
    for preset in config.preset:
        presets.check(preset)
    return config.model_copy(update={"where": where, "fields": fields})


def _refuse_what_is_no_field_of_all_cells(name: str, value: str) -> None:
    if name in ("model", "problem", "seed"):
        raise BadInput(
            f"{name} = {quoted(value)} is decided by the suite; choose with suite, models, seeds and first_seed."
        )
    if name in fields_of(RunConfig):
        return
    if owners := [model for model, its in FAMILIES.usable().items() if name in its.config.model_fields]:
        raise BadInput(
            f"{name} = {quoted(value)} is a field of {', '.join(owners)} only; set it in a suite file, for these models."
        )
    known = {*OWN, *every_field(), *fields_of(RunConfig)}
    raise BadInput(f"{name} = {quoted(value)} is not a field of a benchmark; {nearest(name, known)}")
