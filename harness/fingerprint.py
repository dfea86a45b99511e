"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
from functools import cache

import torch

from harness import problems
from harness.config import RunConfig
from harness.data import Data, sample

COMPARABILITY = "2"
"""Version of the rules: results are comparable when it is the same. Raise it when the meaning of a number changes."""


def fingerprint(config: RunConfig, data: Data) -> str:
    """Hash of the resolved configuration, the data and the comparability version."""
    return _fingerprint(config, data.digest)


def fingerprint_of(config: RunConfig) -> str:
    """The fingerprint that a run of this configuration will have.

    Raises BadInput for a problem that can't be used (:func:`harness.data.sample`): what plans runs finds out here.
    """
    return _fingerprint(
        config, _digest(config.problem, config.seed, config.n_train, config.n_val, config.n_test, config.dtype)
    )


@cache
def _digest(problem: str, seed: int, n_train: int, n_val: int, n_test: int, dtype: str) -> str:
    return sample(problems.get(problem), seed, n_train, n_val, n_test, getattr(torch, dtype)).digest


def _fingerprint(config: RunConfig, digest: str) -> str:
    content = json.dumps({"config": config.identity(), "data": digest, "comparability": COMPARABILITY}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
