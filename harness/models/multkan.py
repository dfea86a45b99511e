"""To and from pykan's ``MultKAN``: the format that users take away, and the source of diagrams and formulas.

The only module that imports pykan (0.2.8), and only when a function is called: the import takes seconds.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, NamedTuple

import numpy as np
import torch

from harness.errors import BadInput
from harness.models.bases.symbolic import SymbolicEdges
from harness.models.edges import Activations
from harness.models.kan import KAN

STATE = ("grid", "coef", "scale_base", "scale_sp", "mask")
"""What a layer of either network consists of, under the same names and with the same shapes."""


def from_multkan(multkan: Any) -> KAN:
    """The same function as a :class:`KAN`, a copy in the dtype and on the device of ``multkan``.

    Raises BadInput, naming the obstacle, when ``multkan`` has something that a KAN has not: multiplication nodes,
    symbolic edges, layers of different degrees, another base function than silu, affine nodes, pruned inputs.
    """
    _refuse(multkan)
    layers = list(multkan.act_fun)
    sizes = [layer.in_dim for layer in layers] + [layers[-1].out_dim]
    network = KAN(sizes, 1, layers[0].k, 0.0, torch.Generator()).to(layers[0].coef)
    network.load_state_dict(
        {f"layers.{i}.{name}": getattr(layer, name).detach() for i, layer in enumerate(layers) for name in STATE}
    )
    return network


def to_multkan(network: KAN) -> Any:
    """The same function as a ``MultKAN``, a copy in the dtype and on the device of ``network``.

    It writes no files (``auto_save=False``), and no generator of random numbers is touched. A float64 ``MultKAN`` can
    only compute attribution scores while float64 is the default dtype of torch.
    """
    layers = list(network)
    grids = [layer.intervals for layer in layers]
    with undisturbed_generators():
        from kan import MultKAN  # the import draws from `random`, too

        multkan = MultKAN(
            width=[layers[0].mask.shape[0], *(layer.mask.shape[1] for layer in layers)],
            grid=grids[0] if len(set(grids)) == 1 else grids,
            k=network.k,
            auto_save=False,
        )
    multkan = multkan.to(layers[0].coef.dtype).to(layers[0].coef.device)
    for theirs, ours in zip(multkan.act_fun, layers, strict=True):
        for name in STATE:
            getattr(theirs, name).data = getattr(ours, name).detach().clone()
    return multkan


class SymbolicEdge(NamedTuple):
    """A function for an edge: of the node ``input`` of a layer, for the node ``output`` of the next, counted from 0."""

    layer: int
    input: int
    output: int
    function: str
    """Its name in pykan's library."""
    r2: float
    """Coefficient of determination against the spline, of the function's first fit."""


def symbolic_edges(
    network: KAN,
    x: Activations,
    library: Sequence[str],
    weight_simple: float,
    go_on: Callable[[], None] = lambda: None,
) -> tuple[list[SymbolicEdges], list[SymbolicEdge]]:
    """What ``MultKAN.auto_symbolic`` makes of a network: its layers in float64 on the CPU, and each edge.

    An edge is ``c f(a x + b) + d`` with f from ``library`` (names in pykan's) and the ``affine`` parameters (a, b, c, d),
    fitted to its spline at the points ``x`` of the scaled inputs; an edge that is cut stays cut. ``weight_simple``, from
    0 to 1, weighs the simplicity of a function against its fit. ``go_on`` is called before each edge, and may raise to
    end it there. The network is not touched, nor is a generator of random numbers, no file is written, nothing printed.
    """
    multkan = to_multkan(network).to(torch.float64).to("cpu")
    edges: list[SymbolicEdge] = []
    suggest = multkan.suggest_symbolic

    def remember(layer: int, input: int, output: int, **how: Any) -> tuple[Any, ...]:  # noqa: A002  # as in the edge
        go_on()
        suggestion: tuple[Any, ...] = suggest(layer, input, output, **how)
        edges.append(SymbolicEdge(layer, input, output, suggestion[0], float(suggestion[2])))
        return suggestion

    # auto_symbolic asks this for every live edge: the one place where it can be ended early, and where R^2 is not only printed.
    multkan.suggest_symbolic = remember
    with undisturbed_generators(), redirect_stdout(io.StringIO()), torch.no_grad():
        multkan(x.to("cpu", torch.float64))  # the activations that it fits to
        multkan.auto_symbolic(lib=list(library), weight_simple=weight_simple, verbose=0)
    layers = []
    for number, (theirs, ours) in enumerate(zip(multkan.symbolic_fun, network, strict=True)):
        chosen = {(edge.input, edge.output): edge.function for edge in edges if edge.layer == number}
        affine = theirs.affine.detach().transpose(0, 1).clone()
        mask = ours.mask.detach().to("cpu", torch.float64).clone()
        n_in, n_out = mask.shape
        functions = [[chosen.get((i, j), library[0]) for j in range(n_out)] for i in range(n_in)]
        layers.append(SymbolicEdges(functions, affine, mask))
    return layers, edges


@contextmanager
def undisturbed_generators() -> Iterator[None]:
    """Put the global generators of torch, numpy and random back at the end: pykan seeds all three (MultKAN.py:158)."""
    states = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])


def _refuse(multkan: Any) -> None:
    def default(tensors: Any, value: float) -> bool:
        return all(bool((tensor == value).all()) for tensor in tensors)

    degrees = sorted({int(layer.k) for layer in multkan.act_fun})
    obstacles = {
        "multiplication nodes": any(size[1] for size in multkan.width),
        "symbolic edges": any(bool((layer.mask != 0).any()) for layer in multkan.symbolic_fun),
        f"layers of different degrees, k = {degrees}": len(degrees) > 1,
        f"base_fun = {multkan.base_fun_name!r}, not 'silu'": multkan.base_fun_name != "silu",
        "scales or biases of nodes": not (
            default([*multkan.node_scale, *multkan.subnode_scale], 1)
            and default([*multkan.node_bias, *multkan.subnode_bias], 0)
        ),
        "pruned or permuted inputs": multkan.input_id.tolist() != list(range(multkan.width[0][0])),
    }
    for obstacle, present in obstacles.items():
        if present:
            raise BadInput(f"This MultKAN has {obstacle}; a KAN can be made from one without.")
