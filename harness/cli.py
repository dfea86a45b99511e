"""The command line: parse, call, print. What a command does stands in the module that it calls."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from harness import __version__
from harness.addresses import clean
from harness.errors import MOST_SHOWN, BadInput, Stopped, StoreLost, quoted
from harness.streams import let_the_reader_go

HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point. Exits with 0 for done, 1 for a run that ended otherwise, 2 for bad input, 3 for a strict report."""
    let_the_reader_go()
    try:
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
    """One sentence on standard error, without anything that a terminal would obey, and the exit code."""
    from harness.escaping import visible

    click.echo(f"harness: {visible(clean(sentence))}", err=True)
    sys.exit(code)


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
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.params["fields"] = tuple(args)
        return []


class RunCommand(FieldCommand):
    """A command whose options are the fields of the run configuration."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the fields: those of every run, then what each model adds."""
        formatter.write_paragraph()
        formatter.write_text("--explain prints where each value comes from, and trains nothing.")
        from harness.config import RunConfig
        from harness.families import FAMILIES

        with formatter.section("Fields of every run"):
            formatter.write_dl(_rows(RunConfig.model_fields))
        shown: set[str] = set(RunConfig.model_fields)
        for name in FAMILIES.names():
            own = {field: info for field, info in FAMILIES.get(name).config.model_fields.items() if field not in shown}
            if own:
                with formatter.section(f"Fields of {', '.join(_owners(own))}"):
                    formatter.write_dl(_rows(own))
                shown |= set(own)


def _rows(fields: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"--{name}", f"{info.description}{_default(info.default)}") for name, info in fields.items()]


def _owners(fields: dict[str, Any]) -> list[str]:
    from harness.families import FAMILIES

    return [
        name for name in FAMILIES.names() if any(field in FAMILIES.get(name).config.model_fields for field in fields)
    ]


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    return f" [{','.join(map(str, value))}]" if isinstance(value, tuple) else f" [{value}]"


@cli.command("run", cls=RunCommand)
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[--FIELD VALUE]...")
def run_command(fields: tuple[str, ...]) -> int:
    """Train one model on one problem with one seed: one MLflow run."""
    from rich.console import Console

    from harness import terminal
    from harness.presets import resolve

    given = given_fields(fields, flags=("explain",))
    explained = given.pop("explain", "false")
    if explained not in ("true", "false"):
        raise BadInput(f"explain = {quoted(explained)} can't be used: it should be true or false.")
    if explained == "true":
        from harness.explanation import explain

        if "problem" in given:
            # Only then: problems need torch, which takes seconds to load.
            from harness import problems

            resolve(given)
            problems.get(given["problem"])
        for each in explain(given):
            beside = f"  # {each.comment}" if each.comment else ""
            click.echo(f"{each.field} = {_spelled(each.value)}  ({each.source}){beside}")
        return 0
    config = resolve(given)
    from harness.run import run

    console = Console()
    with terminal.watching(config, console) as listener:
        result = run(config, listener)
    terminal.summarise(config, result, console)
    return 0 if result.ending.outcome.value == "completed" else 1


def _spelled(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value).lower() if value is None else str(value)


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
        from harness.execution.config import BenchmarkConfig

        with formatter.section("Fields"):
            formatter.write_dl(_rows({n: f for n, f in BenchmarkConfig.model_fields.items() if n != "fields"}))
        formatter.write_paragraph()
        formatter.write_text(
            "Every field that all runs have (harness run --help), such as --epochs, is taken for all cells."
        )


@cli.command("benchmark", cls=BenchmarkCommand)
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[--FIELD VALUE]...")
def benchmark_command(fields: tuple[str, ...]) -> int:
    """Compute whatever cells of a suite have no result yet: problems x models x seeds. Can be stopped and goes on."""
    from rich.console import Console

    from harness import terminal
    from harness.execution.config import configure

    config = configure(given_fields(fields, flags=("force", "dry_run")))
    from harness.execution.benchmark import benchmark, plan

    console = Console()
    if config.dry_run:
        from harness.execution.estimate import estimate

        terminal.show_plan(config, estimate(plan(config), config), console)
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


@cli.group("report", invoke_without_command=True)
@option("--benchmark", metavar="ID", help="The benchmark of that id. Without a selection: the latest one.")
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
    from harness.registry import load_plugins

    load_plugins(part for part in (plugins or "").split(",") if part)
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
    from reports.publishing import check, ledger, publish

    if checks:
        faults = check()
        click.echo("\n".join(faults or [f"{len(ledger())} published results are as the protocol wants them"]))
        return 1 if faults else 0
    if given["name"] is None:
        raise BadInput("name is missing; write --name section1, for the places made by harness publish: section1/...")
    for path in publish("report" if given["report"] is None else given["report"], given["name"], commands):
        click.echo(f"written     {path}")
    return 0


class StudyCommand(FieldCommand):
    """A command whose options are the fields of the study configuration."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the fields of a study; those of a run are listed by ``run``."""
        from studies.config import ExportConfig, own_fields

        with formatter.section("Fields"):
            formatter.write_dl(_rows(own_fields()))
        with formatter.section("Further fields of harness study export, which makes a preset of a study"):
            formatter.write_dl(_rows(ExportConfig.model_fields))
        formatter.write_paragraph()
        formatter.write_text("Every field of a run (harness run --help), such as --epochs, is taken for all runs.")


def export_study(fields: tuple[str, ...]) -> int:
    """A study's winners as a preset, if they hold on fresh seeds."""
    from studies.config import configure_export

    config, wanted = configure_export(given_fields(fields, flags=("resume", "pruning")))
    from studies.export import export

    try:
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
    from rich.console import Console

    from studies.config import configure

    if fields[:1] == ("export",):
        return export_study(fields[1:])
    config = configure(given_fields(fields, flags=("resume", "pruning")))
    from studies import terminal
    from studies.driver import tune

    console = Console()
    result = tune(config, lambda told: terminal.print_trial(told, config, console))
    terminal.summarise(result, config, console)
    return 1 if result.stopped or not result.findings.has_result else 0


@cli.command("list")
@click.argument(
    "kind",
    required=False,
    type=click.Choice(["problems", "models", "presets", "suites", "criteria", "studies"]),
)
@option("--plugins", help="Modules or .py files to import first, comma-separated.")
def list_command(kind: str | None, plugins: str | None) -> None:
    """What there is: problems, models, presets, suites, criteria and studies."""
    from harness.families import FAMILIES
    from harness.presets import names, summary
    from harness.registry import load_plugins

    load_plugins(part for part in (plugins or "").split(",") if part)
    if kind in (None, "problems"):
        from harness.problems import PROBLEMS

        problems = [PROBLEMS.get(name) for name in PROBLEMS.names()]
        table("problems", [(p.name, f"{p.dimension}D", ", ".join(p.sections), p.formula) for p in problems])
    if kind in (None, "models"):
        table("models", [(name, FAMILIES.get(name).summary) for name in FAMILIES.names()])
    if kind in (None, "presets"):
        table("presets", [(name, summary(name)) for name in names()])
    if kind in (None, "suites"):
        from harness import suites

        table("suites", [(name, suites.load(name).summary) for name in suites.names()])
    if kind in (None, "criteria"):
        from reports.criteria import CRITERIA

        criteria = [CRITERIA.get(name) for name in CRITERIA.names()]
        table("criteria", [(each.id, each.threshold, each.sentence) for each in criteria])
    if kind in (None, "studies"):
        from studies.catalogue import STUDIES

        table("studies", [(name, STUDIES.get(name).model, STUDIES.get(name).summary) for name in STUDIES.names()])


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns under a title; the last column may be long."""
    click.echo(title)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        click.echo("  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]))


@cli.command("doctor")
@click.option("--fix", is_flag=True, help="Close the runs whose process is gone, as interrupted.")
def doctor_command(fix: bool) -> int:
    """Versions, devices, whether the store can be used, and runs that were left unfinished."""
    from harness.doctor import examine

    healthy = True
    for check in examine(fix=fix):
        click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}: {check.finding}")
        healthy &= check.ok
    return 0 if healthy else 1
