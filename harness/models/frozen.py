"""A model that has been trained, as the program that is exported; a KAN, as the numbers that it comes down to.

The cost of an export goes with the number of operations, and the splines of a :class:`~harness.models.kan.KAN` take over
100. Here an edge is a table of polynomials, whose size the number of operations does not depend on.
"""

from __future__ import annotations

import io
import pickle
import threading
from copy import deepcopy
from pathlib import Path

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.functional import silu

from harness.models.interface import exported
from harness.models.kan import KAN, KANLayer
from harness.models.piecewise import polynomials
from harness.models.regressor import Regressor


class FrozenLayer(nn.Module):
    """One layer as it is now: ``y_j = sum_i p_ij(u(x_i)) + base_ij silu(x_i)``, see :mod:`harness.models.piecewise`."""

    knots: Tensor
    rows: Tensor
    start: Tensor
    inverse: Tensor
    powers: Tensor
    polynomials: Tensor
    base: Tensor

    @torch.no_grad()
    def __init__(self, layer: KANLayer) -> None:
        super().__init__()
        table, weights = layer.pieces(), layer.weights()
        inputs = len(table.knots)
        buffers = {
            "knots": table.knots,
            "rows": torch.arange(inputs, device=table.knots.device),
            "start": table.start.view(inputs, -1, 1),
            "inverse": table.inverse.view(inputs, -1, 1),
            "powers": torch.arange(layer.k + 1).to(table.knots),
            "polynomials": polynomials(weights, table, layer.k).permute(2, 3, 0, 1),
            "base": weights[..., -1].T,
        }
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor.clone(memory_format=torch.contiguous_format))

    def forward(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """As ``layer(x)``; a NaN or an infinity gives NaN."""
        column = x.unsqueeze(-1)
        place = self.rows, (column >= self.knots).sum(-1)
        u = (column - self.start[place]) * self.inverse[place]
        splines = (u**self.powers).unsqueeze(-1) * self.polynomials[place]
        return splines.sum(dim=(1, 2)) + silu(x) @ self.base


def frozen(network: KAN) -> nn.Sequential:
    """The function that a network is now, in operations that can be exported and differentiated in its inputs."""
    return nn.Sequential(*map(FrozenLayer, network))


class Program(nn.Module):
    """A model as others use it: on the CPU, from points of any real dtype to float64."""

    one: Tensor

    def __init__(self, model: Regressor) -> None:
        super().__init__()
        # A copy, since L-BFGS leaves parameters as views of one vector, and the archive wants a storage for each.
        self.model = deepcopy(model).cpu().eval()
        self.model.network = exported(self.model.network)
        self.register_buffer("one", torch.ones(1, dtype=torch.float64))

    def forward(self, x: Num[Tensor, "points inputs"]) -> Float[Tensor, "points *outputs"]:
        """Predictions of shape ``(points,)``, or ``(points, outputs)`` where there are several."""
        # An exported program keeps the dtypes that it was traced with, so that a cast would be lost. A product promotes.
        y: Tensor = self.model(x * self.one)
        return y.double().squeeze(-1)


TRACED = 16
"""Programs that are kept: the cells of a benchmark or a study take few structures in turn."""
_traced: dict[bytes, ExportedProgram] = {}
_tracing = threading.Lock()


def save_program(program: Program, example: Float[Tensor, "points inputs"], path: Path) -> None:
    """Write a program as ``torch.export`` does (``.pt2``), for any number of points; ``example`` has more than one.

    What an export follows is the operations, never the numbers of the state: of programs that differ in these alone it is
    done once a process, which takes a fifth of a second.
    """
    structure = _structure(program, example)
    with _tracing:
        exported = None if structure is None else _traced.pop(structure, None)
        if exported is None:
            exported = torch.export.export(program, (example,), dynamic_shapes=({0: Dim.AUTO},))
        else:
            _renew(exported, program, example)
        torch.export.save(exported, path)
        if structure is not None:
            _traced[structure] = exported
            while len(_traced) > TRACED:
                del _traced[next(iter(_traced))]


@torch.no_grad()
def _renew(exported: ExportedProgram, program: Program, example: Tensor) -> None:
    state = program.state_dict()
    for name, tensor in exported.state_dict.items():
        tensor.copy_(state[name])
    exported.example_inputs = ((example,), {})


def _structure(program: Program, example: Tensor) -> bytes | None:
    """Everything that a program is, but for the numbers of its state: those of its tensors that are no part of it count.

    None for one that can't be pickled, a plug-in's perhaps.
    """
    written = io.BytesIO()
    try:
        _AllButState(written, program).dump((program, example.shape))
    except Exception:
        return None
    return written.getvalue()


class _AllButState(pickle.Pickler):
    def __init__(self, file: io.BytesIO, program: Program) -> None:
        super().__init__(file)
        self._names = {id(tensor): name for name, tensor in program.state_dict(keep_vars=True).items()}

    def persistent_id(self, value: object) -> tuple[object, ...] | None:
        """What stands for a tensor of the state."""
        if isinstance(value, Tensor) and (name := self._names.get(id(value))):
            return name, value.shape, value.stride(), value.dtype, value.requires_grad
        return None
