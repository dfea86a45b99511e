"""Which studies there are: those of the project, registered plug-ins, and entry points of the group ``harness.studies``."""

from __future__ import annotations

from studies.definition import STUDIES, register
from studies.kan import KAN
from studies.siren import SIREN, SIREN_RATE

register(SIREN)
register(SIREN_RATE)
register(KAN)

__all__ = ["STUDIES"]
