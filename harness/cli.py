"""The command line: parse, call, print. What a command does stands in the module that it calls."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args, get_origin

import click

from harness import __version__
from harness.addresses import clean
from harness.errors import MOST_SHOWN, BadInput, Stopped, StoreLost, quoted
from harness.loading import load
from harness.shadows import refuse_shadows
from harness.streams import let_the_reader_go

if TYPE_CHECKING:
    from harness.registry import Registry

HELP = ("-h", "--help")
Row = tuple[str, ...]
Tables = dict[str, list[Row]]
"""By their titles."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point. Exits with 0 for done, 1 for a run that ended otherwise, 2 for bad input, 3 for a strict report."""
    let_the_reader_go()
    try:
        refuse_shadows()
        code = cli.main(args=None if arguments is None else list(arguments), prog_name="harness", standalone_mode=False)
    except BadInput as error:
        fail(str(error))
    except click.UsageError as error:
        fail(error.format_message())
    except StoreLost as error:
        fail(str(error), code=1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception:
        # A mistake of ours, or of a plug-in. What is raised may quote an address.
        click.echo(clean(traceback.format_exc()), err=True, nl=False)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def fail(sentence: str, code: int = 2) -> NoReturn:
    """One sentence on standard error, and the exit code."""
    tell(sentence)
    sys.exit(code)


def tell(sentence: str) -> None:
    """One sentence on standard error, without anything that a terminal would obey."""
    from harness.escaping import visible

    click.echo(f"harness: {visible(clean(sentence))}", err=True)


@click.group(context_settings={"help_option_names": list(HELP)})
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Train MLP, Fourier-feature MLP, SIREN, KAN and pruned KAN on the same problems, every run tracked with MLflow."""


class FieldCommand(click.Command):
    """A command that takes fields, all of them as they were typed, for :func:`given_fields`.

    Click's own parser would read ``-epochs`` as ``-e -p -o -c -h``, which is help, and drop ``--``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Help where it is asked for, and everything else as it is."""
        if any(word in HELP for word in args):
            ctx.meta["beside help"] = [word for word in args if word not in HELP]
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.params["fields"] = tuple(args)
        return []


class RunCommand(FieldCommand):
    """A command whose options are the fields of the run configuration."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the fields: those of the model that stands beside ``--help`` with the values in force, else those of all."""
        given = given_fields(ctx.meta["beside help"], flags=("explain",))
        given.pop("explain", None)
        formatter.write_paragraph()
        if "model" in given:
            _write_fields_in_force(formatter, given)
            return
        formatter.write_text(
            "--explain prints where each value comes from, and trains nothing. --help --model siren lists the fields of that "
            "model alone, with the values that its preset gives them; here stand the defaults."
        )
        from harness.config import RunConfig
        from harness.families import FAMILIES
        from harness.methods import METHODS

        with formatter.section("Fields of every run"):
            formatter.write_dl(_rows(RunConfig.model_fields))
        of_optimizers = {f"optimizer {name}": each.config.model_fields for name, each in METHODS.usable(tell).items()}
        of_models = {
            name: {f: info for f, info in each.config.model_fields.items() if f not in RunConfig.model_fields}
            for name, each in FAMILIES.usable(tell).items()
        }
        _write_by_owners(formatter, of_optimizers)
        _write_by_owners(formatter, of_models)


def _write_by_owners(formatter: click.HelpFormatter, configs: dict[str, dict[str, Any]]) -> None:
    """The fields of optimizers or models, those that the same ones have together."""
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for field in dict.fromkeys(field for fields in configs.values() for field in fields):
        owners = tuple(name for name, fields in configs.items() if field in fields)
        groups.setdefault(owners, {})[field] = configs[owners[0]][field]
    for owners, fields in groups.items():
        with formatter.section(f"Fields of {', '.join(owners)}"):
            formatter.write_dl(_rows(fields, {f: _defaults(f, owners, configs) for f in fields}))


def _write_fields_in_force(formatter: click.HelpFormatter, given: dict[str, str]) -> None:
    """The fields of one model, under what was given and its preset. Raises BadInput as a run would."""
    from harness.config import fields_of
    from harness.explanation import explain
    from harness.families import FAMILIES
    from harness.methods import METHODS

    found = explain(given)
    in_force = {each.field: spelled(each.value) for each in found}
    of_optimizer = METHODS.get(in_force["optimizer"]).config.model_fields if "optimizer" in in_force else {}
    known = {**fields_of(FAMILIES.get(in_force["model"]).config), **of_optimizer}
    fields = {name: known[name] for name in in_force}
    title = f"Fields of {in_force['model']} on {in_force['problem']}, and the values in force under preset {in_force['preset']}"
    with formatter.section(title):
        formatter.write_dl(_rows(fields, in_force))
    formatter.write_paragraph()
    formatter.write_text("--explain prints where each of these values comes from.")


def _rows(fields: dict[str, Any], values: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Each field with what it means, what it may be, and its value: that of ``values``, else its default."""
    return [
        (
            f"--{name}",
            f"{info.description}{_choices(name, info)}{_bracketed(_default(info) if values is None else values[name])}",
        )
        for name, info in fields.items()
    ]


def _bracketed(value: str) -> str:
    return f" [{value}]" if value else ""


def _choices(name: str, info: Any) -> str:
    """What a field may be, where that is a list."""
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else _registered(name)
    return f" One of {', '.join(map(str, choices))}." if choices else ""


def _registered(field: str) -> list[str]:
    """What a field may name that plug-ins can add to."""
    from harness.execution.executors import EXECUTORS
    from harness.methods import METHODS

    registries: dict[str, Registry[Any]] = {"optimizer": METHODS, "executor": EXECUTORS}
    return registries[field].names() if field in registries else []


def _default(info: Any) -> str:
    return "" if info.default is None or info.default == () else spelled(info.default)


def _defaults(field: str, owners: Sequence[str], configs: dict[str, Any]) -> str:
    """The default of a field, by model where it is not the same for all that have it."""
    owners_of: dict[str, list[str]] = {}
    for name in owners:
        owners_of.setdefault(_default(configs[name][field]), []).append(name)
    if len(owners_of) == 1:
        return next(iter(owners_of))
    return "; ".join(f"{', '.join(names)}: {value}" for value, names in owners_of.items())


@cli.command("run", cls=RunCommand)
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[--FIELD VALUE]...")
def run_command(fields: tuple[str, ...]) -> int:
    """Train one model on one problem with one seed: one MLflow run."""
    given = given_fields(fields, flags=("explain",))
    explained = given.pop("explain", "false")
    if explained not in ("true", "false"):
        raise BadInput(f"explain = {quoted(explained)} can't be used: it should be true or false.")
    if explained == "true":
        return _explain(given)
    from harness import terminal

    with terminal.busy("loading torch and MLflow") as console:
        from harness.presets import resolve

        config = resolve(given)
        load("harness.run")
        from harness.run import run
    with terminal.watching(config, console) as listener:
        result = run(config, listener)
    terminal.summarise(config, result, console)
    return 0 if result.ending.outcome.value == "completed" else 1


def _explain(given: dict[str, str]) -> int:
    from harness.explanation import explain
    from harness.presets import resolve

    if "problem" in given:
        # Only then: problems need numpy, which takes as long to load as all the rest.
        from harness import problems

        problems.of(resolve(given))
    for each in explain(given):
        beside = f"  # {each.comment}" if each.comment else ""
        click.echo(f"{each.field} = {spelled(each.value)}  ({each.source}){beside}")
    return 0


def spelled(value: object) -> str:
    """A value as the command line takes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def given_fields(arguments: Sequence[str], flags: Sequence[str] = ()) -> dict[str, str]:
    """``--name value`` and ``--name=value`` pairs as a mapping; one of ``flags`` may also stand alone, for true.

    Raises BadInput for anything else, and for a field given twice.
    """
    given: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        found = re.fullmatch(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", argument, re.DOTALL)
        if found is None or len(found[1]) > MOST_SHOWN:
            raise BadInput(f"{quoted(argument)} is not a field; write --name value.")
        name, value = found[1].replace("-", "_"), found[2]
        if value is None:
            if rest and not rest[0].startswith("--"):
                value = rest.pop(0)
            elif name in flags:
                value = "true"
            else:
                raise BadInput(f"{name} has no value; write --{name} value.")
        if name in given:
            raise BadInput(f"{name} is given twice: {quoted(given[name])} and {quoted(value)}.")
        given[name] = value
    return given


class BenchmarkCommand(FieldCommand):
    """A command whose options are the fields of the benchmark configuration."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the fields of a benchmark; those of a run are listed by ``run``."""
        from harness.execution.benchmark_config import OWN, BenchmarkConfig

        with formatter.section("Fields"):
            formatter.write_dl(_rows({n: f for n, f in BenchmarkConfig.model_fields.items() if n in OWN}))
        _write_executors(formatter)
        formatter.write_paragraph()
        formatter.write_text(
            "Every field that all runs have (harness run --help), such as --epochs, is taken for all cells."
        )


def _write_executors(formatter: click.HelpFormatter) -> None:
    """The fields that say where cells are computed: those of every executor, then those that only one has."""
    from harness.execution.executors import ExecutorConfig, fields_of_their_own

    with formatter.section("Fields of every executor"):
        formatter.write_dl(_rows(ExecutorConfig.model_fields))
    for name, fields in fields_of_their_own().items():
        if fields:
            with formatter.section(f"Fields of executor {name}"):
                formatter.write_dl(_rows(fields))


@cli.command("benchmark", cls=BenchmarkCommand)
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[--FIELD VALUE]...")
def benchmark_command(fields: tuple[str, ...]) -> int:
    """Compute whatever cells of a suite have no result yet: problems x models x seeds. Can be stopped and goes on."""
    given = given_fields(fields, flags=("force", "dry_run"))
    from harness import terminal

    with terminal.busy("loading torch and MLflow, planning") as console:
        from harness.execution.benchmark_config import configure

        config = configure(given)
        load("harness.execution.benchmark")
        from harness.execution.benchmark import benchmark, plan

        if config.dry_run:
            from harness.execution.estimate import estimate

            estimated = estimate(plan(config), config)
    if config.dry_run:
        terminal.show_plan(config, estimated, console)
        return 0
    with terminal.watching_benchmark(console) as listener:
        result = benchmark(config, listener)
    terminal.summarise_benchmark(result, console)
    return 1 if result.stopped or result.state.failed() else 0


def option(*names: str, **how: Any) -> Callable[[Any], Any]:
    """An option of click's that is refused when it is given twice; click itself would take the last one."""

    def only(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> str | None:
        if len(value) > 1:
            raise BadInput(f"{parameter.name} is given twice: {' and '.join(map(quoted, value))}.")
        return value[0] if value else None

    return click.option(*names, multiple=True, callback=only, **how)


@cli.command("predict")
@click.argument("run")
@click.argument("points")
@option("--out", metavar="FILE", help="File to write, .parquet or .csv.  [default: predictions.parquet]")
@option("--plugins", help="Modules or .py files to import first, comma-separated.")
def predict_command(run: str, points: str, out: str | None, plugins: str | None) -> None:
    """Predict with the model of RUN, by its name or id, for each row of the file POINTS; columns are found by name."""
    from harness.escaping import visible
    from harness.terminal import busy

    with busy("loading torch and MLflow, predicting"):
        from harness.registry import load_plugins

        load_plugins(part for part in (plugins or "").split(",") if part)
        load("harness.prediction")
        from harness.prediction import predict

        done = predict(run, points, "predictions.parquet" if out is None else out)
    for name, value in done.told():
        click.echo(f"{name:<12}{visible(value)}")


@cli.group("report", invoke_without_command=True)
@option(
    "--benchmark",
    metavar="IDS",
    help="The benchmark of that id; of several, with commas. Without a selection: the latest one.",
)
@option("--experiment", metavar="NAME", help="All runs of an experiment.")
@option("--tag", metavar="NAME=VALUE", help="All runs with a tag.")
@option("--preset", metavar="NAMES", help="Only these presets, comma-separated. The first is the headline.")
@option("--out", metavar="DIR", help="Folder to write into.  [default: report]")
@option("--ui", metavar="ADDRESS", help="Address of the tracking UI, for links to the runs.")
@click.option("--strict", is_flag=True, help="Exit with 3 if a criterion of the headline preset is FAIL or NO DATA.")
@option("--plugins", help="Modules or .py files to import first, comma-separated.")
@click.pass_context
def report_command(context: click.Context, /, strict: bool, plugins: str | None, **given: str | None) -> int:
    """Decide the success criteria from the store, compare the models, and write HTML, Markdown, JSON, CSV and LaTeX."""
    if context.invoked_subcommand is not None:
        return 0
    from harness.terminal import busy

    with busy("reading the store, deciding, drawing"):
        from harness.registry import load_plugins

        load_plugins(part for part in (plugins or "").split(",") if part)
        load("reports.report")
        from reports.report import report, select, summary

        selection = select(given["benchmark"], given["experiment"], given["tag"], given["preset"])
        written = report(selection, "report" if given["out"] is None else given["out"], given["ui"])
    click.echo(summary(written))
    return 3 if strict and not written.report.is_clean() else 0


@report_command.command("compare")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@option("--out", metavar="FILE", help="Write the comparison into this Markdown file too.")
@click.option("--any-version", is_flag=True, help="Compare although the two follow different rules.")
def compare_command(before: str, after: str, out: str | None, any_version: bool) -> int:
    """What changed from benchmark A to benchmark B, beyond noise. Exits with 1 if something got worse."""
    from harness.terminal import busy

    with busy("reading the store, comparing"):
        load("reports.compare")
        from reports.compare import compare

        result = compare(before, after, any_version, out)
    click.echo(result.text)
    return 1 if result.is_worse() else 0


@cli.command("publish")
@option("--report", metavar="DIR", help="The folder that harness report has written.  [default: report]")
@option("--name", metavar="NAME", help="Name of the result in the ledger and in the pages, such as section1.")
@click.option(
    "--command", "commands", multiple=True, metavar="TEXT", help="The command that made the runs, one or more."
)
@click.option(
    "--check", "checks", is_flag=True, help="Write nothing; exit with 1 if what is published breaks the protocol."
)
def publish_command(commands: tuple[str, ...], checks: bool, **given: str | None) -> int:
    """Put a report on the reporting seeds into the pages of this checkout and into the ledger, or check these."""
    from harness.terminal import busy

    if not checks and given["name"] is None:
        raise BadInput("name is missing; write --name section1, for the places made by harness publish: section1/...")
    with busy("reading the report and the pages"):
        load("reports.publishing")
        from reports.publishing import check, ledger, publish

        faults = check() if checks else []
        if checks:
            told = faults or [f"{len(ledger())} published results are as the protocol wants them"]
        else:
            of = "report" if given["report"] is None else given["report"]
            told = [f"written     {path}" for path in publish(of, str(given["name"]), commands)]
    for line in told:
        click.echo(line)
    return 1 if faults else 0


class StudyCommand(FieldCommand):
    """A command whose options are the fields of the study configuration."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the fields of a study; those of a run are listed by ``run``."""
        from studies.study_config import OWN, ExportConfig, StudyConfig

        with formatter.section("Fields"):
            formatter.write_dl(_rows({n: f for n, f in StudyConfig.model_fields.items() if n in OWN}))
        _write_executors(formatter)
        with formatter.section("Further fields of harness study export, which makes a preset of a study"):
            formatter.write_dl(_rows(ExportConfig.model_fields))
        formatter.write_paragraph()
        formatter.write_text("Every field of a run (harness run --help), such as --epochs, is taken for all runs.")


def export_study(fields: tuple[str, ...]) -> int:
    """A study's winners as a preset, if they hold on fresh seeds."""
    given = given_fields(fields, flags=("resume", "pruning"))
    from harness.terminal import busy

    try:
        with busy("loading, and computing what is missing on fresh seeds"):
            from studies.study_config import configure_export

            config, wanted = configure_export(given)
            load("studies.export")
            from studies.export import export

            exported = export(config, wanted)
    except Stopped as error:
        click.echo(f"stopped: {error}; the same command goes on from here.")
        return 1
    click.echo("\n".join([*exported.table(), exported.sentence()]))
    return 0 if exported.path is not None else 1


@cli.command("study", cls=StudyCommand)
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[export] [--FIELD VALUE]...")
def study_command(fields: tuple[str, ...]) -> int:
    """Search for better hyperparameters with Optuna: each trial is a few tracked runs. Can be stopped and goes on."""
    if fields[:1] == ("export",):
        return export_study(fields[1:])
    given = given_fields(fields, flags=("resume", "pruning"))
    from harness.terminal import busy

    with busy("loading torch, MLflow and Optuna") as console:
        from studies.study_config import configure

        config = configure(given)
        load("studies.driver")
        from studies import terminal
        from studies.driver import tune
    with terminal.watching_study(config, console) as listener:
        result = tune(config, listener)
    terminal.summarise(result, config, console)
    return 1 if result.stopped or not result.findings.has_result else 0


def _problems(section: str | None = None) -> Tables:
    """A table of each section, or of one; what belongs to several stands under each. Raises BadInput for an unknown one."""
    from harness.problems import PROBLEMS
    from harness.registry import nearest

    found: Tables = {}
    for each in PROBLEMS.usable(tell).values():
        for name in each.sections:
            found.setdefault(name, []).append((each.name, f"{each.dimension}D", each.formula))
    if section is not None and section not in found:
        raise BadInput(f"section = {quoted(section)} is not known; {nearest(section, found)}")
    return {f"problems of {name}": rows for name, rows in found.items() if section in (None, name)}


def _models() -> list[Row]:
    from harness.families import FAMILIES

    return [(name, each.summary) for name, each in FAMILIES.usable(tell).items()]


def _presets() -> list[Row]:
    from harness.presets import names, summary

    return [(name, summary(name)) for name in names()]


def _suites() -> list[Row]:
    from harness import suites

    return [(name, suites.load(name).summary) for name in suites.names()]


def _executors() -> list[Row]:
    from harness.execution.executors import EXECUTORS

    return [(name, each.summary) for name, each in EXECUTORS.usable(tell).items()]


def _optimizers() -> list[Row]:
    from harness.methods import METHODS

    return [(name, each.summary) for name, each in METHODS.usable(tell).items()]


def _criteria() -> list[Row]:
    from reports.criteria import CRITERIA

    return [(each.id, each.threshold, each.sentence) for each in CRITERIA.usable(tell).values()]


def _studies() -> list[Row]:
    from studies.catalogue import STUDIES

    return [(name, each.model, each.summary) for name, each in STUDIES.usable(tell).items()]


LISTED: dict[str, Callable[[], list[Row]]] = {
    "models": _models,
    "optimizers": _optimizers,
    "presets": _presets,
    "suites": _suites,
    "executors": _executors,
    "criteria": _criteria,
    "studies": _studies,
}
"""What ``harness list`` knows besides the problems, which come first."""


@cli.command("list")
@click.argument(
    "kind",
    required=False,
    type=click.Choice(["problems", *LISTED]),
)
@option("--section", metavar="NAME", help="Only the problems of that section.")
@option("--plugins", help="Modules or .py files to import first, comma-separated.")
def list_command(kind: str | None, section: str | None, plugins: str | None) -> None:
    """List problems, models, optimizers, presets, suites, executors, criteria and studies."""
    if section is not None and kind != "problems":
        raise BadInput(f"section = {quoted(section)} is one of problems; write harness list problems --section NAME.")
    from harness.terminal import busy

    with busy("loading"):
        from harness.registry import load_plugins

        load_plugins(part for part in (plugins or "").split(",") if part)
        listed = _problems(section) if kind in (None, "problems") else {}
        listed |= {name: rows() for name, rows in LISTED.items() if kind in (None, name)}
    for name, rows in listed.items():
        table(name, rows)


def table(title: str, rows: Sequence[Row]) -> None:
    """Aligned columns under a title; the last column may be long."""
    click.echo(title)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        click.echo("  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]))


@cli.command("doctor")
@click.option("--fix", is_flag=True, help="Close the runs whose process is gone, as interrupted.")
def doctor_command(fix: bool) -> int:
    """Versions, devices, whether the store can be used, and runs that were left unfinished."""
    from harness.terminal import busy

    with busy("loading, and looking at the store"):
        from harness.doctor import examine

        checks = list(examine(fix=fix))
    healthy = True
    for check in checks:
        click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}: {check.finding}")
        healthy &= check.ok
    return 0 if healthy else 1
