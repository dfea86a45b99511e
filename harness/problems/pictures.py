"""Which pictures a problem has, by what it is: the run draws them, criterion O2 and the report ask for them by name."""

from __future__ import annotations


def pictures_of(kind: str, inputs: int) -> tuple[str, ...]:
    """The names of the pictures of a problem of that kind with so many inputs."""
    if kind == "picture":
        return ("picture.png", "prediction.png")
    if kind == "equation" and inputs > 2:
        return ("prediction.png", "slices.png", "residual.png")
    if kind == "table" or inputs > 2:
        return ("prediction.png", "slices.png", *(("sensitivity.png",) if inputs > 1 else ()))
    on_grid = "fit.png" if inputs == 1 else "heatmap.png"
    return (on_grid, "residual.png") if kind == "equation" else (on_grid,)
