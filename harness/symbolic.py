"""From a KAN to a formula: pykan's symbolic step, a fit of the formula's numbers, and the formula in raw units.

Liu et al. 2024, section 2.5.1: after pruning, each edge becomes a known function, ``c f(a x + b) + d``, and what is left
to learn are its four affine parameters. pykan chooses f and a first guess of the four, edge by edge
(``MultKAN.auto_symbolic``). Edges fitted one by one add up to a poor formula, NMSE 2e-3 to 8 on poisson_1d_sin and
poisson_2d_sin. So all parameters are then trained together, by Levenberg-Marquardt: 1e-29 to 1e-3 after 50 steps.
L-BFGS ended up to 15,000 times higher, in three times the time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from keyword import iskeyword
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from harness.config import RunConfig
from harness.data import Data, Sample, scale2
from harness.models import KAN, Regressor
from harness.models.bases.network import BasisKAN
from harness.models.bases.splines import as_splines
from harness.models.bases.symbolic import FUNCTIONS, SymbolicLayer, symbolic_kan
from harness.models.edges import EdgeNetwork
from harness.models.multkan import SymbolicEdge, symbolic_edges
from harness.problems import Problem
from harness.problems.problem import names_of_inputs
from harness.problems.rows import Jet
from harness.protocol import RESIDUAL_FLOOR
from harness.training import Epoch, train

WEIGHT_SIMPLE = 0.5
"""pykan's weight of simplicity against the fit of an edge. NMSE of formulas from seven pruned KANs of seed 0: at most 1
at pykan's 0.8, which takes x for curves that are none, 3e-3 at 0.5, 9e-4 at 0.2, which misses the simple formula where
there is one (poisson_1d_sin from a KAN of two edges)."""
POINTS = 100
"""Training points that functions are chosen on; time and memory of the choice, about 0.4 s an edge, grow with them."""
EPOCHS = 100
"""Levenberg-Marquardt steps for the numbers of the formula."""
ROUNDING = 1e-10
"""Share of the target's variance that rounding may add to the error of a formula."""


@dataclass(frozen=True)
class Formula:
    """Formulas of the raw inputs for the raw outputs, and how well they do as they are printed."""

    texts: tuple[str, ...]
    """Of each output, as sympy prints and reads it."""
    latex: str
    outputs: tuple[str, ...]
    dense_mse: float
    """At the dense points, in squared units of the target; infinite or NaN where a formula is not finite."""
    dense_nmse: float
    edges: tuple[SymbolicEdge, ...]

    @property
    def text(self) -> str:
        """The formula; of several outputs a line each, with its name."""
        if len(self.texts) == 1:
            return self.texts[0]
        return "\n".join(f"{name} = {text}" for name, text in zip(self.outputs, self.texts, strict=True))

    def is_finite(self) -> bool:
        """Whether it is finite at all dense points."""
        return math.isfinite(self.dense_mse)

    def json(self) -> str:
        """All of it, as JSON; an error that is not finite is ``null``."""
        errors = {"dense_mse": self.dense_mse, "dense_nmse": self.dense_nmse}
        content = {
            "formula": self.text,
            "latex": self.latex,
            **{name: error if math.isfinite(error) else None for name, error in errors.items()},
            "edges": [edge._asdict() for edge in self.edges],
        }
        return json.dumps(content, indent=2) + "\n"


def find_formula(model: Regressor, problem: Problem, data: Data, go_on: Callable[[], None] = lambda: None) -> Formula:
    """The formula that a trained KAN leads to; where its edges are no splines, by splines through them.

    The model is not touched, nor is a generator of random numbers.

    ``go_on`` is called before each edge and after each step of the training, and may raise to end the search. Whatever
    pykan or the training raise passes through. A training that diverges leaves the last finite numbers.
    """
    import sympy

    scaled = model.scaled(data.train.x[:POINTS])
    network = cast(EdgeNetwork, model.network)
    splines = network if isinstance(network, KAN) else as_splines(network, scaled)
    data = _in_double(data)
    layers, edges = symbolic_edges(splines, scaled, list(FUNCTIONS), WEIGHT_SIMPLE, go_on)
    symbolic = Regressor(
        symbolic_kan(layers),
        (model.centre - model.half_width).tolist(),
        (model.centre + model.half_width).tolist(),
        model.mean.tolist(),
        model.std.tolist(),
        torch.float64,
    )
    # Any family whose plan is a single stage would do.
    for event in train(symbolic, data, RunConfig(optimizer="lm", epochs=EPOCHS)):
        if isinstance(event, Epoch):
            go_on()
    names, texts, latex, mses, nmses = symbols(problem), [], [], [], []
    for output, expression in enumerate(_expressions(symbolic, names)):
        of_val, of_dense = (Sample(each.x, each.y[:, output : output + 1]) for each in (data.val, data.dense))
        if data.at_held_out:
            texts.append(_shortest(expression, partial(_residual, data=data, names=names), RESIDUAL_FLOOR))
        else:
            texts.append(_shortest(expression, partial(_mse, sample=of_val, names=names), ROUNDING * scale2(of_val.y)))
        latex.append(sympy.latex(_parse(texts[-1], names)))
        mses.append(_mse(texts[-1], of_dense, names))
        nmses.append(mses[-1] / scale2(of_dense.y))
    return Formula(tuple(texts), r" \\ ".join(latex), problem.outputs, fmean(mses), fmean(nmses), tuple(edges))


def symbols(problem: Problem) -> tuple[str, ...]:
    """What the inputs are called in a formula: by their names, where these can be names of variables."""
    functions = {*FUNCTIONS} - {"x"}
    usable = all(name.isidentifier() and not iskeyword(name) and name not in functions for name in problem.inputs)
    return problem.inputs if usable else tuple(f"x{axis}" for axis in range(1, problem.dimension + 1))


def evaluate_formula(text: str, x: Tensor, names: Sequence[str] = ()) -> Tensor:
    """Values of shape ``(points, 1)`` of a printed formula at raw inputs of shape ``(points, dimension)``, in float64.

    ``names`` are those of the inputs in the formula; x, y, or x1, x2, ... unless given.
    """
    names = names or names_of_inputs(x.shape[1])
    return _at(_variables(names), _parse(text, names), x)


def _in_double(data: Data) -> Data:
    train, val, test, dense = (
        Sample(sample.x.cpu().double(), sample.y.cpu().double())
        for sample in (data.train, data.val, data.test, data.dense)
    )
    places = (tuple(x.cpu().double() for x in each) for each in (data.at_declared, data.at_held_out))
    return Data(train, val, test, dense, data.declared, *places)


def _variables(names: Sequence[str]) -> list[Any]:
    import sympy

    return [sympy.Symbol(name) for name in names]


def _parse(text: str, names: Sequence[str]) -> Any:
    import sympy

    return sympy.sympify(text, locals={symbol.name: symbol for symbol in _variables(names)})


def _expressions(model: Regressor, names: Sequence[str]) -> list[Any]:
    """The functions of a regressor of known functions in sympy, scaling of inputs and outputs included."""
    import sympy

    centre, half_width = (t.expand(len(names)).tolist() for t in (model.centre, model.half_width))
    nodes = [(variable - c) / h for variable, c, h in zip(_variables(names), centre, half_width, strict=True)]
    for layer in cast(BasisKAN, model.network):
        nodes = [sympy.Add(*edges) for edges in zip(*_edges(cast(SymbolicLayer, layer), nodes), strict=True)]
    mean, std = (t.expand(len(nodes)).tolist() for t in (model.mean, model.std))
    return [m + s * node for m, s, node in zip(mean, std, nodes, strict=True)]


def _edges(layer: SymbolicLayer, nodes: Sequence[Any]) -> list[list[Any]]:
    """Each edge in sympy, ``(inputs, outputs)``; one that is cut is 0."""
    import sympy

    def edge(node: Any, function: str, affine: Sequence[float], live: float) -> Any:
        text, (a, b, c, d) = FUNCTIONS[function][0], affine
        return c * sympy.sympify(text, locals={"x": a * node + b}) + d if live else sympy.Integer(0)

    return [
        [edge(node, *each) for each in zip(functions, affine, mask, strict=True)]
        for node, functions, affine, mask in zip(
            nodes, layer.functions, layer.affine.tolist(), layer.mask.tolist(), strict=True
        )
    ]


def _shortest(expression: Any, error: Callable[[str], float], rounding: float) -> str:
    """The formula with as few digits, from 3 on, as its ``error`` allows, which rounding may raise a little."""
    exact = str(expression)
    allowed = 1.1 * error(exact) + rounding
    candidates = (_printed(expression, digits) for digits in range(3, 16))
    return next((text for text in candidates if error(text) <= allowed), exact)


def _printed(expression: Any, digits: int) -> str:
    """The expression with its numbers rounded to so many significant digits, those below 10^-digits to zero."""
    import sympy

    def rounded(number: Any) -> Any:
        near = sympy.Float(f"{float(number):.{digits}g}", digits)
        if abs(near) < 10**-digits:
            return sympy.Integer(0)
        return sympy.Integer(int(near)) if near == int(near) and abs(near) < 10**digits else near

    shorter = expression.xreplace({number: rounded(number) for number in expression.atoms(sympy.Float)})
    return str(sympy.sstr(shorter, full_prec=False))


def _residual(text: str, data: Data, names: Sequence[str]) -> float:
    """The objective of an equation at the held-out points, for a printed formula of its solution."""
    import sympy

    expression, axes = _parse(text, names), _variables(names)
    slopes = [sympy.diff(expression, axis) for axis in axes]
    parts = [expression, *slopes, *(sympy.diff(slope, axis) for slope, axis in zip(slopes, axes, strict=True))]
    total = 0.0
    for rows, x in zip(data.declared, data.at_held_out, strict=True):
        value, *derivatives = (_at(axes, part, x) for part in parts)
        first, second = (torch.stack(half, dim=-1) for half in (derivatives[: len(axes)], derivatives[len(axes) :]))
        total += rows.weight * rows.residual(x, Jet(value, first, second)).square().mean().item()
    return total


def _at(variables: Sequence[Any], expression: Any, x: Tensor) -> Tensor:
    """Values ``(points, 1)`` of an expression, in float64; what is not finite is among them."""
    import sympy

    columns = x.detach().cpu().double().numpy().T
    with np.errstate(all="ignore"):
        values = sympy.lambdify(variables, expression, "numpy")(*columns)
        return torch.from_numpy(np.broadcast_to(np.asarray(values, dtype=np.float64), len(x)).copy()).unsqueeze(1)


def _mse(text: str, sample: Sample, names: Sequence[str]) -> float:
    return (evaluate_formula(text, sample.x, names) - sample.y).square().mean().item()
