"""What a user asks of a study: a record like that of a benchmark, whose fields the command line takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.addresses import as_typed
from harness.config import fields_of
from harness.errors import BadInput, quoted, refusal
from harness.execution.executors import ExecutorConfig, every_field, take
from harness.families import FAMILIES
from harness.fields import Names, OrNone, field
from harness.machine import refuse_unwritable
from harness.protocol import CONFIRMATION, REPORTING
from harness.registry import load_plugins, nearest

SUITE = "poisson"


class StudyConfig(BaseModel):
    """What is searched, with what, and where it is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    study: str = field("siren", "Study, see `harness list studies`.")
    problem: Names = field((), "Problems or sections of problems, comma-separated, that each trial learns.")
    suite: Annotated[str | None, OrNone] = field(
        None, f"Suite whose problems, and fields for every run, are taken instead. Default without problem: {SUITE}."
    )
    name: Annotated[str | None, OrNone] = field(
        None, "Name in the storage. Default: the study with its suite or problems, as in siren-poisson."
    )
    trials: int = field(
        60, "Trials that the study has in the end, those of earlier calls included.", ge=1, le=1_000_000
    )
    seeds: int = field(3, "Seeds on which a trial learns each problem.", ge=1, le=10_000)
    first_seed: int = field(0, "The first of the seeds, which follow one another.", ge=0, lt=2**31 - 1_000_000)
    preset: str = field("tuned", "Preset for the fields that the study doesn't search.")
    storage: str = field(
        "studies.journal", "Where trials are kept: a journal file, sqlite:///file, or postgresql+psycopg://address."
    )
    timeout: Annotated[float | None, OrNone] = field(
        None, "After so long no further trial begins; those at work are finished. None: no deadline.", unit="s", gt=0
    )
    run_timeout: Annotated[float | None, OrNone] = field(
        None, "Deadline of a run, which then counts with the penalty. None: no deadline.", unit="s", gt=0
    )
    sampler: Literal["tpe", "gp", "auto", "random"] = field(
        "auto",
        "How the next trial is chosen: tree-structured Parzen estimator; Gaussian process, which takes longer for a choice; "
        "`auto`, the latter for one objective, up to 250 trials, and a space with a real number, else the former; or at random.",
        source="measured on SIREN and kan_rbf, docs/studies.md",
    )
    sampler_seed: int = field(0, "Seed of the sampler.", ge=0, lt=2**31)
    pruning: bool = field(
        True, "Whether runs and trials that are worse than earlier ones end early; with one objective only."
    )
    resume: bool = field(True, "Whether to go on with a study of that name; false refuses one that is there.")
    plugins: Names = field((), "Modules or .py files to import first, comma-separated.")
    where: ExecutorConfig = Field(ExecutorConfig(), description="Where runs are computed.")
    fields: dict[str, Any] = Field({}, description="Fields of the run configuration, for every run.")
    given: dict[str, str] = Field({}, description="What the user gave, as it was given.")

    def seed_range(self) -> range:
        """The seeds, in order."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def command(self, *then: str) -> str:
        """The command that makes this study, or does ``then`` with it, to be typed; what is secret in it is masked."""
        words = [word for name, value in self.given.items() for word in (f"--{name}", value)]
        return as_typed(["harness", "study", *then, *words])


class ExportConfig(BaseModel):
    """What is written, and on what evidence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    to: Annotated[str | None, OrNone] = field(None, "File to write. Default: the study's name, .yaml.")
    fresh: int = field(5, "Seeds that the study never saw, on which its winners have to hold.", ge=5, le=10_000)
    first_fresh: int = field(CONFIRMATION.start, "The first of these seeds.", ge=0, lt=2**31 - 1_000_000)
    margin: float = field(
        0.1,
        "By how much the medians have to be better: those of the best trial than the preset's, and those of a problem's own "
        "values than the best trial's.",
        unit="first objective: decades of the NMSE",
        ge=0,
    )
    trial: Annotated[int | None, OrNone] = field(
        None, "Trial to export. Default: the best, or the front's least error.", ge=0
    )


OWN = StudyConfig.model_fields.keys() - {"where", "fields", "given"}
"""The fields that only a study has."""


def configure(given: Mapping[str, str]) -> StudyConfig:
    """The validated configuration for what the user gave. Any field that every run has is taken for all runs.

    Raises BadInput with one sentence.
    """
    own = {name: value for name, value in given.items() if name in OWN}
    try:
        config = StudyConfig.model_validate({**own, "given": dict(given)})
    except ValidationError as error:
        raise refusal(error) from error
    if config.problem and config.suite is not None:
        raise BadInput(
            f"suite = {config.suite!r} can't be used with problem = {','.join(config.problem)!r}; give one of them."
        )
    _refuse_reporting_seeds("first_seed", config.first_seed, config.seeds)
    load_plugins(config.plugins)  # which may bring the executor
    of_runs: set[str] = set().union(*(fields_of(family.config) for family in FAMILIES.usable().values()))
    others = {name: value for name, value in given.items() if name not in OWN}
    where, fields = take(others, OWN | of_runs)
    for name, value in fields.items():
        if name in ("model", "seed"):
            raise BadInput(
                f"{name} = {quoted(value)} is decided by the study; choose with study, seeds and first_seed."
            )
        if name not in of_runs:
            known = {*OWN, *every_field(), *of_runs}
            raise BadInput(f"{name} = {quoted(value)} is not a field of a study; {nearest(name, known)}")
    return config.model_copy(update={"where": where, "fields": fields})


def _refuse_reporting_seeds(field: str, first: int, count: int) -> None:
    """Nothing is chosen by the seeds that are published (docs/protocol.md)."""
    if first < REPORTING.stop and first + count > REPORTING.start:
        raise BadInput(
            f"{field} = {first} can't be used: seeds {REPORTING.start} to {REPORTING.stop - 1} are kept for reporting, and "
            "nothing is chosen by them; take others."
        )


def configure_export(given: Mapping[str, str]) -> tuple[StudyConfig, ExportConfig]:
    """The configuration of the study, and that of its export. Raises BadInput with one sentence."""
    own = {name: value for name, value in given.items() if name in ExportConfig.model_fields}
    try:
        config = ExportConfig.model_validate(own)
    except ValidationError as error:
        raise refusal(error) from error
    study = configure({name: value for name, value in given.items() if name not in own})
    _refuse_reporting_seeds("first_fresh", config.first_fresh, config.fresh)
    if set(study.seed_range()) & set(range(config.first_fresh, config.first_fresh + config.fresh)):
        raise BadInput(
            f"first_fresh = {config.first_fresh} is not fresh: the study has seen some of the {config.fresh} seeds from there."
        )
    if config.to is not None:
        refuse_unwritable("to", Path(config.to), folder=False)
    return study, config
