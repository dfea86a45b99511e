"""Loss and gradient of a KAN: this project's against every other KAN that is installed, at sizes that users have.

    pip install -r benchmarks/peers.txt          # flashkan compiles with a C++ compiler, and so does inkan
    OMP_NUM_THREADS=1 python benchmarks/kan_peers.py [--rounds 7] [--cases a,b,c,d]

One thread, and a process for each network and type. All take the same points and the mean squared error of a network of the
same layers, grid and degree; they alternate, and a time is the median over the rounds of the CPU time of as many evaluations
as fit into 0.2 s; one that takes above a second is timed once. The points of (a), (b), (c) stay the same, as in full-batch
training; those of (d) are another mini-batch each time. pykan's network has its symbolic part and its recording off. Memory
is what the resident set of a fresh process grows by, at its peak, in one evaluation of (c), after the first; Linux says it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from measuring import loss_and_gradient, megabytes, milliseconds
from torch import Tensor

from harness.data import Sample
from harness.models import KAN, Regressor
from harness.models.interface import at
from harness.training.rows import Fit


class Case(NamedTuple):
    """A network and its points."""

    sizes: list[int]
    grid: int
    points: int
    fixed: bool


CASES = {
    "a": Case([2, 5, 1], 20, 1_000, True),
    "b": Case([2, 10, 10, 1], 50, 4_000, True),
    "c": Case([8, 16, 16, 1], 20, 10_000, True),
    "d": Case([64, 64, 10], 8, 2_048, False),
}
BATCHES = 4
SLOW = 1_000.0
"""Milliseconds."""
FILE = str(Path(__file__).resolve())
Evaluate = Callable[[], Any]
Data = list[tuple[Tensor, Tensor]]


def of_torch(network: Callable[[Tensor], Tensor], parameters: list[Tensor], data: Data) -> Evaluate:
    """Loss and gradient at the next batch."""
    turn = [0]

    def evaluate() -> tuple[Tensor, ...]:
        x, y = data[turn[0] % len(data)]
        turn[0] += 1
        return torch.autograd.grad((network(x) - y).square().mean(), parameters)

    return evaluate


def ours(case: Case, data: Data) -> Evaluate:
    """Of this project, at points that stay the same where they do; the grid of hidden layers is fitted to what reaches them."""
    network = KAN(case.sizes, case.grid, 3, 0.3, torch.Generator().manual_seed(0)).to(data[0][0].dtype)
    network.update_grid(data[0][0])
    model, parameters = Regressor(network, -1.0, 1.0, dtype=data[0][0].dtype), list(network.parameters())

    def fit(x: Tensor, y: Tensor) -> Fit:
        return Fit(model, Sample(x, y), x, at(network, x))

    fixed = fit(*data[0]) if case.fixed else None
    turn = [0]

    def evaluate() -> Tensor:
        turn[0] += 1
        return loss_and_gradient(fit(*data[turn[0] % len(data)]) if fixed is None else fixed, parameters)

    return evaluate


def flashkan(case: Case, data: Data) -> Evaluate:
    """A compiled dense basis and one product a layer."""
    from flashkan import KANNetwork

    network = KANNetwork(case.sizes, grid_size=case.grid).to(data[0][0].dtype)
    return of_torch(network, list(network.parameters()), data)


def inkan(case: Case, data: Data) -> Evaluate:
    """A compiled local basis."""
    from inkan import KANNetwork

    network = KANNetwork(case.sizes, grid_size=case.grid).to(data[0][0].dtype)
    return of_torch(network, list(network.parameters()), data)


def pykan(case: Case, data: Data) -> Evaluate:
    """The paper's."""
    import kan

    torch.set_default_dtype(data[0][0].dtype)
    with contextlib.redirect_stdout(io.StringIO()):
        network = kan.KAN(width=list(case.sizes), grid=case.grid, k=3, auto_save=False, symbolic_enabled=False)
    network.save_act = False
    parameters = [p for layer in network.act_fun for p in (layer.coef, layer.scale_base, layer.scale_sp)]
    return of_torch(network, parameters, data)


def jaxkan(case: Case, data: Data, layer: str = "base") -> Evaluate:
    """Under jit; the layer "base" is faster on small networks, "spline" on large ones."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxkan.models.KAN
    from flax import nnx

    network = jaxkan.models.KAN.KAN(case.sizes, layer, {"k": 3, "G": case.grid}, 0)
    dtype = str(data[0][0].dtype).removeprefix("torch.")

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating) else leaf

    graph, *states = nnx.split(network, nnx.Param, ...)
    parameters, rest = (jax.tree.map(cast, state) for state in states)

    def gradient(parameters: Any, x: Any, y: Any) -> Any:
        def loss(parameters: Any) -> Any:
            return ((nnx.merge(graph, parameters, rest)(x) - y) ** 2).mean()

        return jax.value_and_grad(loss)(parameters)

    gradient = jax.jit(gradient)
    batches, turn = [tuple(jax.numpy.asarray(each.numpy()) for each in batch) for batch in data], [0]

    def evaluate() -> Any:
        turn[0] += 1
        return jax.block_until_ready(gradient(parameters, *batches[turn[0] % len(batches)]))

    return evaluate


SIDES: dict[str, Callable[[Case, Data], Evaluate]] = {
    "ours": ours,
    "flashkan": flashkan,
    "inkan": inkan,
    "jaxkan": jaxkan,
    "jaxkan spline": partial(jaxkan, layer="spline"),
    "pykan": pykan,
}


def batches(case: Case, dtype: torch.dtype, points: int | None = None) -> Data:
    """The points, evenly in [-1, 1], and any targets."""
    generator = torch.Generator().manual_seed(1)
    count = points or case.points

    def some(columns: int) -> Tensor:
        return (2 * torch.rand(count, columns, generator=generator, dtype=torch.float64) - 1).to(dtype)

    return [(some(case.sizes[0]), some(case.sizes[-1])) for _ in range(1 if case.fixed else BATCHES)]


def times(case: Case, dtype: torch.dtype, names: list[str], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, alternating."""
    data = batches(case, dtype)
    sides = {name: SIDES[name](case, data) for name in names}
    for evaluate in sides.values():
        evaluate()  # compiles
    found = {name: [milliseconds(evaluate)] for name, evaluate in sides.items()}
    for _ in range(rounds - 1):
        for name, evaluate in sides.items():
            if found[name][0] < SLOW:
                found[name].append(milliseconds(evaluate))
    return {name: statistics.median(values) for name, values in found.items()}


def memory(name: str) -> float:
    """MB that the resident set grows by, at its peak, in one evaluation of (c)."""
    command = [sys.executable, FILE, "--memory", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def grown(name: str) -> float:
    """The same in this process. The first evaluation, on few points, compiles."""
    case = CASES["c"]
    SIDES[name](case, batches(case, torch.float32, 64))()
    evaluate = SIDES[name](case, batches(case, torch.float32))
    evaluate()
    return megabytes(SIDES[name](case, batches(case, torch.float32)))


def installed() -> list[str]:
    """Ours, and those of the others that are there."""

    def is_there(name: str) -> bool:
        try:
            return bool(version(name.split()[0]))
        except PackageNotFoundError:
            return False

    return ["ours", *(name for name in SIDES if name != "ours" and is_there(name))]


def row(letter: str, dtype: torch.dtype, names: list[str], rounds: int) -> str:
    """A line of the table."""
    case = CASES[letter]
    found = times(case, dtype, names, rounds)
    best = min(names[1:], key=lambda name: found[name], default="ours")
    cells = [f"({letter}) {case.sizes} G {case.grid} N {case.points}", str(dtype).removeprefix("torch.")]
    cells += [f"{found[name]:.3g}" for name in names] + [best, f"{found[best] / found['ours']:.1f}x"]
    cells += [f"{found['pykan'] / found['ours']:.0f}x"] if "pykan" in names else []
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--one", nargs=2, metavar=("CASE", "DTYPE"), help="one line, in this process")
    parser.add_argument("--memory", metavar="NAME", help="the memory of one, in this process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        print(grown(options.memory))
        return
    names = installed()
    if options.one:
        letter, dtype = options.one
        print(row(letter, getattr(torch, dtype), names, options.rounds))
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ["torch", "numba", *names[1:]] if " " not in name)
    print(f"{platform.machine()}, one thread; {versions}; {options.rounds} rounds; CPU ms\n")
    head = ["case", "dtype", *names, "fastest other", "ratio"] + (["against pykan"] if "pykan" in names else [])
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for letter in options.cases.split(","):
        for dtype in ("float32", "float64"):
            one = [sys.executable, FILE, "--rounds", str(options.rounds), "--one", letter, dtype]
            print(
                subprocess.run(one, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout,
                end="",
                flush=True,
            )
    print(f"\nMemory of (c) in float32, MB: {', '.join(f'{name} {memory(name):.0f}' for name in names)}")


if __name__ == "__main__":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        main()
