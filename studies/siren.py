"""SIREN with Adam: the rate and the clip that the original fixed, and the size and frequency that they can't replace."""

from __future__ import annotations

from studies.definition import Constraint, Objective, Study
from studies.measures import CAP, log10_nmse, rises
from studies.space import Real, Whole

RATE, CLIP = Real(1e-4, 3e-2, log=True), Real(1e-2, 1e2, log=True)

SIREN = Study(
    name="siren",
    model="siren",
    summary="Rate, clip, width, depth and omega0 of a SIREN: least validation error with a loss that falls (S3).",
    space={
        "lr": RATE,
        "clip": CLIP,
        "width": Whole(16, 96, step=16),
        "omega0": Real(2.0, 30.0, log=True),
        "depth": Whole(1, 4),
    },
    objectives=(Objective("log10 NMSE", log10_nmse, penalty=CAP),),
    constraints=(Constraint("S3", rises),),
    fields={"optimizer": "adam"},
)

SIREN_RATE = Study(
    name="siren_rate",
    model="siren",
    summary="Rate and clip alone, on the original's network (preset seed): how much they can't save.",
    space={"lr": RATE, "clip": CLIP},
    objectives=SIREN.objectives,
    fields={**SIREN.fields, "preset": "seed"},
)
