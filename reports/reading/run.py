"""One run, and what of it a report reads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

TAGS = (
    "fingerprint",
    "comparability",
    "outcome",
    "outcome.reason",
    "error.type",
    "error.message",
    "nan.occurred",
    "nan.kind",
    "stages",
    "kept",
    "search.cut_short",
    "preset.knows_target",
    "problem.facts",
    "preset.digest",
    "mlflow.source.git.commit",
    "mlflow.source.git.dirty",
    "benchmark",
    "suite",
    "mlflow.parentRunId",
)

METRICS = (
    "train/mse",
    "val/mse",
    "test/mse",
    "train/residual",
    "val/residual",
    "train/boundary",
    "time/train_s",
    "evals",
    "final/dense_mse",
    "final/dense_nmse",
    "final/log10_nmse",
    "final/linf",
    "final/rel_l2",
    "final/h1_rel",
    "final/roughness_ratio",
    "final/residual_nmse",
    "model/params",
    "model/active_params",
    "nan/count",
    "inf/count",
    "nan/first_step",
    "val/best_epoch",
    "val/best_mse",
    "val/best_residual",
    "prune/params_before",
    "prune/params_after",
    "prune/reduction",
    "prune/mse_final",
    "prune/base_dense_mse",
)

NOT_A_RESULT = ("cfg/device", "cfg/timeout", "cfg/plugins")
"""Params that decide where a run computes, not what."""


@dataclass(frozen=True)
class Run:
    """One run of the store. A metric that was never logged is not in ``metrics``; one that was logged as NaN is NaN."""

    run_id: str
    experiment_id: str
    experiment: str
    name: str
    status: str
    started: float
    """Unix time, in seconds."""
    seconds: float
    artifact_uri: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """How it ended (contract: tag ``outcome``), or ``running``; a run that says nothing of it has ended as ``unknown``."""
        return "running" if self.status in ("RUNNING", "SCHEDULED") else self.tags.get("outcome", "unknown")

    @property
    def reason(self) -> str:
        """Why it ended so, in a sentence."""
        return self.tags.get("outcome.reason", "")

    def field(self, name: str) -> str:
        """A field of its configuration, as it was logged; empty if it was not."""
        return self.params.get(f"cfg/{name}", "")

    def whole(self, name: str) -> int | None:
        """A field of its configuration that is a whole number of up to nine digits; None if it is not."""
        text = self.field(name)
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None

    def real(self, name: str) -> float | None:
        """A field of its configuration that is a finite number; None if it is not."""
        try:
            value = float(self.field(name))
        except ValueError:
            return None
        return value if math.isfinite(value) else None
