"""From a study to a preset: the winners that hold on fresh seeds, each value with the trail back to its trial."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from optuna.trial import FrozenTrial

from harness.addresses import masked
from harness.errors import BadInput
from harness.escaping import markdown
from harness.execution.driving import close_ours, parent_at_work
from harness.execution.executors import executor
from harness.execution.isolation import Limits
from harness.explanation import comments
from harness.fingerprint import COMPARABILITY
from harness.machine import refuse_unwritable
from harness.outcome import Outcome
from harness.presets import is_equation, load, text_of
from harness.run import Stop, stop_on_signals
from harness.tracking.claims import close_if_gone
from harness.tracking.liveness import Watch
from harness.tracking.parent import child_tags, end_parent, write_table
from harness.tracking.store import look_at_store, lost_in_one_sentence, open_store, store_address
from studies.confirmation import Confirmation, Submit, best_trial, confirm
from studies.findings import Findings, findings
from studies.measures import Measured
from studies.plan import Plan, Run, difference, make_plan
from studies.runs import measure_isolated, order_of
from studies.space import fields
from studies.storage import find_study, look_at_storage, open_storage, storage_lost
from studies.study_config import ExportConfig, StudyConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Exported:
    """The result of an export."""

    path: Path | None
    """The file that was written; None when the preset was not beaten."""
    confirmation: Confirmation
    plan: Plan
    preset: str

    def table(self) -> list[str]:
        """The comparison on fresh seeds, in Markdown."""
        trial = self.confirmation.trial.number
        name = self.plan.study.objectives[0].name
        lines = [
            f"| {name} | preset {self.preset} | trial {trial} | its best, worst seed | the problem's own trial | violates |",
            "|---|---|---|---|---|---|",
        ]
        for row in self.confirmation.problems:
            low, high = row.chosen_range
            own = "" if row.own is None else f"{row.own:.2f} (trial {row.own_trial}{', kept' if row.keeps_own else ''})"
            lines.append(
                f"| {row.problem} | {row.before:.2f} | {row.chosen:.2f} | {low:.2f}, {high:.2f} | {own} "
                f"| {', '.join(row.violated)} |"
            )
        means = self.confirmation
        lines.append(f"| mean | {means.before:.2f} | {means.of_trial:.2f} | | {means.after:.2f} as exported | |")
        return lines

    def sentence(self) -> str:
        """Whether there is a file, and why not."""
        if self.path is None:
            return f"not written: the study does not beat preset {self.preset} by the margin on these seeds"
        return f"written: {self.path}"


def export(config: StudyConfig, wanted: ExportConfig) -> Exported:
    """Confirm a study's winners on fresh seeds, and write them as a preset if they beat the one that they started from.

    Raises BadInput, with nothing left behind, for a study that is not there, is of another definition, or has nothing to
    export, and for a file that can't be written. Raises Stopped when a signal asks to stop: the same call goes on from
    there. Raises StoreLost when the store fails in the middle.
    """
    plan = make_plan(config)
    look_at_store()
    config.where.refuse_unsuitable_store(store_address())
    if not look_at_storage(config.storage, reading=True):
        raise BadInput(f"storage = {masked(config.storage)!r} is not there; name the one that the study is kept in.")
    study = find_study(open_storage(config.storage), plan.name)
    if (what := difference(study.user_attrs.get("definition", {}), plan.described)) is not None:
        raise BadInput(f"name = {plan.name!r} is a study of another definition: {what}.")
    found = findings(plan, study)
    trial = best_trial(found, wanted.trial)
    seeds = range(wanted.first_fresh, wanted.first_fresh + wanted.fresh)
    path = Path(wanted.to or f"{plan.name}.yaml")
    refuse_unwritable("to", path, folder=False)
    with lost_in_one_sentence(), storage_lost(), stop_on_signals() as stop:
        return _confirm_and_write(config, wanted, found, trial, seeds, path, stop)


def _confirm_and_write(
    config: StudyConfig, wanted: ExportConfig, found: Findings, trial: FrozenTrial, seeds: range, path: Path, stop: Stop
) -> Exported:
    plan = found.plan
    about = f"Export of the study {markdown(plan.name)}: fresh seeds of its candidates."
    with ExitStack() as at_the_end, executor(config.where) as pool:
        client = open_store()
        name, identity = f"{plan.name}-export", {"study_export": plan.name}
        opened = at_the_end.enter_context(
            parent_at_work(client, plan.name, name, identity, about, what="export")  # until the workers are gone
        ).info
        tags = {"study": plan.name, "trial": "export"} | child_tags(opened.run_id)
        submit, watch = _submitter(config, client, opened.experiment_id, tags, pool), Watch()

        def look_at(run_id: str) -> None:
            close_if_gone(client, client.get_run(run_id), watch)

        close_lost, window = partial(close_ours, client), 2 * config.where.worker_count()
        confirmation = confirm(found, trial, seeds, wanted.margin, submit, stop, close_lost, look_at, window)
        exported = Exported(path if confirmation.is_better else None, confirmation, plan, config.preset)
        write_table(client, opened.run_id, "confirmation.json", [_plain(row) for row in confirmation.problems])
        if exported.path is not None:
            text = preset_text(plan, confirmation, config.preset, datetime.date.today())
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise BadInput(f"to = {str(path)!r} can't be written: {error.strerror}.") from error
            client.log_text(opened.run_id, text, "preset.yaml")
        client.set_tag(opened.run_id, "mlflow.note.content", "\n".join(exported.table()))
        end_parent(client, opened.run_id, Outcome.COMPLETED.value, f"{exported.sentence()}.", Outcome.COMPLETED.status)
    return exported


def _submitter(
    config: StudyConfig, client: MlflowClient, experiment_id: str, tags: Mapping[str, str], pool: Executor
) -> Submit:
    """The function that has a run computed by the pool."""
    limits = Limits(config.where.threads, config.run_timeout, config.where.max_memory)

    def submit(run: Run, known: Mapping[str, Measured]) -> Future[Measured]:
        order = order_of(run, known.get(run.twin or ""), client, experiment_id, tags, {})
        return pool.submit(measure_isolated, order, limits)

    return submit


def _plain(row: Any) -> dict[str, Any]:
    return {name: ",".join(map(str, v)) if isinstance(v, tuple) else v for name, v in vars(row).items()}


def preset_text(plan: Plan, confirmation: Confirmation, base: str, today: datetime.date) -> str:
    """The preset ``base`` with the study's values instead of its own, each with its comment.

    The other values stay, with the comments that they had on their line or above it, and so does what stood on top.
    """
    model = plan.study.model
    file = base, is_equation(plan.problems[0]), model
    content, remarks = _copied(load(*file)), dict(comments(text_of(*file)))

    def put(place: tuple[str, ...], trial: FrozenTrial, problem: str) -> None:
        section = content
        for part in place:
            section = section.setdefault(part, {})
        config = plan.resolved(trial.params, problem, 0).model_dump(mode="json")
        for name in {**plan.study.fields, **fields(plan.study.space, trial.params)}:
            section[name] = config[name]
            remarks[(*place, name)] = provenance(plan, trial, confirmation.seeds, today)

    problems = content.setdefault("problems", {}).setdefault(model, {})
    for problem in plan.problems:
        problems.pop(problem, None)
    put(("models", model), confirmation.trial, plan.problems[0])
    for problem, trial in confirmation.own.items():
        put(("problems", model, problem), trial, problem)
    said = (
        f"Preset {base} with the values of {model} from study {plan.name}: harness study export. Medians over seeds "
        f"{confirmation.seeds.start} to {confirmation.seeds.stop - 1} of {_objective(plan)}, mean over the problems "
        f"{', '.join(plan.problems)}: {confirmation.before:.2f} before, {confirmation.after:.2f} now; trial "
        f"{confirmation.trial.number}; problems with values of their own: {', '.join(confirmation.own) or 'none'} "
        f"(margin {confirmation.margin:g})."
    )
    content["summary"] = f"Preset {base} with the values of {model} from study {plan.name}."
    head = textwrap.wrap(said, 120, initial_indent="# ", subsequent_indent="# ")
    head += ["#", *takewhile(lambda line: line.startswith("#"), text_of(*file).splitlines())]
    return "\n".join([*head, *_written({k: v for k, v in content.items() if v}, remarks, (), 0)]) + "\n"


def provenance(plan: Plan, trial: FrozenTrial, fresh: range, today: datetime.date) -> str:
    """Where a value comes from, in words."""
    return (
        f"study {plan.name}, trial {trial.number}, seeds {plan.seeds.start}-{plan.seeds.stop - 1} (confirmed on "
        f"{fresh.start}-{fresh.stop - 1}), {today.isoformat()}, comparability {COMPARABILITY}"
    )


def _objective(plan: Plan) -> str:
    return plan.study.objectives[0].name


def _copied(content: Any) -> Any:
    return {key: _copied(value) for key, value in content.items()} if isinstance(content, Mapping) else content


def _written(
    content: Mapping[str, Any], remarks: Mapping[tuple[str, ...], str], path: tuple[str, ...], depth: int
) -> list[str]:
    lines = []
    for key, value in content.items():
        place, indent = (*path, key), "  " * depth
        if isinstance(value, Mapping):
            if value:
                lines += [f"{indent}{key}:", *_written(value, remarks, place, depth + 1)]
            continue
        spelled = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
        remark = remarks.get(place)
        lines.append(f"{indent}{key}: {spelled}" + (f"  # {remark}" if remark else ""))
    return lines
