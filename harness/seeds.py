"""Random numbers: one generator an axis of randomness, derived from the run's seed by hashing.

Two axes never share a stream, changing one leaves the others as they are, and no global generator is touched.
"""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, axis: str) -> torch.Generator:
    """A CPU generator for ``axis`` (say ``"data/train"`` or ``"initialisation"``) of the run with that seed."""
    digest = hashlib.sha256(f"{axis}/{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
