"""What a study is going to compute: its definition, its problems and seeds, and the runs of a trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePath
from typing import Any

from harness import suites
from harness.config import RunConfig
from harness.errors import BadInput, quoted
from harness.fingerprint import COMPARABILITY, fingerprint_of
from harness.machine import memory
from harness.models import try_networks
from harness.presets import is_equation, resolve
from harness.problems.file import name_of
from harness.registry import check_name
from harness.run import check
from studies.catalogue import STUDIES
from studies.definition import Study
from studies.space import Dimension, fields
from studies.study_config import SUITE, StudyConfig


@dataclass(frozen=True)
class Run:
    """A run of a trial, or of an unpruned twin that a run of the trial is held against."""

    config: RunConfig
    fingerprint: str
    step: int | None
    """Its place among the runs of the trial, by which trials are compared; None for a twin."""
    twin: str | None = None
    """Fingerprint of the unpruned twin."""


@dataclass(frozen=True)
class Plan:
    """A study with its problems and seeds."""

    name: str
    study: Study
    problems: tuple[str, ...]
    seeds: range
    fields: Mapping[str, Any]
    """Fields of every run, beside those that are searched."""

    @property
    def prunable(self) -> bool:
        """Whether a trial may end early: with several objectives a large error may come with few parameters."""
        return len(self.study.objectives) == 1

    @cached_property
    def described(self) -> dict[str, Any]:
        """All that decides what a trial's values mean, as flat plain data."""
        base = self.resolved(
            {name: d.some()[0] for name, d in self.study.space.items()}, self.problems[0], 0
        ).identity()
        searched = {key for name, d in self.study.space.items() for v in d.some() for key in d.fields(name, v)}
        return _flat(
            {
                **self.study.described(),
                "problems": list(self.problems),
                "seeds": [self.seeds.start, len(self.seeds)],
                "comparability": COMPARABILITY,
                "base": {k: v for k, v in base.items() if k not in searched | {"problem", "seed"}},
            }
        )

    def resolved(self, values: Mapping[str, Any], problem: str, seed: int) -> RunConfig:
        """The configuration of one run of a trial. Raises BadInput when the values don't fit together."""
        searched = fields(self.study.space, values)
        return resolve({**self.fields, **searched, "model": self.study.model, "problem": problem, "seed": seed})

    def of_preset(self) -> dict[str, Any]:
        """The point of the search space that the preset stands for, without what it has outside of the space.

        Where it has values for single problems, the commonest: a trial has one set of values for all.
        """
        found = {}
        for name, dimension in self.study.space.items():
            values = Counter(value for p in self.problems for value in self._of_preset_on(p, name, dimension))
            if values:
                found[name] = values.most_common(1)[0][0]
        return found

    def _of_preset_on(self, problem: str, name: str, dimension: Dimension) -> Iterator[Any]:
        base = self.resolved({}, problem, self.seeds.start)
        candidates = dimension.near(base.values().get(name))
        yield from (c for c in candidates if self.resolved({name: c}, problem, self.seeds.start) == base)

    def runs(
        self, values: Mapping[str, Any], problems: tuple[str, ...] = (), seeds: range | None = None
    ) -> Iterator[Run]:
        """The runs of a trial in order, seed by seed, each after its twin. Raises BadInput when values don't fit."""
        step = 0
        for seed in seeds or self.seeds:
            for problem in problems or self.problems:
                config = self.resolved(values, problem, seed)
                of_twin = config.twin()
                twin = None if of_twin is None else _fingerprint(of_twin)
                if of_twin is not None and twin is not None:
                    yield Run(of_twin, twin, None)
                yield Run(config, _fingerprint(config), step, twin)
                step += 1


def make_plan(config: StudyConfig) -> Plan:
    """The plan for a configuration.

    Raises BadInput for what is unknown, for a problem or a network that can't be used, for a search space that the model
    doesn't have, for more runs a trial than can be planned, and for runs that this machine can't compute where it is the one
    to do that.
    """
    study = STUDIES.get(config.study)
    if config.fields.get("data"):
        if config.problem or config.suite:
            raise BadInput(
                f"data = {quoted(PurePath(config.fields['data']).name)} is learned instead of a problem or a suite."
            )
        suite, label = suites.Suite(summary=""), name_of(config.fields["data"])
    elif config.problem:
        suite, label = suites.Suite(summary="", problems=config.problem), "-".join(config.problem)
    else:
        suite, label = suites.load(config.suite or SUITE), suites.title(config.suite or SUITE)
    given = {
        "preset": config.preset,
        **study.fields,
        **config.fields,
        "threads": config.where.threads,
        "timeout": config.run_timeout,
        "plugins": config.plugins,
    }
    try:
        problems = tuple(suites.learned(suite, given))
        name = config.name or f"{study.name}-{label}"
        check_name("name", name)
        plan = Plan(name, study, problems, config.seed_range(), {**suites.of_every_cell(suite, given), **given})
        _refuse_too_many(plan)
        _refuse_fits_beside_equations(plan)
        _refuse_what_can_not_be(plan, config)
    except BadInput as error:
        raise suite.located(error, given) from error
    return plan


def _refuse_too_many(plan: Plan) -> None:
    runs = len(plan.seeds) * len(plan.problems)
    if runs > suites.MOST_CELLS:
        raise BadInput(
            f"seeds = {len(plan.seeds)} on {len(plan.problems)} problems makes {runs:,} runs a trial; at most "
            f"{suites.MOST_CELLS:,} are planned."
        )


def _refuse_fits_beside_equations(plan: Plan) -> None:
    """A preset has values of their own for both, and their errors are in other units."""
    kinds = {is_equation(problem): problem for problem in reversed(plan.problems)}
    if len(kinds) > 1:
        raise BadInput(
            f"problem = {quoted(','.join(plan.problems))} has an equation, {kinds[True]!r}, and a fit, {kinds[False]!r}; a "
            "study is of one or of the other."
        )


def _refuse_what_can_not_be(plan: Plan, config: StudyConfig) -> None:
    space = plan.study.space
    room = min(memory(), config.where.max_memory or memory())
    first = {name: dimension.some()[0] for name, dimension in space.items()}
    for name, dimension in space.items():
        if clash := sorted({key for v in dimension.some() for key in dimension.fields(name, v)} & set(config.fields)):
            raise BadInput(
                f"{clash[0]} = {quoted(config.fields[clash[0]])} is searched by study {plan.study.name!r}; leave it out."
            )
        for value in dimension.some():
            found = plan.resolved({**first, name: value}, plan.problems[0], config.first_seed)
            if config.where.here:
                check(found, room)
    of_first = [plan.resolved(first, problem, seed) for problem in plan.problems for seed in plan.seeds]
    try_networks(of_first)
    for each in of_first:
        _fingerprint(each)  # which draws the points that the study learns from


def difference(there: object, here: Mapping[str, Any]) -> str | None:
    """The first thing in which what a storage holds differs from a description, in words."""
    if not isinstance(there, Mapping):
        return "it is not one of this program"
    for key in {**here, **there}:
        if there.get(key) != here.get(key):
            return f"{key} is {there.get(key, 'absent')!r} there and {here.get(key, 'absent')!r} here"
    return None


@cache
def _fingerprint(config: RunConfig) -> str:
    return fingerprint_of(config)


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; tuples as lists, as JSON gives them back."""
    if isinstance(content, Mapping):
        return {
            k: v
            for key, value in content.items()
            for k, v in _flat(value, f"{prefix}.{key}" if prefix else key).items()
        }
    return {prefix: list(content) if isinstance(content, tuple) else content}
