"""Which seeds may be used for what, so that a published figure is one that nothing was chosen by (docs/protocol.md)."""

from __future__ import annotations

DEVELOPMENT = range(1000)
"""Seeds that code, presets and studies may be tried on, as often as one likes."""
CONFIRMATION = range(1000, 2000)
"""Seeds on which what was chosen is confirmed; what fails here may still be chosen anew."""
REPORTING = range(10_000, 10_010)
"""Seeds of what is published: drawn once, after code and presets are frozen in a commit. Nothing is chosen by them."""
