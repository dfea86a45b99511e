"""Every door at once: whatever can't be used is one sentence that names the field, exit code 2, and nothing else.

A table: what is typed, the files that are there, and the words that the sentence must have. The rows for bounds, words,
numbers and switches come from the fields' own declarations, so a new field has its rows; the others are written by hand.
All are given to the real command line, in this process and in an empty folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import annotated_types as bounds
import pytest

from harness import cli
from harness.config import RunConfig, fields_of
from harness.execution.benchmark_config import OWN, BenchmarkConfig
from harness.execution.executors import ExecutorConfig
from harness.execution.executors.dask import DaskConfig
from harness.families import FAMILIES
from harness.methods import owners
from studies.study_config import ExportConfig, StudyConfig
from tests.support import MODELS

Captured = pytest.CaptureFixture[str]


class Door(NamedTuple):
    """What is typed, the words that the sentence must have, and the files that are there before."""

    arguments: tuple[str, ...]
    words: tuple[str, ...]
    files: Mapping[str, str | bytes] = {}

    def __str__(self) -> str:
        typed = " ".join(self.arguments)
        return re.sub(r"[^ -~]", "?", typed if len(typed) < 90 else f"{typed[:80]}...")


def door(typed: str, *words: str, **files: str | bytes) -> Door:
    """A row whose arguments have no spaces in them; a file ``suite`` is that of ``s.yaml``, ``plugin`` of ``p.py``."""
    names = {"suite": "s.yaml", "plugin": "p.py", "out": "out"}
    return Door(tuple(typed.split()), words, {names[name]: content for name, content in files.items()})


def of_fields(command: tuple[str, ...], fields: Mapping[str, Any]) -> Iterator[Door]:
    """The rows of each field: below and above its bounds, no number, not finite, an unknown word, an unclear switch."""
    for name, info in fields.items():
        owner = next(iter(owners(name)), None)
        with_owner = (*command, "--optimizer", owner) if owner and "study" not in command else command

        def row(value: object, *words: str, base: tuple[str, ...] = with_owner, name: str = name) -> Door:
            return Door((*base, f"--{name}", str(value)), (name, repr(str(value)), *words))

        if name in ("workers", "max_memory"):
            continue  # checked as a whole: written by hand below
        types = {info.annotation, *get_args(info.annotation)} - {type(None)}
        for bound in info.metadata:
            match bound:
                case bounds.Ge(limit):
                    yield row(limit - 1, "greater than or equal to")  # type: ignore[operator]  # a number
                case bounds.Gt(limit):
                    yield row(limit, f"greater than {limit:g}")
                case bounds.Le(limit):
                    yield row(2 * limit + 1, "less than or equal to")  # type: ignore[operator]  # a number
                case bounds.Lt(limit):
                    yield row(limit, "less than")
        if int in types:
            yield row("1.5", "integer")
            yield row("many", "integer")
        elif float in types:
            yield row("nan", "finite")
            yield row("1e400", "finite")
            yield row("much", "number")
        elif info.annotation is bool:
            yield row("banana", "true or false")
        for literal in (each for each in types if get_origin(each) is Literal):
            first = str(get_args(literal)[0])
            yield row(f"{first}x", repr(first), "did you mean")
            yield row("0", repr(first))


def generated() -> Iterator[Door]:
    """The rows of every field of every command."""
    yield from of_fields(("run",), fields_of(RunConfig))
    seen = set(fields_of(RunConfig))
    for model in MODELS:
        fields = FAMILIES.get(model).config.model_fields
        yield from of_fields(("run", "--model", model), {n: f for n, f in fields.items() if n not in seen})
        seen |= set(fields)
    own = {n: f for n, f in BenchmarkConfig.model_fields.items() if n in OWN}
    yield from of_fields(("benchmark",), own | ExecutorConfig.model_fields)
    own = {n: f for n, f in DaskConfig.model_fields.items() if n not in ExecutorConfig.model_fields}
    yield from of_fields(("benchmark", "--executor", "dask"), own)
    own = {n: f for n, f in StudyConfig.model_fields.items() if n not in ("where", "fields", "given")}
    yield from of_fields(("study",), own | {n: ExecutorConfig.model_fields[n] for n in ("threads",)})
    yield from of_fields(("study", "export"), ExportConfig.model_fields)


def suite(text: str, line: int, *words: str) -> Door:
    """A suite file, and the line and the words of the sentence."""
    return door("benchmark --suite s.yaml --dry-run", f"s.yaml, line {line}: ", *words, suite=text)


HEAD = "summary: Mine.\nproblems: [poisson_1d_sin]\n"

WRITTEN = [
    # The form of what is typed.
    door("run -epochs 3", "'-epochs'", "--name value"),
    door("run --", "'--'", "--name value"),
    door("run -- --epochs 3", "'--'", "--name value"),
    door("run siren", "'siren'", "--name value"),
    door("run -P lr=1", "'-P'", "--name value"),
    door("run -e 3", "'-e'", "--name value"),
    door("run --=3", "'--=3'", "--name value"),
    door("run ---lr 3", "'---lr'", "--name value"),
    door("run --lr", "lr has no value"),
    door("run --lr --epochs 3", "lr has no value"),
    door("run --lr 1 --lr 2", "lr is given twice"),
    door("run --lr 1 --lr=1", "lr is given twice"),
    door("run --n-train 50 --n_train 50", "n_train is given twice"),
    door("run --explain=banana", "explain = 'banana'", "true or false"),
    door("run --explain banana", "explain = 'banana'", "true or false"),
    door("run --explain=", "explain = ''", "true or false"),
    door("run --explain --explain", "explain is given twice"),
    door("run --explain --epochs 0", "epochs = '0'"),
    door("run --explain --widht 3", "widht", "did you mean 'width'"),
    door("run --explain --problem poisson_2d_sni", "problem = 'poisson_2d_sni'", "did you mean"),
    door("run --help=3", "help", "not a field"),
    Door(("run", "--lr", "1 000"), ("lr = '1 000'", "number")),
    Door(("run", "--lr", "0,1"), ("lr = '0,1'", "number")),
    Door(("run", "--lr", ""), ("lr = ''",)),
    Door(("run", ""), ("''", "--name value")),
    Door(("run", "--", "x"), ("'--'", "--name value")),
    Door(("run", "--a b", "3"), ("'--a b'", "--name value")),
    door("benchmark -suite section1", "'-suite'", "--name value"),
    door("benchmark -h3", "'-h3'", "--name value"),
    door("benchmark --", "'--'", "--name value"),
    door("benchmark section1", "'section1'", "--name value"),
    door("benchmark --suite", "suite has no value"),
    door("benchmark --seeds --force", "seeds has no value"),
    door("benchmark --force --force", "force is given twice"),
    door("benchmark --dry-run=maybe", "dry_run = 'maybe'", "true or false"),
    door("benchmark --dry-run perhaps", "dry_run = 'perhaps'", "true or false"),
    door("study --", "'--'", "--name value"),
    door("study exprot", "'exprot'", "--name value"),
    door("study -trials 3", "'-trials'", "--name value"),
    door("study --trials", "trials has no value"),
    door("study --resume=later", "resume = 'later'", "true or false"),
    door("study export --", "'--'", "--name value"),
    door("study export export", "'export'", "--name value"),
    door("study export -h2", "'-h2'", "--name value"),
    door("rnu", "'rnu'"),
    door("list nonsense", "'nonsense'", "problems"),
    door("list problems models", "models"),
    door("list --plugins nowhere.py", "plugins = 'nowhere.py'"),
    door("list --plugins", "--plugins"),
    door("doctor --fxi", "--fxi"),
    door("doctor now", "now"),
    # What a terminal would obey, or nobody would read.
    Door(("run", "--lr", "\x1b[31mred"), ("lr = ", "\\x1b[31mred")),
    Door(("run", "--\x1b[31m", "3"), ("\\x1b[31m",)),
    Door(("run", "--lr", "1\n2"), ("lr = ", "1\\n2")),
    Door(("run", "--lr", "1\r2"), ("lr = ", "1\\r2")),
    Door(("run", "--lr", "\u202e3"), ("lr = ", "\\u202e3")),
    Door(("run", "--lr", "\udc80"), ("lr = ", "\\udc80")),
    Door(("run", "--model", "a\nb"), ("model = ", "a\\nb")),
    Door(("run", "--problem", "\x07"), ("problem = ", "\\x07")),
    Door(("run", "--preset", "\x9b1m"), ("preset = ", "\\x9b1m")),
    Door(("run", "--seed", "٣"), ("seed = '٣'", "integer")),
    Door(("run", "--lr", "１"), ("lr = '１'", "number")),
    Door(("run", "--device", "cuda:٣"), ("device = 'cuda:٣'", "cuda:N")),
    Door(("run", "--lr", "x" * 100_000), ("lr = ", "100000 characters")),
    Door(("run", "--model", "x" * 100_000), ("model = ", "100000 characters")),
    Door(("run", "--problem", "x" * 100_000), ("problem = ", "100000 characters")),
    Door(("run", "--" + "x" * 100_000, "3"), ("characters",)),
    Door(("run", "--seed", "1" * 5000), ("seed = ", "5000 characters")),
    Door(("\x1b[31m",), ("\\x1b[31m",)),
    Door(("list", "\x1b[31m"), ("\\x1b[31m",)),
    Door(("doctor", "--\x1b[31m"), ("\\x1b[31m",)),
    Door(("report", "--tag", "\x1b[31m"), ("tag = ", "\\x1b[31m")),
    # Names.
    door("run --model sirne", "model = 'sirne'", "did you mean 'siren'"),
    door("run --model zzz", "model = 'zzz'", "allowed: "),
    Door(("run", "--model", ""), ("model = ''", "allowed: ")),
    door("run --model SIREN", "model = 'SIREN'", "siren"),
    door("run --problem poisson_2d_sni", "problem = 'poisson_2d_sni'", "did you mean"),
    door("run --problem section1_2", "problem = 'section1_2'"),
    door("run --preset tunde", "preset = 'tunde'", "did you mean 'tuned'"),
    door("run --preset ../tuned", "preset = '../tuned'"),
    door("run --preset tuned,lm", "preset = 'tuned,lm'"),
    door("run --widht 5", "widht = '5'", "did you mean 'width'"),
    door("run --LR 5", "LR = '5'", "lr"),
    door("run --fields 5", "fields = '5'", "not a field"),
    door("run --workers 2", "workers = '2'", "not a field"),
    door("run --suite smoke", "suite = 'smoke'", "not a field"),
    # Fields of another model or another optimizer, and values that do not go together.
    door("run --model mlp --omega0 30", "omega0 = '30'", "belongs to siren"),
    door("run --model siren --grids 5", "grids = '5'", "kan"),
    door("run --model kan --lamb 1", "lamb = '1'", "kan_pruned"),
    door("run --model mlp --features 4", "features = '4'", "mlp_fourier"),
    door("run --model kan --activation tanh", "activation = 'tanh'", "mlp"),
    door("run --optimizer lbfgs --clip 1", "clip = '1'", "optimizer=adam"),
    door("run --optimizer lbfgs --damping 1", "damping = '1'", "optimizer=lm"),
    door("run --optimizer lm --lr 1", "lr = '1'", "optimizer=adam", "optimizer=lbfgs"),
    door("run --optimizer adam --iterations 5", "iterations = '5'", "optimizer=lbfgs"),
    door("run --optimizer lm --history 5", "history = '5'", "optimizer=lbfgs"),
    door("run --optimizer lbfgs --iterations none", "iterations = 'none'", "needs a number"),
    door("run --optimizer adam --lr none", "lr = 'none'", "needs a number"),
    door("run --model kan --grids 5,3", "grids = '5,3'", "finer"),
    door("run --model kan --grids 5,5", "grids = '5,5'", "finer"),
    door("run --model kan --grids x", "grids", "'x'", "integer"),
    door("run --model kan --grids 3,0", "grids", "'0'", "item 2", "greater than or equal to 1"),
    door("run --model kan --grids 3,1.5", "grids", "'1.5'", "item 2", "integer"),
    door("run --model kan --grids=", "grids", "at least 1 item"),
    door("run --model kan --grids ,", "grids = ','"),
    door("run --model kan_pruned --grids 5 --retrain_grids 5", "retrain_grids = '5'", "finer"),
    door("run --model kan_pruned --retrain_grids 0", "retrain_grids", "'0'", "greater than or equal to 1"),
    door("run --model kan_pruned --epochs 2", "epochs = 2", "at least"),
    # Where a run computes.
    door("run --device gpu", "device = 'gpu'", "cuda:N"),
    door("run --device cuda:77", "device = 'cuda:77'", "cpu"),
    door("run --device cuda:300", "device = 'cuda:300'"),
    door("run --device cuda:-1", "device = 'cuda:-1'", "cuda:N"),
    door("run --device CPU", "device = 'CPU'", "cpu"),
    door("run --threads 1000", "threads = 1000", "cores"),
    door("benchmark --threads 1000", "threads = 1000", "cores"),
    door("benchmark --threads 1000 --dry-run", "threads = 1000", "cores"),
    door("study --threads 1000", "threads = 1000", "cores"),
    door("benchmark --workers 1000", "workers = 1000", "cores"),
    door("benchmark --workers 0", "workers = ", "from 1 to 100000, or auto"),
    door("benchmark --workers -1", "workers = ", "from 1 to 100000, or auto"),
    door("benchmark --workers many", "workers = 'many'", "from 1 to 100000, or auto"),
    door("benchmark --workers 1.5", "workers = '1.5'", "from 1 to 100000, or auto"),
    door("study --workers none", "workers = 'none'", "from 1 to 100000, or auto"),
    door("benchmark --max_memory lots", "max_memory = 'lots'", "256M"),
    door("benchmark --max_memory 9999T", "max_memory = '9999T'", "1024T"),
    door("benchmark --max_memory 1M", "max_memory = '1M'", "256M"),
    door("benchmark --max_memory -2G", "max_memory = '-2G'"),
    Door(("benchmark", "--max_memory", "9" * 400), ("max_memory = ", "256M")),
    door("benchmark --executor processx", "executor = 'processx'", "did you mean 'process'"),
    door("benchmark --executor 0", "executor = '0'", "dask, process"),
    door("benchmark --scheduler tcp://x:1", "scheduler = 'tcp://x:1'", "executor=dask"),
    door("benchmark --cluster pbs", "cluster = 'pbs'", "executor=dask"),
    door("benchmark --cluster_config x.yaml", "cluster_config = 'x.yaml'", "executor=dask"),
    door("benchmark --executor dask --cluster pbs", "workers = 'auto'", "cluster"),
    door("benchmark --executor dask --cluster_config x.yaml", "cluster_config = 'x.yaml'", "cluster="),
    door(
        "benchmark --executor dask --cluster pbs --workers 2 --scheduler tcp://x:1",
        "cluster = 'pbs'",
        "give one of them",
    ),
    # What can't fit.
    door("run --model mlp --width 100000", "width = 100000", "20,0", "parameters", "GiB"),
    door("run --model siren --width 100000 --depth 100", "width = 100000", "parameters", "GiB"),
    door("run --model mlp_fourier --features 100000 --width 100000", "features = 100000", "parameters", "GiB"),
    door("run --model kan --width 10000 --depth 100", "width = 10000", "parameters", "GiB"),
    door("run --model kan --grids 1000000000000", "grids = 1000000000000", "parameters", "GiB"),
    door("run --model kan_pruned --retrain_grids 1000000000000", "retrain_grids = 1000000000000", "GiB"),
    door("run --model mlp --n_train 10000000 --width 1000 --depth 100", "n_train = 10000000", "GiB"),
    door("run --model mlp --optimizer lbfgs --history 1000 --width 10000", "width = 10000", "history = 1000", "GiB"),
    door("run --n_train 1000000000", "n_train = '1000000000'", "less than or equal to 10000000"),
    door("benchmark --n_train 1000000000 --dry-run", "n_train = '1000000000'", "less than or equal to"),
    door("benchmark --seeds 1000000", "seeds = 1000000", ",000,000 cells", "100,000"),
    door("benchmark --seeds 1000000 --dry-run", "seeds = 1000000", ",000,000 cells", "100,000"),
    door("study --seeds 10000 --problem section1_1,section1_2,section1_3", "seeds = 10000", "150,000 runs", "100,000"),
    suite(HEAD + "fields: {depth: 100}\nvariants:\n  - {models: [mlp], fields: {width: 100000}}\n", 5, "width", "GiB"),
    suite(HEAD + "variants:\n  - {parameters: [10000000000000]}\n", 4, "parameters", "10000000000000"),
    suite(
        HEAD + "variants:\n  - {models: [kan], parameters: [1000000000]}\n",
        4,
        "parameters = 1000000000",
        "width",
        "less than",
    ),
    suite(
        HEAD
        + "variants:\n  - sweep:\n"
        + "".join(f"      {n}: [{', '.join(map(str, range(1, 101)))}]\n" for n in ("width", "depth", "n_val")),
        4,
        "sweep",
        "cells",
        "100,000",
    ),
    # What a benchmark and a study ask for.
    door("benchmark --suite secton1", "suite = 'secton1'", "did you mean 'section1'"),
    door("benchmark --suite nowhere.yaml", "suite = 'nowhere.yaml'", "can't be read"),
    door("benchmark --suite .yaml", "suite = '.yaml'", "can't be a name"),
    Door(("benchmark", "--suite", ""), ("suite = ''",)),
    Door(("benchmark", "--suite", "a\0b.yaml"), ("suite = ", "can't be a name")),
    Door(("benchmark", "--suite", "x" * 5000 + ".yaml"), ("suite = ", "can't be a name")),
    Door(("benchmark", "--suite", "x" * 5000 + "/s.yaml"), ("suite = ", "can't be read")),
    # What the others refuse: names, addresses.
    door("benchmark --suite it's.yaml", "suite = ", "can't be a name"),
    door("study --first_seed 9998 --seeds 3", "first_seed = 9998", "kept for reporting"),
    door("study export --first_fresh 10009", "first_fresh = 10009", "kept for reporting"),
    door("study --storage redis://here", "storage = 'redis://here'", "journal file"),
    door("study --storage sqlite:///nowhere/studies.db", "storage = ", "nowhere"),
    door("study --storage sqlite://", "storage = 'sqlite://'"),
    door("study --storage http://[::bad", "storage = 'http://[::bad'"),
    door("study --name a/b", "name = 'a/b'", "can't be a name"),
    door("benchmark --executor dask --scheduler nonsense", "scheduler = 'nonsense'"),
    door("benchmark --executor dask --scheduler tcp://x:notaport", "scheduler = 'tcp://x:notaport'"),
    door("benchmark --models sirne", "model = 'sirne'", "did you mean 'siren'"),
    door("benchmark --models ,", "models = ','"),
    door("benchmark --models siren,,kna", "model = 'kna'"),
    door("benchmark --suite seed_matrix --models mlp_fourier", "models = ", "leaves nothing"),
    door("benchmark --preset tunde", "preset = 'tunde'", "did you mean 'tuned'"),
    door("benchmark --preset tuned,best", "preset = 'best'", "allowed"),
    door("benchmark --model siren", "model = 'siren'", "decided by the suite"),
    door("benchmark --problem poisson_1d_sin", "problem = ", "decided by the suite"),
    door("benchmark --seed 3", "seed = '3'", "decided by the suite"),
    door("benchmark --omega0 3", "omega0 = '3'", "field of siren, wire, finer only"),
    door("benchmark --worker 3", "worker = '3'", "did you mean 'workers'"),
    door("benchmark --epochs none", "epochs = 'none'"),
    door("benchmark --optimizer lm --clip 1", "clip = '1'", "optimizer=adam"),
    door("benchmark --plugins nowhere.py", "plugins = 'nowhere.py'"),
    door("benchmark --plugins no.such.module", "plugins = 'no.such.module'"),
    door("benchmark --plugins ..", "plugins = '..'"),
    door("benchmark --fields 3", "fields = '3'", "not a field"),
    door("run --plugins nowhere.py", "plugins = 'nowhere.py'"),
    door("run --plugins p.py", "plugins = 'p.py'", "SyntaxError", plugin="def\n"),
    door("run --plugins p.py", "plugins = 'p.py'", "ZeroDivisionError", plugin="1 / 0\n"),
    door("run --plugins p.py", "plugins = 'p.py'", "line 1", plugin="raise SystemExit(3)\n"),
    Door(("run", "--plugins", "a\0b.py"), ("plugins = ",)),
    door("study --study sirne", "study = 'sirne'", "did you mean 'siren'"),
    door("study --problem poisson_1d_sni", "problem", "'poisson_1d_sni'", "did you mean"),
    door("study --problem ,", "problem = ','"),
    door("study --suite poison", "suite = 'poison'", "did you mean 'poisson'"),
    door("study --suite smoke --problem poisson_1d_sin", "suite = 'smoke'", "problem", "give one of them"),
    door("study --preset tunde", "preset = 'tunde'", "did you mean 'tuned'"),
    door("study --model mlp", "model = 'mlp'", "decided by the study"),
    door("study --seed 3", "seed = '3'", "decided by the study"),
    door("study --lr 0.1", "lr = '0.1'", "searched by study 'siren'"),
    door("study --grids 5", "grids = '5'", "not a field of model 'siren'"),
    door("study --trails 3", "trails = '3'", "did you mean 'trials'"),
    door("study --where 3", "where = '3'", "not a field"),
    door("study --given 3", "given = '3'", "not a field"),
    door("study --study kan --epochs 2", "epochs = 2", "too few"),
    door("study --plugins nowhere.py", "plugins = 'nowhere.py'"),
    door("study export --study sirne", "study = 'sirne'", "did you mean"),
    door("study export --to nowhere/p.yaml", "to = 'nowhere/p.yaml'", "can't be written"),
    door("study export --to .", "to = '.'", "can't be written"),
    door("study export --first_fresh 1", "first_fresh = 1", "not fresh"),
    # Reports.
    door("report", "no store"),
    Door(("report", "--out", ""), ("out = ''",)),
    door("report --out out", "out = 'out'", "can't be written", out="a file"),
    door("report --out out/below", "out = 'out/below'", "can't be written", out="a file"),
    Door(("report", "--out", "a\0b"), ("out = ", "can't be written")),
    Door(("report", "--out", "x" * 5000), ("out = ", "can't be written")),
    door("report --tag alice", "tag = 'alice'", "--tag name=value"),
    door("report --tag =alice", "tag = '=alice'", "--tag name=value"),
    door("report --tag", "--tag"),
    door("report --tag a=1 --tag b=2", "tag", "given twice"),
    door("report --benchmark a --benchmark b", "benchmark", "given twice"),
    door("report --out a --out b", "out", "given twice"),
    door("report --benchmark a --experiment b", "benchmark and experiment"),
    door("report --benchmark a --tag b=c", "benchmark and tag"),
    door("report --ui here", "ui = 'here'", "http://"),
    door("report --ui http://", "ui = 'http://'", "http://"),
    door("report --ui http://[::bad", "ui = 'http://[::bad'", "http://"),
    door("report --ui ftp://here", "ui = 'ftp://here'", "http://"),
    door("report --preset ,", "preset = ','"),
    door("report --strict=3", "--strict"),
    door("report --strcit", "--strcit"),
    door("report nonsense", "'nonsense'"),
    door("report --plugins nowhere.py", "plugins = 'nowhere.py'"),
    door("report compare", "A"),
    door("report compare a", "B"),
    door("report compare a b", "no store"),
    door("report compare a b c", "(c)"),
    Door(("report", "compare", "a", "b", "--out", ""), ("out = ''",)),
    door("report compare a b --out nowhere/c.md", "out = 'nowhere/c.md'", "can't be written"),
    # Suites.
    suite("", 1, "mapping"),
    suite("# nothing\n", 1, "mapping"),
    suite("- just\n- a list\n", 1, "mapping"),
    suite("words\n", 1, "mapping"),
    suite("summary: x\n\tproblems: y\n", 2, "YAML"),
    suite("summary: x\nproblems: [a\n", 3, "YAML"),
    suite("summary: 'x\n", 2, "YAML"),
    suite("summary: x\n---\nsummary: y\n", 2, "one document"),
    suite("summary: x\0y\n", 1, "YAML"),
    suite("summary: x\nsummary: y\nproblems: [poisson_1d_sin]\n", 2, "summary", "twice"),
    suite(HEAD + "fields:\n  epochs: 3\n  epochs: 4\n", 5, "epochs", "twice"),
    suite(HEAD + "variants:\n  - models: [siren]\n    models: [kan]\n", 5, "models", "twice"),
    suite(HEAD + "fields: {1: 2}\n", 3, "1", "name"),
    suite(HEAD + "on: 2\n", 3, "name"),
    suite(HEAD + "fields: {[a, b]: 2}\n", 3, "name"),
    suite(HEAD + "fields: {epochs: !!python/name:os.system x}\n", 3, "YAML"),
    suite(HEAD + "fields: {epochs: 2024-13-45}\n", 3, "epochs"),
    suite(HEAD + f"fields: {{epochs: {'1' * 5000}}}\n", 3, "epochs"),
    suite(HEAD + "fields: {epochs: !!int x}\n", 3, "epochs"),
    suite(HEAD + "fields: {epochs: *unknown}\n", 3, "YAML"),
    suite(HEAD + "fields:\n" + "".join("  " * n + f"  a{n}:\n" for n in range(60)), 23, "deep"),
    suite(HEAD + "fields: " + "[" * 5000 + "]" * 5000 + "\n", 3, "deep"),
    suite(HEAD + "fields: " + "{a: " * 5000 + "}" * 5000 + "\n", 3, "deep"),
    suite(HEAD + "fields: &a {epochs: *a}\n", 3, "itself"),
    suite(
        HEAD + "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        7,
        "too much",
    ),
    suite(HEAD + "model: siren\n", 3, "model", "no such field"),
    suite(HEAD + "variant: []\n", 3, "variant", "did you mean 'variants'"),
    suite("problems: [poisson_1d_sin]\n", 1, "summary"),
    suite("summary: x\n", 1, "problems"),
    suite("summary: x\nproblems: []\n", 2, "problems", "at least 1"),
    suite("summary: x\nproblems: poisson_1d_sin\n", 2, "problems", "list"),
    suite("summary: x\nproblems: {a: 1}\n", 2, "problems", "list"),
    suite("summary: x\nproblems: [3]\n", 2, "problems", "string"),
    suite("summary: 3\nproblems: [poisson_1d_sin]\n", 1, "summary", "string"),
    suite("summary: x\nproblems:\n  - poisson_1d_sin\n  - poison\n", 2, "problems = 'poison'"),
    suite(HEAD + "preset: tunde\n", 3, "preset = 'tunde'", "did you mean 'tuned'"),
    suite(HEAD + "preset: [tuned]\n", 3, "preset", "string"),
    suite(HEAD + "fields: [epochs]\n", 3, "fields", "mapping"),
    suite(HEAD + "fields: {epoch: 3}\n", 3, "epoch = 3", "did you mean 'epochs'"),
    suite(HEAD + "fields:\n  n_val: 20\n  epochs: 0\n", 5, "epochs = 0", "greater than or equal to 1"),
    suite(HEAD + "fields: {epochs: many}\n", 3, "epochs = 'many'", "integer"),
    suite(HEAD + "fields: {epochs: [3]}\n", 3, "epochs = [3]", "integer"),
    suite(HEAD + "fields: {epochs: {a: 3}}\n", 3, "epochs", "integer"),
    suite(HEAD + "fields: {epochs: null}\n", 3, "epochs = None", "integer"),
    suite(HEAD + "fields: {sigma: .nan}\nvariants: [{models: [mlp_fourier]}]\n", 3, "sigma = nan", "finite"),
    suite(HEAD + "fields: {standardise: maybe}\n", 3, "standardise = 'maybe'", "true or false"),
    suite(HEAD + "fields: {optimizer: sgd}\n", 3, "optimizer = 'sgd'", "allowed: adam, lbfgs, lm"),
    suite(HEAD + "fields: {optimizer: lm, clip: 1}\n", 3, "clip = 1", "optimizer=adam"),
    suite(HEAD + "fields: {omega0: 3}\n", 3, "omega0 = 3", "siren"),
    suite(HEAD + "fields: {seed: 3}\n", 3, "seed", "decided"),
    suite(HEAD + "fields: {model: siren}\n", 3, "model", "decided"),
    suite(HEAD + "fields: {problem: poisson_1d_sin}\n", 3, "problem", "decided"),
    suite(HEAD + "fields: {threads: 2}\n", 3, "threads", "decided"),
    suite(HEAD + "variants: []\n", 3, "variants", "at least 1"),
    suite(HEAD + "variants: {models: [siren]}\n", 3, "variants", "list"),
    suite(HEAD + "variants: [siren]\n", 3, "variants", "mapping"),
    suite(HEAD + "variants:\n  - models: [siren]\n  - sweeps: {a: [1]}\n", 5, "sweeps", "did you mean 'sweep'"),
    suite(HEAD + "variants:\n  - models: siren\n", 4, "models", "list"),
    suite(HEAD + "variants:\n  - models: [kna]\n", 4, "model = 'kna'", "did you mean 'kan'"),
    suite(HEAD + "variants:\n  - models: [kan]\n    fields:\n      grids: [5, 3]\n", 6, "grids = ", "finer"),
    suite(HEAD + "variants:\n  - models: [kan]\n    fields:\n      grids: 5\n", 6, "grids = 5", "list"),
    suite(HEAD + "variants:\n  - models: [siren]\n    fields: {grids: [5]}\n", 5, "grids", "kan"),
    suite(HEAD + "variants:\n  - sweep: {epochs: []}\n", 4, "epochs", "at least 1"),
    suite(HEAD + "variants:\n  - sweep: {epochs: 3}\n", 4, "epochs", "list"),
    suite(HEAD + "variants:\n  - sweep:\n      epochs: [3, 0]\n", 5, "epochs = 0", "greater than or equal to 1"),
    suite(HEAD + "variants:\n  - sweep: {epoch: [3]}\n", 4, "epoch = 3", "did you mean 'epochs'"),
    suite(HEAD + "variants:\n  - sweep: {seed: [3]}\n", 4, "seed", "decided"),
    suite(HEAD + "variants:\n  - sweep: {preset: [lm]}\n", 4, "preset", "decided"),
    suite(HEAD + "variants:\n  - parameters: [0]\n", 4, "parameters", "greater than or equal to 1"),
    suite(HEAD + "variants:\n  - parameters: [-5]\n", 4, "parameters", "greater than or equal to 1"),
    suite(HEAD + "variants:\n  - parameters: [many]\n", 4, "parameters", "integer"),
    suite(HEAD + "variants:\n  - parameters: [1.5]\n", 4, "parameters", "integer"),
    suite(HEAD + "variants:\n  - parameters: 150\n", 4, "parameters", "list"),
    suite(HEAD + "variants:\n  - {parameters: [150], fields: {width: 3}}\n", 4, "width", "parameters"),
    suite(HEAD + "variants:\n  - {parameters: [150], sweep: {width: [3]}}\n", 4, "width", "parameters"),
    door("benchmark --suite s.yaml", "suite = 's.yaml'", "can't be read", suite=b"summary: \xff\xfe\n"),
    Door(("benchmark", "--suite", "d.yaml"), ("suite = 'd.yaml'", "can't be read"), {"d.yaml/x": ""}),
    door("benchmark --suite s.yaml --epochs 0", "epochs = '0'", "greater than or equal to 1", suite=HEAD),
    door("study --suite s.yaml", "s.yaml, line 3: ", "epoch = 3", suite=HEAD + "fields: {epoch: 3}\n"),
    door("study --suite s.yaml", "s.yaml, line 3: ", "twice", suite=HEAD + "summary: y\n"),
]

TABLE = [*generated(), *WRITTEN]


def everything_below(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def given(arguments: tuple[str, ...], capsys: Captured) -> tuple[object, str, str]:
    """The exit code, and what stands on standard output and on standard error."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code, *capsys.readouterr()


def test_the_table_is_long() -> None:
    assert len(TABLE) >= 250
    assert len({(each.arguments, *each.files.items()) for each in TABLE}) == len(TABLE), "a row stands in it twice"


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_what_can_not_be_used_is_one_sentence_exit_code_2_and_nothing_else(
    case: Door, outside: Path, capsys: Captured
) -> None:
    for name, content in case.files.items():
        path = outside / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    before = everything_below(outside)
    code, out, err = given(case.arguments, capsys)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"harness: [^\n]+\n", err)
    assert len(err) < 1000
    assert err[:-1].isprintable()
    assert "Traceback" not in err
    for word in case.words:
        assert word in err
    assert everything_below(outside) == before
