"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json

from harness.config import RunConfig
from harness.data import Data

COMPARABILITY = "1"
"""Version of the rules: results are comparable when it is the same. Raise it when the meaning of a number changes."""


def fingerprint(config: RunConfig, data: Data) -> str:
    """Hash of the resolved configuration, the data and the comparability version."""
    content = json.dumps(
        {"config": config.identity(), "data": data.digest, "comparability": COMPARABILITY}, sort_keys=True
    )
    return hashlib.sha256(content.encode()).hexdigest()[:32]
