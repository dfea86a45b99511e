"""A model that has been trained, as the program that is exported; a KAN, as the numbers that it comes down to.

The cost of an export goes with the number of operations, and the splines of a :class:`~harness.models.kan.KAN` take over
100. Here an edge is a table of polynomials, whose size the number of operations does not depend on.
"""

from __future__ import annotations

import io
import json
import pickle
import threading
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.export import Dim
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


KEPT = 16
"""Archives that are kept: the cells of a benchmark or a study take few structures in turn."""
WEIGHTS, OF_WEIGHTS, EXAMPLE = "data/weights/", "data/weights/model_weights_config.json", "data/sample_inputs/model.pt"
"""Records of an archive (PT2 archive specification): numbers, which record has which tensor, and the example."""


class Archive(NamedTuple):
    """A saved program without its numbers."""

    records: dict[str, bytes]
    """By name, in the order in which they were written, but for those that every writer adds by itself."""
    tensors: dict[str, tuple[str, int]]
    """Of each record of numbers the name of its tensor in the state, and its length."""


_archives: dict[bytes, Archive] = {}
_saving = threading.Lock()


def save_program(program: Program, example: Float[Tensor, "points inputs"], path: Path) -> None:
    """Write a program as ``torch.export`` does (``.pt2``), for any number of points; ``example`` has more than one.

    What an export follows, and writes of it, is the operations, never the numbers of the state: of programs that differ in
    these alone it is done once a process, which takes a third of a second. Of the others the archive is the same byte for byte.
    """
    structure = _structure(program, example)
    with _saving:
        archive = None if structure is None else _archives.pop(structure, None)
        if archive is None or not _write(archive, program.state_dict(), example, path):
            exported = torch.export.export(program, (example,), dynamic_shapes=({0: Dim.AUTO},))
            torch.export.save(exported, path)
            archive = None if structure is None else _read(path)
        if structure is not None and archive is not None:
            _archives[structure] = archive
            while len(_archives) > KEPT:
                del _archives[next(iter(_archives))]


def _read(path: Path) -> Archive | None:
    """What :func:`_write` needs; None of an archive in which tensors share their numbers, or are none of torch's own."""
    # Here, since it imports torch's compiler, which takes as long as torch itself; an export has imported it anyway.
    from torch.export.pt2_archive import PT2ArchiveReader

    reader = PT2ArchiveReader(str(path))
    added = ("byteorder", ".data/version", ".data/serialization_id")
    records = {name: reader.read_bytes(name) for name in reader.get_file_names() if name not in added}
    config = json.loads(records[OF_WEIGHTS])["config"]
    tensors = {f"{WEIGHTS}{each['path_name']}": name for name, each in config.items() if not each["use_pickle"]}
    if len(tensors) < len(config):
        return None
    lengths = {record: (name, len(records[record])) for record, name in tensors.items()}
    return Archive({name: b"" if name in tensors else text for name, text in records.items()}, lengths)


def _write(archive: Archive, state: Mapping[str, Tensor], example: Tensor, path: Path) -> bool:
    """Write an archive with other numbers, and say whether that could be done: not of a tensor in a part of its storage."""
    from torch.export.pt2_archive import PT2ArchiveWriter

    numbers = {record: _bytes(state[name]) for record, (name, _) in archive.tensors.items()}
    if any(len(numbers[record]) != length for record, (_, length) in archive.tensors.items()):
        return False
    written = io.BytesIO()
    torch.save(((example,), {}), written, pickle_protocol=2)
    with PT2ArchiveWriter(str(path)) as writer:
        for name, text in (archive.records | numbers | {EXAMPLE: written.getvalue()}).items():
            writer.write_bytes(name, text)
    return True


def _bytes(tensor: Tensor) -> bytes:
    """Of its whole storage, in which its strides are those of the archive."""
    storage = torch.empty(0, dtype=torch.uint8).set_(tensor.detach().untyped_storage())
    return storage.numpy().tobytes()


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
