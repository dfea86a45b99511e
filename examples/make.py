"""Writes the two files beside it, the same each time: measurements of a pendulum, and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import ellipk

HERE = Path(__file__).parent
GRAVITY = 9.81
NOISE = 0.01
"""Standard deviation of a measured period, in seconds."""


def pendulum() -> str:
    """Period (s) of a pendulum by its length (m) and amplitude (rad), and the laboratory that has measured it.

    T = 4 sqrt(L / g) K(sin^2(amplitude / 2)), plus noise; every second measurement is repeated once.
    """
    random = np.random.default_rng(0)
    length, amplitude = random.uniform(0.1, 2.0, 200).round(3), random.uniform(0.1, 2.0, 200).round(3)
    length, amplitude = np.append(length, length[::2]), np.append(amplitude, amplitude[::2])
    period = 4 * np.sqrt(length / GRAVITY) * ellipk(np.sin(amplitude / 2) ** 2)
    period += NOISE * random.standard_normal(len(period))
    rows = zip(random.choice(["Bonn", "Delft", "Turin"], len(period)), length, amplitude, period, strict=True)
    lines = [f"{lab},{a:.3f},{b:.3f},{c:.4f}" for lab, a, b, c in rows]
    return "\n".join(["laboratory,length,amplitude,period", *lines, ""])


def picture(size: int = 256) -> Image.Image:
    """A grey picture with slopes, an edge, and rings that become narrower outwards."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    radius = np.hypot(x, y)
    rings = 0.5 + 0.3 * np.cos(30 * radius**2) * np.exp(-(radius**2))
    disc = 1 / (1 + np.exp(60 * (np.hypot(x - 0.35, y + 0.3) - 0.3)))
    brightness = (1 - disc) * rings + disc * (0.6 + 0.35 * x - 0.2 * y)
    return Image.fromarray((255 * brightness.clip(0, 1)).round().astype(np.uint8))


if __name__ == "__main__":
    (HERE / "pendulum.csv").write_text(pendulum())
    picture().save(HERE / "picture.png", optimize=True)
