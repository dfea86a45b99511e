"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
from functools import cache

import torch

from harness import data, problems
from harness.config import RunConfig
from harness.data import Data
from harness.protocol import COMPARABILITY

__all__ = ["COMPARABILITY", "fingerprint", "fingerprint_of"]


def fingerprint(config: RunConfig, drawn: Data) -> str:
    """Hash of the resolved configuration, the data and the comparability version."""
    return _fingerprint(config, drawn.digest)


def fingerprint_of(config: RunConfig) -> str:
    """The fingerprint that a run of this configuration will have.

    Raises BadInput for a problem that can't be used (:func:`harness.data.sample`): what plans runs finds out here.
    """
    if config.data or problems.get(config.problem).table is not None:  # a file may have changed
        return _fingerprint(config, data.of(config).digest)
    points, sides = (config.n_train, config.n_val, config.n_test), (config.n_boundary, config.boundary_weight)
    return _fingerprint(config, _digest(config.problem, config.seed, points, config.dtype, config.target_noise, sides))


@cache
def _digest(
    problem: str, seed: int, points: tuple[int, int, int], dtype: str, noise: float, sides: tuple[int, float]
) -> str:
    return data.sample(problems.get(problem), seed, *points, getattr(torch, dtype), "cpu", noise, *sides).digest


def _fingerprint(config: RunConfig, digest: str) -> str:
    content = json.dumps({"config": config.identity(), "data": digest, "comparability": COMPARABILITY}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
