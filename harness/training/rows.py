"""What a training lowers: blocks of residuals, and the penalty of a stage."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from harness.data import Data, Sample
from harness.errors import BadInput, in_one_line
from harness.methods.vectors import Vector, flat
from harness.models import Regressor, jets
from harness.models.interface import VJP, Inputs, Outputs, at, vjp
from harness.models.jets import Jacobian, Seeds
from harness.models.regressor import CHUNK, JetsAt
from harness.problems.rows import Jet, Rows, partials_by_autograd

Residuals = Float[Tensor, " rows"]
POOL = 10
"""Points that are looked at for each one that is drawn by its residual."""


@runtime_checkable
class Block(Protocol):
    """Residuals of one kind. ``look`` is the model at the points of the block, from which the rest follows."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def weight(self) -> float:
        """The factor of its mean square."""

    @property
    def points(self) -> int:
        """Its points; each has one residual, or one for each output."""

    def __len__(self) -> int: ...

    def part(self, points: slice | Tensor) -> Block:
        """The same residuals at some of its points."""

    def look(self) -> Jet:
        """The jet at the points, in raw units, with a graph in the parameters."""

    def residuals(self, jet: Jet) -> Residuals:
        """One number a point."""

    def mean_square(self, jet: Jet) -> Tensor:
        """Of the residuals."""

    def backward(self, factor: float) -> Tensor:
        """``factor`` times the mean square. Its gradient is added to each ``.grad``, and what it took for that is let go."""

    def jacobian(self, parameters: list[nn.Parameter], start: int, stop: int) -> Jacobian:
        """Of these residuals, where the parameters are now."""


@dataclass(frozen=True)
class Fit:
    """``r = (u - y) / std``: the error at the training points in the units of the network."""

    model: Regressor
    train: Sample
    inputs: Inputs
    """The training inputs as the network sees them."""
    outputs: Callable[[], Outputs]
    """The network at them."""
    name: str = "fit"
    weight: float = 1.0

    @property
    def points(self) -> int:
        """Training points."""
        return len(self.train.x)

    @functools.cached_property
    def _targets(self) -> Outputs:
        """As the network is to learn them."""
        return (self.train.y - self.model.mean) / self.model.std

    @functools.cached_property
    def _vjp(self) -> Callable[[], VJP | None]:
        return vjp(self.outputs)

    @functools.cached_property
    def _at(self) -> jets.At:
        """The network at all of them, prepared for many Jacobians."""
        return jets.At(self.model.network, self.inputs, 0)

    def __len__(self) -> int:
        return self.train.y.numel()

    def part(self, points: slice | Tensor) -> Fit:
        """The fit to some of the training points."""
        inputs = self.inputs[points]
        return replace(
            self,
            train=Sample(self.train.x[points], self.train.y[points]),
            inputs=inputs,
            outputs=at(self.model.network, inputs),
        )

    def look(self) -> Jet:
        """The predictions."""
        return Jet(self.model.raw(self.outputs()))

    def residuals(self, jet: Jet) -> Residuals:
        """Of all training points, point by point, each with one of every output."""
        return ((jet.value - self.train.y) / self.model.std).flatten()

    def mean_square(self, jet: Jet) -> Tensor:
        """MSE / std^2; the mean over the outputs, if there are several."""
        if self.train.y.shape[1] == 1:
            return mse_loss(jet.value, self.train.y) / self.model.std**2
        return mse_loss(jet.value / self.model.std, self.train.y / self.model.std)

    @torch.no_grad()
    def backward(self, factor: float) -> Tensor:
        """Without autograd where the network brings its gradient: in its units, dF/du = 2 r / rows."""
        found = self._vjp()
        if found is None or not all(map(_takes_a_gradient, found.parameters)):
            return _by_autograd(self, factor)
        residuals = found.outputs - self._targets
        gradients = found.pull_back(residuals * (2 * factor / len(self)))
        for parameter, gradient in zip(found.parameters, gradients, strict=True):
            if parameter.requires_grad:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return _times(factor, residuals.square().mean())

    def jacobian(self, parameters: list[nn.Parameter], start: int, stop: int) -> Jacobian:
        """That of the network itself: the two affine maps cancel."""
        outputs = self.train.y.shape[1]
        first, last = start // outputs, -(-stop // outputs)
        whole = (first, last) == (0, self.points)
        at = self._at if whole else jets.At(self.model.network, self.inputs[first:last], 0)
        if outputs == 1:
            return at.jacobian(parameters)
        of_each = [
            at.jacobian(parameters, Seeds(one.expand(last - first, -1))) for one in torch.eye(outputs).to(self.inputs)
        ]
        return torch.stack(of_each, dim=1).flatten(0, 1)[start - first * outputs : stop - first * outputs]


@dataclass(frozen=True)
class Declared:
    """The rows that a problem declares, at their points."""

    model: Regressor
    rows: Rows
    x: Inputs
    at: JetsAt | None = None
    """The model at the points, prepared for many looks; None where there is one look, or more points than may be prepared."""

    @property
    def name(self) -> str:
        """As declared."""
        return self.rows.name

    @property
    def weight(self) -> float:
        """As declared."""
        return self.rows.weight

    @property
    def points(self) -> int:
        """As many as residuals."""
        return len(self.x)

    def __len__(self) -> int:
        return len(self.x)

    def part(self, points: slice | Tensor) -> Declared:
        """At some of its points."""
        return replace(self, x=self.x[points], at=None)

    @torch.no_grad()
    def check(self) -> None:
        """Raise BadInput for a residual that fails, or gives anything but a number a point; likewise for its partials."""
        what, jet = f"rows {self.name!r} have a residual that", self.look()
        try:
            answer = self.residuals(jet)
        except Exception as error:
            raise BadInput(f"{what} fails at their {len(self)} points: {in_one_line(error)}.") from error
        shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        if shape != (len(self),):
            raise BadInput(
                f"{what} gives {shape} at their {len(self)} points; expected: numbers of shape ({len(self)},)."
            )
        if self.rows.partials is not None:
            self._check_partials(self.rows.partials, jet)

    def _check_partials(self, partials: Callable[[Inputs, Jet], Any], jet: Jet) -> None:
        what = f"rows {self.name!r} have partials that"
        try:
            shapes = [None if part is None else tuple(part.shape) for part in partials(self.x, jet)]
        except Exception as error:
            raise BadInput(f"{what} fail at their {len(self)} points: {in_one_line(error)}.") from error
        expected = [None if part is None else tuple(part.shape) for part in jet]
        if shapes != expected:
            raise BadInput(f"{what} give the shapes {shapes} at their {len(self)} points; expected: {expected}.")

    def look(self) -> Jet:
        """The jet up to the declared order."""
        return self.model.jet(self.x, self.rows.order) if self.at is None else self.at.jet()

    def residuals(self, jet: Jet) -> Any:
        """As declared, and as :meth:`check` has found them: a plug-in may give anything."""
        return self.rows.residual(self.x, jet)

    def mean_square(self, jet: Jet) -> Tensor:
        """Of the residuals."""
        mean: Tensor = self.residuals(jet).square().mean()
        return mean

    def backward(self, factor: float) -> Tensor:
        """By autograd, through the residual."""
        return _by_autograd(self, factor)

    def where_it_fails(self, generator: torch.Generator) -> Declared:
        """The same rows at as many points of the domain, with a density of 1 plus the residual over its mean (RAD of Wu et al.
        2023, "A comprehensive study of non-adaptive and residual-based adaptive sampling for physics-informed neural
        networks", arXiv:2207.10289, with k = c = 1): drawn without replacement from ``POOL`` times as many uniform ones.
        """
        unit = torch.rand(POOL * len(self), self.x.shape[1], generator=generator, dtype=torch.float64).to(self.x)
        pool = self.model.unscaled(2 * unit - 1)
        with torch.no_grad():
            parts = [replace(self, x=x, at=None) for x in pool.split(CHUNK)]
            size = torch.cat([part.residuals(part.look()).abs() for part in parts]).double().cpu()
        # The first to ring of exponential clocks with these rates (Efraimidis and Spirakis 2006).
        clocks = torch.empty_like(size).exponential_(generator=generator)
        first = ((size + size.mean()) / clocks).topk(len(self)).indices
        return at_points(self.model, self.rows, pool[first.to(pool.device)])

    def jacobian(self, parameters: list[nn.Parameter], start: int, stop: int) -> Jacobian:
        """By the chain rule: the residual's derivative in the jet, times that of the jet in the parameters."""
        if stop - start < len(self):
            return self.part(slice(start, stop)).jacobian(parameters, 0, stop - start)
        at = self.at or self.model.jets_at(self.x, self.rows.order)
        with torch.enable_grad():  # so that a sweep keeps its way forward for the Jacobian, or finds that of a gradient
            jet = at.jet().detached()
        return at.jacobian(parameters, self._partials(jet))

    def _partials(self, jet: Jet) -> Seeds:
        """Of the residual in the parts of the jet: as declared, else by autograd."""
        if self.rows.partials is not None:
            return Seeds(*self.rows.partials(self.x, jet))
        return Seeds(*partials_by_autograd(self.rows.residual, self.x, jet)[1])


def _takes_a_gradient(parameter: Tensor) -> bool:
    """By hand: it is not made of others, as a normalised weight is, and nobody waits for its gradient."""
    return isinstance(parameter, nn.Parameter) and not parameter._backward_hooks


@torch.enable_grad()
def _by_autograd(block: Block, factor: float) -> Tensor:
    part = _times(factor, block.mean_square(block.look()))
    part.backward()
    return part.detach()


def declared(model: Regressor, data: Data) -> list[Declared]:
    """The blocks that the problem declares; none for a fit."""
    return _blocks(model, data.declared, data.at_declared)


def at_held_out(model: Regressor, data: Data) -> list[Declared]:
    """The blocks of an equation at the points that choices go by; none for anything else."""
    return _blocks(model, data.declared if data.at_held_out else (), data.at_held_out)


def _blocks(model: Regressor, declared: Sequence[Rows], places: Sequence[Tensor]) -> list[Declared]:
    return [at_points(model, rows, x) for rows, x in zip(declared, places, strict=True)]


def at_points(model: Regressor, rows: Rows, x: Tensor) -> Declared:
    """The block of these rows at points that stay the same, prepared for many looks where they are not too many."""
    return Declared(model, rows, x, model.jets_at(x, rows.order) if len(x) <= CHUNK else None)


@dataclass
class Objective:
    """``F = sum_b w_b mean(r_b^2) + R``, as :class:`harness.methods.Objective` has it."""

    blocks: Sequence[Block]
    parameters: list[nn.Parameter]
    check: Callable[[float], None]
    """Gets F and may raise, once F and its gradient are there."""
    count: Callable[[], None]
    """Add one to the evaluations of the training."""
    order: torch.Generator
    """Draws what comes into which batch."""
    penalised: Callable[[], tuple[Jet, Tensor]] | None = None
    """The first block's jet and R from one pass over its points; None where there is no penalty."""
    extra: dict[str, float] = field(default_factory=dict)
    draws: int = 0

    def redraw(self, first: Block) -> None:
        """Go on with the first block at other points, as many as before."""
        self.blocks = [first, *self.blocks[1:]]
        self.draws += 1
        self.__dict__.pop("_chunks", None)

    @functools.cached_property
    def rows(self) -> int:
        """The number of residuals."""
        return sum(map(len, self.blocks))

    @functools.cached_property
    def _factors(self) -> list[float]:
        # With these factors the blocks, stacked, have the mean square F.
        return [math.sqrt(block.weight * self.rows / len(block)) for block in self.blocks]

    @functools.cached_property
    def _chunks(self) -> list[tuple[Block, float, float]]:
        """The blocks in parts of at most ``CHUNK`` points, each with its share of the block and the block's factor; none where
        all are small.
        """
        if self.penalised is not None or all(block.points <= CHUNK for block in self.blocks):
            return []
        return [
            (block.part(slice(start, start + CHUNK)), min(CHUNK, block.points - start) / block.points, factor)
            for block, factor in zip(self.blocks, self._factors, strict=True)
            for start in range(0, block.points, CHUNK)
        ]

    def batches(self, size: int) -> Iterator[Objective]:
        """All rows, in random parts of about ``size``; one evaluation in all.

        Each part has points of each block: one with fewer points than there are parts goes through them again, or else its
        weight would count in some parts alone.
        """
        if self.penalised is not None:
            yield self
            return
        count = -(-self.rows // size)
        orders = [torch.randperm(block.points, generator=self.order).chunk(count) for block in self.blocks]
        for i in range(max(map(len, orders))):
            blocks = [block.part(of[i % len(of)]) for block, of in zip(self.blocks, orders, strict=True)]
            yield replace(self, blocks=blocks, count=self.count if i == 0 else lambda: None)

    def evaluate(self) -> Tensor:
        """F with its gradient in each ``.grad``; one evaluation."""
        self.count()
        for parameter in self.parameters:
            parameter.grad = None
        if self._chunks:
            parts = [block.backward(block.weight * share) for block, share, _ in self._chunks]
            value = functools.reduce(torch.add, parts)
        elif self.penalised is None and len(self.blocks) == 1:
            value = self.blocks[0].backward(self.blocks[0].weight)
        else:
            value = self._evaluate_together()
        self.check(value.item())
        return value

    def _evaluate_together(self) -> Tensor:
        """All blocks and the penalty, by one way back."""
        looks, penalty = self._look()
        pairs = zip(self.blocks, looks, strict=True)
        parts = [_times(block.weight, block.mean_square(jet)) for block, jet in pairs]
        value = functools.reduce(torch.add, parts if penalty is None else [*parts, penalty])
        value.backward()
        return value.detach()

    @torch.no_grad()
    def attempt(self) -> tuple[Residuals, float]:
        """Residuals and F where the parameters are now, without a gradient; one evaluation. Either may be not finite."""
        self.count()
        if self._chunks:
            residuals = self._residuals_in_chunks()
            return residuals, residuals.square().mean().item()
        looks, penalty = self._look()
        residuals = self._residuals(looks)
        value = residuals.square().mean()
        return residuals, (value if penalty is None else value + penalty).item()

    def penalty_gradient(self) -> Vector | None:
        """The gradient of R, which is one evaluation; None where there is no penalty."""
        if self.penalised is None:
            return None
        self.count()
        _, penalty = self.penalised()
        return flat(torch.autograd.grad(penalty, self.parameters, materialize_grads=True))

    @torch.no_grad()
    def _residuals_in_chunks(self) -> Residuals:
        """All of them, in their order."""
        return torch.cat([_times(factor, block.residuals(block.look())) for block, _, factor in self._chunks])

    def jacobian(self, start: int, stop: int) -> Jacobian:
        """The derivative of these residuals in the parameters; one evaluation, which is counted with the first of them."""
        if start == 0:
            self.count()
        parts, first = [], 0
        for block, factor in zip(self.blocks, self._factors, strict=True):
            low, high = max(start - first, 0), min(stop - first, len(block))
            if low < high:
                parts.append(_times(factor, block.jacobian(self.parameters, low, high)))
            first += len(block)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @torch.enable_grad()
    def pull_back(self, w: Residuals) -> Vector:
        """``J^T w`` by one gradient, or by one for each chunk."""
        if self._chunks:
            return self._pull_back_in_chunks(w)
        looks, _ = self._look()
        return flat(torch.autograd.grad(self._residuals(looks), self.parameters, w, materialize_grads=True))

    def _pull_back_in_chunks(self, w: Residuals) -> Vector:
        total, first = torch.zeros_like(flat(self.parameters)), 0
        for block, _, factor in self._chunks:
            residuals = _times(factor, block.residuals(block.look()))
            part = w[first : first + len(residuals)]
            total += flat(torch.autograd.grad(residuals, self.parameters, part, materialize_grads=True))
            first += len(residuals)
        return total

    def _look(self) -> tuple[list[Jet], Tensor | None]:
        if self.penalised is None:
            return [block.look() for block in self.blocks], None
        first, penalty = self.penalised()
        return [first, *(block.look() for block in self.blocks[1:])], penalty

    def _residuals(self, looks: Sequence[Jet]) -> Residuals:
        parts = [
            _times(factor, block.residuals(jet))
            for block, jet, factor in zip(self.blocks, looks, self._factors, strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _times(factor: float, x: Tensor) -> Tensor:
    """Without an operation for the factor of a fit alone, which is 1."""
    return x if factor == 1 else factor * x
