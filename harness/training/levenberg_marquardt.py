"""Levenberg-Marquardt with geodesic acceleration, for any network.

Levenberg 1944, "A method for the solution of certain non-linear problems in least squares"; Marquardt 1963, "An
algorithm for least-squares estimation of nonlinear parameters"; Transtrum and Sethna 2012, "Improvements to the
Levenberg-Marquardt algorithm for nonlinear least-squares minimization", arXiv:1201.5885.

With residuals r of N points, their Jacobian J, A = J^T J / N, and a penalty R, the objective is F = |r|^2 / N + R and

    (A + mu I) v = -(J^T r / N + grad R / 2)         the velocity, a damped Gauss-Newton step
    (A + mu I) a = -J^T (d^2 r / dt^2 along v) / N   the geodesic acceleration (of the last)

The trial is theta + v + a / 2, and it is taken when it lowers F. R enters by its gradient, and has no curvature here: it
is not a sum of squares, so only the damping bounds the step in directions that the residuals leave free. mu is the
damping times the mean diagonal of A (Levenberg's identity, made free of the scale of the residuals). Fixed factors move
it: in a first comparison (five networks, three seeds, without acceleration) Marquardt's diag(A) and Nielsen's gain ratio
(1999) were mostly no better. Acceleration lowered the median error by a factor of 10 to 10,000 on four of the five; on
the fifth, a high frequency, whether a run leaves a poor minimum hangs on the initialisation, with it and without.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from harness.config import RunConfig
from harness.errors import BadInput
from harness.models.regressor import Inputs
from harness.training.objective import Objective, Residuals

Vector = Float[Tensor, " parameters"]
Solve = Callable[[Residuals, Vector | None], Vector]
"""``-(A + mu I)^-1 (J^T w / N + p)`` for w of the points and p of the parameters."""
Factorise = Callable[[float], Solve | None]
"""The solver for a damping; None where the matrix is not positive definite in floating point."""

Step = Callable[[Objective], float]

TRIES = 10
"""Trials of a step; what they have raised the damping to is kept for the next step."""
SMALLEST, LARGEST = 1e-16, 1e10
"""Bounds of the damping. Where the largest finds no descent there is none, and the steps after it cost nothing."""
STRIDE = 0.1
"""Part of v over which the second derivative along it is taken (as Transtrum and Sethna suggest)."""
CURVATURE = 2.0
"""Bound on 2 |a| / |v|, where a step is too curved to be trusted (they suggest 0.75; on two networks 2 was as
good as no bound, or better, and 0.3 and 0.75 were worse)."""
CHUNK = 2**27
"""Bytes of Jacobian that are held at a time where all of it is not needed. A constant, since it decides the rounding."""
MAKING = 11
"""Peak memory of making a Jacobian, in sizes of it: above all that was measured. Most networks take 2 to 4."""
SHARE, CEILING = 0.5, 2**32
"""What the matrices may take: this part of the available memory, and never more bytes than that. At the ceiling a
step takes a minute."""


def levenberg_marquardt(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """An epoch is one step: trials of rising damping until one lowers the objective, or a step that stays where it is.

    A trial that is not finite, or whose matrix is singular, is a trial that failed and gets more damping; only when a
    step finds nothing finite at all the training ends as for every other method. Evaluations are counted as one for
    each pass over the points: two for each new point (gradient, Jacobian), and for each trial two for the second
    derivative and one for the objective. A Jacobian costs about three gradients, and the algebra is not counted at all,
    so it is the seconds that compare this method with others.
    """
    assert config.damping is not None
    assert config.damping_up is not None
    assert config.damping_down is not None
    up, down = config.damping_up, config.damping_down
    damping = config.damping
    here: _Point | None = None

    def step(objective: Objective) -> float:
        nonlocal damping, here
        if here is None:
            here = _look(objective, parameters)
        values: list[float] = []
        for _ in range(TRIES):
            if damping > LARGEST:
                break
            objective.extra["lm/damping"] = damping
            trial = _trial(objective, parameters, here, damping)
            if trial is not None:
                move(parameters, trial)
                _, value = objective.attempt()
                values.append(value)
                if value < here.value:
                    damping = max(damping / down, SMALLEST)
                    norm, here = here.norm, None
                    return norm
            damping *= up
        if values and not any(map(math.isfinite, values)):
            objective.evaluate()
        move(parameters, here.theta)
        return here.norm

    return step


@dataclass(frozen=True)
class _Point:
    """What is known of the parameters that a step starts from; kept while no trial has lowered the objective."""

    theta: Vector
    value: float
    norm: float
    residuals: Residuals
    penalty_slope: Vector | None
    """Half of the gradient of the penalty."""
    factorise: Factorise


def _look(objective: Objective, parameters: list[nn.Parameter]) -> _Point:
    value = objective.evaluate().item()
    norm = flat(p.grad for p in parameters if p.grad is not None).norm().item()
    predictions, penalty = objective.predict()
    residuals = (predictions.detach() - objective.train.y).flatten() / objective.model.std
    slope = None
    if penalty is not None:
        slope = flat(torch.autograd.grad(penalty, parameters, materialize_grads=True)) / 2
    objective.count()
    theta = flat(parameters)
    form = primal if len(theta) <= len(residuals) else dual
    return _Point(theta, value, norm, residuals, slope, form(objective.model.network, objective.inputs, parameters))


@torch.no_grad()
def _trial(objective: Objective, parameters: list[nn.Parameter], here: _Point, damping: float) -> Vector | None:
    """The trial theta + v + a / 2; None where the system can't be solved or the step is too curved."""
    solve = here.factorise(damping)
    if solve is None:
        return None
    velocity = solve(here.residuals, here.penalty_slope)
    ends = []
    for direction in (STRIDE, -STRIDE):
        move(parameters, here.theta + direction * velocity)
        ends.append(objective.attempt()[0])
    move(parameters, here.theta)
    acceleration = solve((ends[0] - 2 * here.residuals + ends[1]) / STRIDE**2, None)
    if 2 * acceleration.norm() > CURVATURE * velocity.norm():
        return None
    return here.theta + velocity + acceleration / 2


def primal(network: nn.Module, inputs: Inputs, parameters: list[nn.Parameter]) -> Factorise:
    """Normal equations of the size of the parameters. A large J is never held as a whole, but made anew where needed."""
    points, size = len(inputs), sum(p.numel() for p in parameters)
    matrix = inputs.new_zeros(size, size)
    chunks = inputs.split(max(1, CHUNK // (size * inputs.element_size())))
    for chunk in chunks:
        j = jacobian(network, chunk, parameters)
        matrix += gram(j)
    matrix /= points
    scale = matrix.diagonal().mean().item()

    def pull_back(w: Residuals) -> Vector:
        if len(chunks) == 1:
            return j.T @ w
        with torch.enable_grad():
            return flat(torch.autograd.grad(network(inputs), parameters, w.unsqueeze(1), materialize_grads=True))

    def factorise(damping: float) -> Solve | None:
        factor = cholesky(matrix, damping * scale)
        if factor is None:
            return None

        def solve(w: Residuals, p: Vector | None) -> Vector:
            right = pull_back(w) / points
            return -torch.cholesky_solve((right if p is None else right + p).unsqueeze(1), factor).squeeze(1)

        return solve

    return factorise


def dual(network: nn.Module, inputs: Inputs, parameters: list[nn.Parameter]) -> Factorise:
    """The same step from a system of the size of the points (Sherman-Morrison-Woodbury), for more parameters than points."""
    points = len(inputs)
    j = jacobian(network, inputs, parameters)
    matrix = gram(j.T) / points
    scale = matrix.diagonal().sum().item() / j.shape[1]

    def factorise(damping: float) -> Solve | None:
        mu = damping * scale
        factor = cholesky(matrix, mu)
        if factor is None:
            return None

        def inverse(w: Residuals) -> Residuals:
            return torch.cholesky_solve(w.unsqueeze(1), factor).squeeze(1)

        def solve(w: Residuals, p: Vector | None) -> Vector:
            step = -(j.T @ inverse(w)) / points
            return step if p is None else step - (p - j.T @ inverse(j @ p) / points) / mu

        return solve

    return factorise


def cholesky(matrix: Float[Tensor, "n n"], mu: float) -> Float[Tensor, "n n"] | None:
    """Lower factor of ``matrix + mu I``; None when it is not positive definite. One of NaN gives a factor of NaN."""
    damped = matrix.clone()
    damped.diagonal().add_(mu)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if not matrix.isfinite().all():
        return torch.full_like(matrix, math.nan)
    return None if failed.item() else factor


def jacobian(network: nn.Module, inputs: Inputs, parameters: list[nn.Parameter]) -> Float[Tensor, "points parameters"]:
    """Derivative of the network's output at each point in each parameter.

    A network may have a method ``jacobian(inputs)`` that knows it, for all its parameters in their order. Any other takes
    one gradient a point, in one batch.
    """
    own = getattr(network, "jacobian", None)
    if own is not None and list(map(id, network.parameters())) == list(map(id, parameters)):
        known: Tensor = own(inputs)
        return known
    return batch_of_gradients(network, inputs, parameters)


def batch_of_gradients(
    network: nn.Module, inputs: Inputs, parameters: list[nn.Parameter]
) -> Float[Tensor, "points parameters"]:
    """The Jacobian of any network that torch.func can transform."""
    wanted = {id(parameter) for parameter in parameters}
    state = {name: p.detach() for name, p in itertools.chain(network.named_parameters(), network.named_buffers())}
    free = {name: p.detach() for name, p in network.named_parameters() if id(p) in wanted}

    def output(values: dict[str, Tensor], x: Float[Tensor, " dimension"]) -> Float[Tensor, ""]:
        answer: Tensor = functional_call(network, {**state, **values}, (x.unsqueeze(0),))
        return answer.squeeze()

    columns = vmap(grad(output), (None, 0))(free, inputs)
    return torch.cat([columns[name].reshape(len(inputs), -1) for name in free], dim=1)


def gram(j: Float[Tensor, "rows columns"]) -> Float[Tensor, "columns columns"]:
    """J^T J by halves, so that what is symmetric is computed once."""
    columns = j.shape[1]
    if columns <= 192:
        return j.T @ j
    half = columns // 2
    product = j.new_empty(columns, columns)
    product[:half, :half], product[half:, half:] = gram(j[:, :half]), gram(j[:, half:])
    torch.matmul(j[:, :half].T, j[:, half:], out=product[:half, half:])
    product[half:, :half] = product[:half, half:].T
    return product


def flat(tensors: Iterable[Tensor]) -> Vector:
    """Copies of the tensors, end to end."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@torch.no_grad()
def move(parameters: list[nn.Parameter], theta: Vector) -> None:
    """Set the parameters to ``theta``."""
    for parameter, part in zip(parameters, theta.split([p.numel() for p in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))


def refuse_what_does_not_fit(size: int, points: int, itemsize: int) -> None:
    """Raise BadInput when the matrices of ``size`` parameters and ``points`` points do not fit into memory.

    Primal: A, its damped copy and the factor, and a chunk of J. Dual: the same three of the points, and all of J. The
    form that :func:`levenberg_marquardt` takes is, but for a few percent, also the smaller one. Making J takes more than
    J itself: its parts before they are put together, and what each layer keeps at each point. Measured peaks beside the
    square matrices, in sizes of J or of a chunk: mlp 2.1 to 4.0, siren 2.6 to 6.4, kan 1.4 to 4.1, and 10.1 for one of
    width 1.
    """
    if size <= points:
        held = min(max(CHUNK, size * itemsize), size * points * itemsize)
        needed = itemsize * 3 * size**2 + MAKING * held
    else:
        needed = itemsize * (3 * points**2 + MAKING * size * points)
    limit = min(SHARE * psutil.virtual_memory().available, CEILING)
    if needed > limit:
        raise BadInput(
            f"optimizer = 'lm' can't be used for {size} parameters and {points} points: its matrices need "
            f"{needed / 2**30:.1f} GiB and may take {limit / 2**30:.1f}; use a smaller network, a smaller n_train, or lbfgs."
        )
