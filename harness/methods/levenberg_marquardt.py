"""Levenberg-Marquardt with geodesic acceleration, for any rows of residuals.

Levenberg 1944, "A method for the solution of certain non-linear problems in least squares"; Marquardt 1963, "An
algorithm for least-squares estimation of nonlinear parameters"; Transtrum and Sethna 2012, "Improvements to the
Levenberg-Marquardt algorithm for nonlinear least-squares minimization", arXiv:1201.5885.

With N residuals r, their Jacobian J, A = J^T J / N, and a penalty R, the objective is F = |r|^2 / N + R and

    (A + mu I) v = -(J^T r / N + grad R / 2)         the velocity, a damped Gauss-Newton step
    (A + mu I) a = -J^T (d^2 r / dt^2 along v) / N   the geodesic acceleration (of the last)

The trial is theta + v + a / 2, and it is taken when it lowers F. R enters by its gradient, and has no curvature here: it
is not a sum of squares, so only the damping bounds the step in directions that the residuals leave free. mu is the
damping times the mean diagonal of A (Levenberg's identity, made free of the scale of the residuals). Fixed factors move
it: in a first comparison (five networks, three seeds, without acceleration) Marquardt's diag(A) and Nielsen's gain ratio
(1999) were mostly no better. Acceleration lowered the median error by a factor of 10 to 10,000 on four of the five; on
the fifth, a high frequency, whether a run leaves a poor minimum depends on the initialisation, with and without it.

How the two systems are solved: :mod:`harness.methods.least_squares`.
"""

from __future__ import annotations

import math

import psutil

from harness.errors import BadInput
from harness.fields import field
from harness.methods import Method, MethodConfig, Objective, Rate, Step, register

TRIES = 10
"""Trials of a step; what they have raised the damping to is kept for the next step."""
SMALLEST, LARGEST = 1e-16, 1e10
"""Bounds of the damping. Where the largest finds no descent there is none, and the steps after it cost nothing."""
CHUNK = 2**27
"""Bytes of Jacobian that are held at a time where all of it is not needed. A constant, since it decides the rounding."""
MAKING = 11
"""Peak memory of making a Jacobian, in sizes of it: above all that was measured. Most networks take 2 to 4."""
SHARE, CEILING = 0.5, 2**32
"""What the matrices may take: this part of the available memory, and never more bytes than that. At the ceiling a
step takes a minute."""


class LMConfig(MethodConfig):
    """How much a step is damped, and how that changes."""

    damping: float = field(
        1e-3,
        "lm: damping of the first step of a stage, in units of the mean diagonal of J^T J.",
        source="Marquardt 1963",
        gt=0,
        le=1e10,
    )
    damping_up: float = field(
        4.0, "lm: factor on the damping after a trial that fails.", source="measured", gt=1, le=1e6
    )
    damping_down: float = field(
        5.0, "lm: divisor of the damping after a step that succeeds.", source="measured", ge=1, le=1e6
    )

    def check_size(self, parameters: int, rows: int, itemsize: int) -> None:
        """Raise BadInput when the matrices do not fit into memory.

        Primal: A, its damped copy and the factor, and a chunk of J. Dual: the same three of the rows, and all of J. The
        form that :func:`levenberg_marquardt` takes is, but for a few percent, also the smaller one. Making J takes more
        than J itself: its parts before they are put together, and what each layer keeps at each point. Measured peaks
        beside the square matrices, in sizes of J or of a chunk: mlp 2.1 to 4.0, siren 2.6 to 6.4, kan 1.4 to 4.1, and
        10.1 for one of width 1.
        """
        if parameters <= rows:
            held = min(max(CHUNK, parameters * itemsize), parameters * rows * itemsize)
            needed = itemsize * 3 * parameters**2 + MAKING * held
        else:
            needed = itemsize * (3 * rows**2 + MAKING * parameters * rows)
        limit = min(SHARE * psutil.virtual_memory().available, CEILING)
        if needed > limit:
            raise BadInput(
                f"optimizer = 'lm' can't be used for {parameters} parameters and {rows} points: its matrices need "
                f"{needed / 2**30:.1f} GiB and may take {limit / 2**30:.1f}; use a smaller network, a smaller n_train, or lbfgs."
            )


def levenberg_marquardt(objective: Objective, config: LMConfig, rate: Rate) -> Step:
    """An epoch is one step: trials of rising damping until one lowers the objective, or a step that stays where it is.

    A trial that is not finite, or whose matrix is singular, is a trial that failed and gets more damping; only when a
    step finds nothing finite at all the training ends as for every other method. Evaluations are counted as one for
    each pass over the points: one for each new point (the Jacobian), and for each trial two for the second
    derivative and one for the objective. A Jacobian costs about three gradients, and the algebra is not counted at all,
    so it is the seconds that compare this method with others.
    """
    from harness.methods.least_squares import Point, Residuals, look, trial
    from harness.methods.vectors import move

    parameters = objective.parameters
    damping = config.damping
    here: Point | None = None
    taken: tuple[Residuals, float] | None = None
    draws = objective.draws

    def step() -> float:
        nonlocal damping, here, taken, draws
        if draws != objective.draws:
            here, taken, draws = None, None, objective.draws
        if here is None:
            here = look(objective, taken)
        values: list[float] = []
        for _ in range(TRIES):
            if damping > LARGEST:
                break
            objective.extra["lm/damping"] = damping
            theta = trial(objective, here, damping)
            if theta is not None:
                move(parameters, theta)
                residuals, value = objective.attempt()
                values.append(value)
                if value < here.value:
                    damping = max(damping / config.damping_down, SMALLEST)
                    norm, here, taken = here.norm, None, (residuals, value)
                    return norm
            damping *= config.damping_up
        if values and not any(map(math.isfinite, values)):
            objective.evaluate()
        move(parameters, here.theta)
        return here.norm

    return step


register(
    Method(
        "lm",
        LMConfig,
        levenberg_marquardt,
        "Levenberg-Marquardt with geodesic acceleration, for small networks.",
        reads_jacobian=True,
    )
)
