"""A sum of known functions with one coefficient each: what every family that fits is, once it is fitted."""

from __future__ import annotations

import abc
from collections.abc import Generator
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.config import FitConfig, Size
from harness.models.classical.least_squares import RANK, Part, least_squares
from harness.models.interface import Inputs, Outputs
from harness.models.jets import Jacobian, Seeds
from harness.problems.rows import Jet

MOST = 2**23
"""Numbers that an evaluation holds at once (64 MiB); of more points it takes as many at a time as that allows."""
Ladder = Generator[Size, float, None]
"""Sizes to try; each is answered by its validation error."""


class Features(NamedTuple):
    """The functions at points, and their derivatives along the axes as far as they were asked for."""

    value: Float[Tensor, "points functions"]
    slopes: Float[Tensor, "dimension points functions"] | None = None
    curvatures: Float[Tensor, "dimension points functions"] | None = None


class Expansion(nn.Module, abc.ABC):
    """``u_o(x) = sum_n c_no phi_n(x)`` on [-1, 1]^d. A state dict of any size can be loaded into one of any other."""

    def __init__(self, functions: int, outputs: int) -> None:
        super().__init__()
        self.set(torch.zeros(functions, outputs, dtype=torch.float64))

    @abc.abstractmethod
    def features(self, x: Inputs, order: int) -> Features:
        """The functions at the points, with their derivatives up to ``order``."""

    @abc.abstractmethod
    def fit(self, size: Size, x: Inputs, y: Outputs) -> None:
        """Become the function of that size that fits ``y``, of mean 0 and variance 1, at points in random order."""

    def sizes(self, config: FitConfig, planned: tuple[Size, ...]) -> Ladder:
        """Which of the planned sizes are tried, and in which order: all of them, one after the other."""
        for size in planned:  # noqa: UP028  # a tuple takes no answers
            yield size

    def set(self, coefficients: Float[Tensor, "functions outputs"]) -> None:
        """Become the function of these coefficients."""
        self.coefficients = nn.Parameter(coefficients.contiguous())

    def hold(self, **buffers: Tensor) -> None:
        """Keep these as parts of the state."""
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor.to(self.coefficients.device))

    @property
    def outputs(self) -> int:
        """Numbers that a point is answered with."""
        return self.coefficients.shape[1]

    def forward(self, x: Inputs) -> Outputs:
        """Values ``(points, outputs)``."""
        return torch.cat([self.value(part) for part in self._parts(x, 0)])

    def value(self, x: Inputs) -> Outputs:
        """As :meth:`forward`, all points at once."""
        return self.features(x, 0).value @ self.coefficients

    def jet(self, x: Inputs, order: int) -> Jet:
        """Value and derivatives up to ``order`` (1 or 2) along each axis, with a graph in the coefficients."""
        jets = [self._jet(part, order) for part in self._parts(x, order)]
        value, slopes, curvatures = zip(*jets, strict=True)
        return Jet(torch.cat(value), torch.cat(slopes), torch.cat(curvatures) if order > 1 else None)

    def _jet(self, x: Inputs, order: int) -> Jet:
        found = self.features(x, order)
        slopes, curvatures = (
            None if part is None else (part @ self.coefficients).permute(1, 2, 0) for part in found[1:]
        )
        return Jet(found.value @ self.coefficients, slopes, curvatures)

    @torch.no_grad()
    def jet_jacobian(self, x: Inputs, seeds: Seeds) -> Jacobian:
        """Derivative at each point in each coefficient of the combination of the jet that ``seeds`` say."""
        return torch.cat([self._jacobian(*parts) for parts in self._seeded(x, seeds)])

    def _seeded(self, x: Inputs, seeds: Seeds) -> list[tuple[Inputs, Seeds]]:
        found, start = [], 0
        for part in self._parts(x, seeds.order()):
            here = slice(start, start + len(part))
            found.append((part, Seeds(*(None if seed is None else seed[here] for seed in seeds))))  # type: ignore[arg-type]  # a is there
            start += len(part)
        return found

    def _jacobian(self, x: Inputs, seeds: Seeds) -> Jacobian:
        found = self.features(x, seeds.order())
        total = found.value.unsqueeze(2) * seeds.a.unsqueeze(1)
        for factors, parts in zip(seeds[1:], found[1:], strict=True):
            if factors is not None and parts is not None:
                for axis, part in enumerate(parts):
                    total += part.unsqueeze(2) * factors[:, :, axis].unsqueeze(1)
        return total.flatten(1)

    def _parts(self, x: Inputs, order: int) -> tuple[Tensor, ...]:
        held = (1 + order) * x.shape[1] * max(1, len(self.coefficients))
        return x.split(max(1, MOST // held)) if len(x) else (x,)

    def measures(self) -> dict[str, float]:
        """Of each epoch: the coefficients of an output."""
        return {"fit/unknowns": float(len(self.coefficients))}

    def exported(self) -> nn.Module:
        """The same function without parts, which an exported program can't decide on."""
        return _Exported(self)

    def loaded(self) -> None:
        """Is told that a state was loaded."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, own in [*self._parameters.items(), *self._buffers.items()]:
            given = state_dict.get(f"{prefix}{name}")
            if own is None or given is None or given.shape == own.shape or given.ndim != own.ndim:
                continue
            there = torch.empty_like(given, device=own.device)
            if name in self._buffers:
                self.register_buffer(name, there)
            else:
                self.set(there)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.loaded()


class LeastSquares(Expansion):
    """One whose coefficients are those with the least squares at all training points."""

    rank: ClassVar[float] = RANK
    """Singular values below this, in units of the largest, count as 0."""

    @abc.abstractmethod
    def grow(self, size: Size) -> None:
        """Take the functions of that size; all coefficients are 0 but those of functions that it had, where it keeps some."""

    @torch.no_grad()
    def fit(self, size: Size, x: Inputs, y: Outputs) -> None:
        """By QR of the functions at the points, some points after the other where they are many."""
        self.grow(size)
        parts, targets = self._parts(x, 0), iter(y.split([len(part) for part in self._parts(x, 0)]))
        rows = (Part(self.features(part, 0).value.cpu(), next(targets).cpu()) for part in parts)
        self.set(least_squares(rows, self.rank).unknowns.to(y.device))


class _Exported(nn.Module):
    """All points at once."""

    def __init__(self, expansion: Expansion) -> None:
        super().__init__()
        self.expansion = expansion

    def forward(self, x: Inputs) -> Outputs:
        return self.expansion.value(x)
