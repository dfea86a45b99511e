"""From a configuration to a model, and from a checkpoint back to the model."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from harness import problems
from harness.config import RunConfig
from harness.data import Sample
from harness.errors import BadInput, in_one_line, refusal
from harness.families import FAMILIES, resolve
from harness.models.kan import KAN
from harness.models.regressor import Regressor
from harness.problems import Problem
from harness.protocol import LARGEST_STATE
from harness.seeds import generator

__all__ = [
    "KAN",
    "Regressor",
    "build",
    "load_checkpoint",
    "network",
    "save_checkpoint",
    "try_networks",
]

LARGEST_CONFIG = 2**20
"""Bytes that the configuration of a checkpoint may have."""


def build(config: RunConfig, problem: Problem, train: Sample | None = None) -> Regressor:
    """The untrained model of a configuration, on the CPU.

    Its outputs are standardised with the statistics of ``train`` where the configuration says so; never those of an equation,
    whose solution is not known. A constant target has no spread to divide by, only that of rounding, so its std counts as 1.
    Raises BadInput when the family's network can't be built, or does not answer a point with a number for each output.
    """
    dtype = getattr(torch, config.dtype)
    untrained = network(config, *problem.shape).to(dtype)
    _refuse_wrong_answers(untrained, config, problem)
    mean, std = [0.0] * len(problem.outputs), [1.0] * len(problem.outputs)
    if config.standardise and train is not None and problem.equation is None:
        columns = train.y.unbind(dim=1)
        mean = [y.mean().item() for y in columns]
        std = [y.std().item() if y.amin() < y.amax() else 1.0 for y in columns]
    low, high = zip(*problem.bounds, strict=True)
    if problem.table is not None and train is not None:  # nothing of a model is from rows that it is not trained on
        low, high = (tuple(ends.tolist()) for ends in (train.x.amin(dim=0), train.x.amax(dim=0)))
        high = tuple(right if right > left else left + 1.0 for left, right in zip(low, high, strict=True))
    alike = problem.table is None and len({*problem.bounds}) == 1
    if alike:
        low, high = low[0], high[0]
    if len(problem.outputs) == 1:
        return Regressor(untrained, low, high, mean[0], std[0], dtype)
    return Regressor(untrained, low, high, mean, std, dtype)


def try_networks(configs: Iterable[RunConfig]) -> None:
    """Build a network of each family for each number of inputs and outputs among them. Raises BadInput as :func:`build` does."""
    found = {(config.model, problems.of(config).shape): config for config in configs}
    for config in found.values():
        build(config, problems.of(config))


@torch.no_grad()
def _refuse_wrong_answers(untrained: nn.Module, config: RunConfig, problem: Problem) -> None:
    training = untrained.training
    try:
        answer = untrained.eval()(torch.zeros(2, problem.dimension, dtype=getattr(torch, config.dtype)))
    except Exception as error:
        raise BadInput(f"model {config.model!r} has a network that fails at 2 points: {in_one_line(error)}.") from error
    untrained.train(training)
    shape, expected = (
        tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__,
        (2, len(problem.outputs)),
    )
    if shape != expected:
        raise BadInput(
            f"model {config.model!r} has a network that answers 2 points with {shape}; expected: numbers of shape {expected}."
        )


def network(config: RunConfig, dimension: int, outputs: int = 1) -> nn.Module:
    """The untrained network of a configuration, which maps inputs scaled to [-1, 1].

    Raises BadInput when the family's function raises, gives anything but a module, or can't give several outputs.
    """
    family = FAMILIES.get(config.model)
    several = {} if outputs == 1 else {"outputs": outputs}
    try:
        make = resolve(family.network)
        if several and "outputs" not in inspect.signature(make).parameters:
            raise BadInput(f"model {config.model!r} has one output; problem {config.problem!r} has {outputs}.")
        untrained = make(config, dimension, generator(config.seed, "initialisation"), **several)
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"model {config.model!r} has a network that can't be built: {in_one_line(error)}.") from error
    if not isinstance(untrained, nn.Module):
        raise BadInput(
            f"model {config.model!r} gives a {type(untrained).__name__} for its network; expected: a torch.nn.Module."
        )
    return untrained


def save_checkpoint(folder: Path, config: RunConfig, state: dict[str, Tensor], problem: Problem | None = None) -> None:
    """Write ``state.safetensors`` and ``config.json``, from which :func:`load_checkpoint` rebuilds the model.

    For the rows of a file the names of its columns stand in ``inputs`` and ``outputs`` of the configuration: the file is not
    needed for the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = {} if problem is None or problem.table is None else {"inputs": problem.inputs, "outputs": problem.outputs}
    (folder / "config.json").write_text(json.dumps(config.shown() | columns, indent=2, ensure_ascii=False) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "state.safetensors")


def load_checkpoint(folder: Path) -> tuple[RunConfig, Regressor]:
    """The configuration and the model of a checkpoint folder.

    What a checkpoint names is not imported: its ``plugins`` are left out, so that the family and the problem of a plug-in
    have to be registered before. Raises BadInput when a file is missing, damaged or too large, when the family or the
    problem is not known, and for a state that is not of this network.
    """
    where = f"checkpoint = {str(folder)!r}"
    try:
        given = json.loads(_bytes(folder / "config.json", LARGEST_CONFIG))
        if not isinstance(given, dict):
            raise ValueError(f"config.json holds a {type(given).__name__} instead of fields")
        family = FAMILIES.get(str(given.get("model")))
        config = family.config.model_validate({**given, "plugins": ()})
        problem = problems.of_columns(config) if config.data else problems.get(config.problem)
        state = load(_bytes(folder / "state.safetensors", LARGEST_STATE))
    except ValidationError as error:
        raise BadInput(f"{where} can't be read: {refusal(error)}") from error
    except BadInput as error:
        raise BadInput(f"{where} can't be read: {error}") from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise BadInput(f"{where} can't be read: {error}.") from error
    there, least = sum(tensor.numel() for tensor in state.values()), config.least_parameters(*problem.shape)
    try:
        if least > there:  # a configuration of a few bytes can ask for more memory than there is
            raise RuntimeError(f"its network has at least {least:,} parameters, and the state {there:,} numbers")
        model = build(config, problem)
        model.load_state_dict(state)
    except (BadInput, RuntimeError, MemoryError) as error:
        raise BadInput(f"{where} does not fit its own configuration: {str(error).rstrip('.')}.") from error
    return config, model


def _bytes(path: Path, most: int) -> bytes:
    """The content of a file. Raises ValueError for one of more than ``most`` bytes."""
    if path.stat().st_size > most:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, more than any that was saved")
    return path.read_bytes()
