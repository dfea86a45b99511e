"""What is fixed in advance, so that a published figure is one that nothing was chosen by (docs/protocol.md): which seeds may be
used for what, where errors are read, how large a checkpoint may be, and below what a difference of errors is noise.
"""

from __future__ import annotations

COMPARABILITY = "2"
"""Version of the rules: results are comparable when it is the same. Raise it when the meaning of a number changes."""

DEVELOPMENT = range(1000)
"""Seeds that code, presets and studies may be tried on, as often as one likes."""
CONFIRMATION = range(1000, 2000)
"""Seeds on which what was chosen is confirmed; what fails here may still be chosen anew."""
REPORTING = range(10_000, 10_010)
"""Seeds of what is published: drawn once, after code and presets are frozen in a commit. Nothing is chosen by them."""

DENSE_POINTS = {1: 10_001, 2: 101}
"""Dense grid points along each axis, by dimension (contract: 10,001 points in 1D, 101 x 101 in 2D)."""

LARGEST_STATE = 2**31
"""Bytes that the numbers of a checkpoint may have."""

FLOOR = 1e-8
"""Part of a target's ``scale2`` below which a difference of two errors of a fit is numerical noise."""
RESIDUAL_FLOOR = 1e-12
"""The same for two objectives of an equation, in units of its forcing's mean square: 1e-8 would hide a factor of 10 in u."""
