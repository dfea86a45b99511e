"""From a configuration to a model, and from a checkpoint back to the model."""

from __future__ import annotations

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

LARGEST_CONFIG, LARGEST_STATE = 2**20, 2**31
"""Bytes that the two files of a checkpoint may have."""


def build(config: RunConfig, problem: Problem, train: Sample | None = None) -> Regressor:
    """The untrained model of a configuration, on the CPU.

    Its output is standardised with the statistics of ``train`` where the configuration says so. A constant target has
    no spread to divide by, so its std counts as 1. Raises BadInput when the family's network can't be built, or does not
    answer a point with a number.
    """
    dtype = getattr(torch, config.dtype)
    mean, std = 0.0, 1.0
    if config.standardise and train is not None:
        mean, std = train.y.mean().item(), train.y.std().item() or 1.0
    untrained = network(config, problem.dimension).to(dtype)
    _refuse_what_gives_no_number_a_point(untrained, config, problem.dimension)
    return Regressor(untrained, problem.low, problem.high, mean, std, dtype)


def try_networks(configs: Iterable[RunConfig]) -> None:
    """Build a network of each family in each dimension that is among them. Raises BadInput as :func:`build` does."""
    found = {(config.model, problems.get(config.problem).dimension): config for config in configs}
    for config in found.values():
        build(config, problems.get(config.problem))


@torch.no_grad()
def _refuse_what_gives_no_number_a_point(untrained: nn.Module, config: RunConfig, dimension: int) -> None:
    training = untrained.training
    try:
        answer = untrained.eval()(torch.zeros(2, dimension, dtype=getattr(torch, config.dtype)))
    except Exception as error:
        raise BadInput(f"model {config.model!r} has a network that fails at 2 points: {in_one_line(error)}.") from error
    untrained.train(training)
    shape = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    if shape != (2, 1):
        raise BadInput(
            f"model {config.model!r} has a network that answers 2 points with {shape}; expected: numbers of shape (2, 1)."
        )


def network(config: RunConfig, dimension: int) -> nn.Module:
    """The untrained network of a configuration, which maps inputs scaled to [-1, 1].

    Raises BadInput when the family's function raises, or gives anything but a module.
    """
    family = FAMILIES.get(config.model)
    try:
        untrained = resolve(family.network)(config, dimension, generator(config.seed, "initialisation"))
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"model {config.model!r} has a network that can't be built: {in_one_line(error)}.") from error
    if not isinstance(untrained, nn.Module):
        raise BadInput(
            f"model {config.model!r} gives a {type(untrained).__name__} for its network; expected: a torch.nn.Module."
        )
    return untrained


def save_checkpoint(folder: Path, config: RunConfig, state: dict[str, Tensor]) -> None:
    """Write ``state.safetensors`` and ``config.json``, from which :func:`load_checkpoint` rebuilds the model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.values(), indent=2) + "\n")
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
        problem = problems.get(config.problem)
        state = load(_bytes(folder / "state.safetensors", LARGEST_STATE))
    except ValidationError as error:
        raise BadInput(f"{where} can't be read: {refusal(error)}") from error
    except BadInput as error:
        raise BadInput(f"{where} can't be read: {error}") from error
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise BadInput(f"{where} can't be read: {error}.") from error
    there, least = sum(tensor.numel() for tensor in state.values()), config.least_parameters(problem.dimension)
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
