"""The main job: one model, one problem, one seed, one tracked run."""

from __future__ import annotations

import inspect
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from harness import problems
from harness.after import Trained, Twin
from harness.config import RunConfig
from harness.data import Data
from harness.data import of as data_of
from harness.errors import BadInput
from harness.evaluation import evaluate, of_dense_grid
from harness.families import FAMILIES, Place, resolve
from harness.figures.loss import loss_figure
from harness.figures.of_problem import draw_picture
from harness.figures.solving import solving_figure
from harness.machine import keep_freed_memory, memory, more_threads_than_cores, refuse_what_can_not_fit
from harness.models import Regressor, build
from harness.models.interface import active_parameters, parameters
from harness.outcome import Additions, Ending, Outcome
from harness.problems import Problem
from harness.problems.pictures import pictures_of
from harness.tracking.recorder import Recorder
from harness.tracking.store import lost_in_one_sentence, run_page
from harness.training import CutShort, Diverged, Epoch, Event, Kept, Taken, train

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks to stop: a batch system, a person at the keyboard, a terminal that is closed."""


@dataclass(frozen=True)
class RunResult:
    """What is left of a run when it is over: where it stands in the store, how it ended, and the final metrics that it has."""

    run_id: str
    ending: Ending
    metrics: dict[str, float]
    url: str
    ui_command: str | None
    tags: dict[str, str] = field(default_factory=dict)
    """What was found out about the model in words: ``symbolic.formula``, ``symbolic.error``."""


@dataclass
class Stop:
    """A request to stop, which a run looks at after each epoch."""

    reason: str | None = None
    deadline: float | None = field(default=None)

    def passed(self) -> bool:
        """Whether there is a deadline, and it is over."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def go_on(self, before: str) -> None:
        """Raise InterruptedError or TimeoutError when the run has to end ``before`` something."""
        if self.reason is not None:
            raise InterruptedError(f"{self.reason} before {before}.")
        if self.passed():
            raise TimeoutError(f"The deadline passed before {before}.")


EventListener = Callable[[Event], str | None]
"""Is told of each event of a training. What it says, if anything, is a reason to end the run as ``interrupted``."""


def run(
    config: RunConfig,
    listener: EventListener = lambda event: None,
    tags: Mapping[str, str] | None = None,
    *,
    run_id: str | None = None,
    twin: Twin | None = None,
) -> RunResult:
    """Train, evaluate and record. ``listener`` is told of each training event and may ask to end, ``tags`` are
    added to the run's.

    ``run_id`` is a run of the store to record into, else a new one is made; ``twin`` saves training it once more.
    Raises BadInput, with nothing left behind, for a problem, model, device or store that can't be used, or a network that is
    too large for its optimizer, and StoreLost when the store fails and does not come back. Everything else that goes
    wrong is the outcome of the run: a NaN, an exception, a signal or a deadline ends it, and what it has is recorded.
    """
    tags = {**(tags or {}), **({"twin_run": twin.run_id} if twin else {})}
    check(config, memory())
    problem = problems.of(config)
    device = find_device(config.device)
    torch.set_num_threads(config.threads)
    keep_freed_memory()
    threadpool_limits(config.threads)  # numpy's
    data = data_of(config, device)
    model = build(config, problem, data.train).to(device)
    events = train(model, data, config)
    with (
        lost_in_one_sentence(),
        stop_on_signals() as stop,
        Recorder(config, problem, data, model.state_dict(), tags, run_id) as recorder,
    ):
        stop.deadline = None if config.timeout is None else time.monotonic() + config.timeout

        def listen(event: Event) -> None:
            recorder.record(event)
            if (reason := listener(event)) is not None:
                stop.reason = stop.reason or reason

        ending = trained = follow(events, listen, stop)
        added = Additions()
        if ending.outcome is Outcome.COMPLETED:
            ending, added.metrics = judge(ending, model, problem, data)
        if ending.outcome is Outcome.COMPLETED:
            follow_on = partial(follow, listen=listen, stop=stop)
            of_training = Trained(model, problem, data, config, added.metrics, twin, follow_on, stop.go_on)
            ending = add_what_follows(of_training, ending, added)
        if trained.outcome in (Outcome.DIVERGED, Outcome.ERROR) and recorder.kept is not None:
            recorder.last_finite = recorder.kept.state
            ending, added.metrics = keep(trained, recorder.kept, model, problem, data)
            added.tags["kept"] = recorder.kept.stage
        prediction = cache(partial(predict, model, data, recorder))
        figures = draw(model, problem, data, config, recorder, ending, prediction)
        ending = recorder.conclude(ending, figures=figures, prediction=prediction, model=model, added=added)
        page = run_page(recorder.client, recorder.run.info.experiment_id, recorder.run_id)
        finite = {name: value for name, value in added.metrics.items() if math.isfinite(value)}
        return RunResult(recorder.run_id, ending, finite, *page, added.tags)


def check(config: RunConfig, room: int) -> None:
    """Raise BadInput for a run that can't be done here: an unknown problem, no such device, or more threads or memory than
    there are, or fields that do not go with the problem. ``room`` is the memory that it may take, in bytes. Allocates nothing.
    """
    problem, device = problems.of(config), find_device(config.device)
    refuse_what_does_not_suit(config, problem)
    if sentence := more_threads_than_cores(config.threads):
        raise BadInput(f"{sentence}.")
    refuse_what_can_not_fit(config, problem.shape, room, on_gpu=device.type == "cuda")
    family = FAMILIES.get(config.model)
    if not family.can_take(problem.equation is not None):
        does = (
            f"is fitted, and model {config.model!r} solves equations; see `harness list problems` for those of section solve_1d "
            "and solve_2d."
            if problem.equation is None
            else f"is an equation, and model {config.model!r} fits values; take spectral, random_features or a network."
        )
        raise BadInput(f"problem = {config.problem!r} {does}")
    if family.check is not None:
        resolve(family.check)(config, problem)


def refuse_what_does_not_suit(config: RunConfig, problem: Problem) -> None:
    """Raise BadInput for fields of equations on a problem that has none, and for what can't solve the equation of one."""
    where, equation = f"problem {problem.name!r}", problem.equation
    if equation is None:
        for name in config.of_equation:
            if (value := getattr(config, name)) != type(config).model_fields[name].default:
                raise BadInput(
                    f"{name} = {value} is about an equation, which {where} has not; leave it out, or take a problem of "
                    "section solve_1d, solve_2d or equations."
                )
        return
    if config.target_noise:
        raise BadInput(
            f"target_noise = {config.target_noise} can't be used with {where}: no target is learned from an equation; leave it "
            "out."
        )
    if config.dtype == "float32" and config.optimizer == "lm":
        raise BadInput(
            f"dtype = 'float32' can't be used with optimizer=lm on the equation of {where}: its second derivatives lose too "
            "many digits; use dtype=float64."
        )
    if config.smoothness() < equation.order:
        raise BadInput(
            f"model = {config.model!r} as it is set has derivatives up to order {config.smoothness():g}, and the equation of "
            f"{where} is of order {equation.order}; use activation=tanh, or splines of degree k={equation.order + 1}."
        )


def follow(events: Iterator[Event], listen: Callable[[Event], None], stop: Stop) -> Ending:
    """Listen to a training until it ends, or until it has to, and say how it ended."""
    last_epoch, taken, cut = 0, "", ""
    try:
        for event in events:
            listen(event)
            if isinstance(event, Diverged):
                return Ending(Outcome.DIVERGED, event.reason)
            if isinstance(event, Taken):
                taken = f" Epoch {event.epoch} is taken, whose validation error is the least."
            if isinstance(event, CutShort):
                cut = f" {event}"
            if isinstance(event, Epoch):
                last_epoch = event.epoch
                if stop.reason is not None:
                    return Ending(Outcome.INTERRUPTED, f"{stop.reason} after epoch {last_epoch}.")
                if stop.passed():
                    return Ending(Outcome.TIMEOUT, f"The deadline passed during epoch {last_epoch}.")
    except (Exception, SystemExit) as error:
        return Ending(Outcome.ERROR, f"{type(error).__name__} in epoch {last_epoch + 1}: {error}", error)
    return Ending(Outcome.COMPLETED, f"{'' if taken else 'All '}{last_epoch} epochs were done.{cut}{taken}")


def judge(ending: Ending, model: Regressor, problem: Problem, data: Data) -> tuple[Ending, dict[str, float]]:
    """The final metrics of a model that is trained, and how the run ended then.

    A model whose dense error is not finite has diverged where no training point showed it; of its metrics only those that
    are not finite are left, which become events.
    """
    try:
        metrics = evaluate(model, problem, data.dense)
    except (Exception, SystemExit) as error:
        return Ending(Outcome.ERROR, f"{type(error).__name__} in the evaluation: {error}", error), {}
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    if "final/dense_nmse" in bad:
        return Ending(Outcome.DIVERGED, f"{ending.reason} {of_dense_grid(metrics)}"), bad
    if bad:
        ending = Ending(Outcome.COMPLETED, f"{ending.reason} Not finite: {', '.join(bad)}.")
    active = active_parameters(model.network)
    return ending, metrics | {"model/params": float(parameters(model)), "model/active_params": float(active)}


def add_what_follows(trained: Trained, ending: Ending, added: Additions) -> Ending:
    """Take the steps that the family has after a training, until one ends the run otherwise than completed.

    What they find goes into ``added``; an exception is the outcome of the run, and costs nothing that is there already.
    """
    for step in map(resolve, FAMILIES.get(trained.config.model).after):
        try:
            changed, found = step(trained)
        except (Exception, SystemExit) as error:
            return Ending(Outcome.ERROR, f"{type(error).__name__} after the training: {error}", error)
        added.metrics |= found.metrics
        added.tags |= found.tags
        added.texts |= found.texts
        if changed is not None:
            completed = changed.outcome is Outcome.COMPLETED
            ending = Ending(
                changed.outcome, f"{ending.reason} {changed.reason}" if completed else changed.reason, changed.error
            )
        if ending.outcome is not Outcome.COMPLETED:
            break
    return ending


def keep(ending: Ending, kept: Kept, model: Regressor, problem: Problem, data: Data) -> tuple[Ending, dict[str, float]]:
    """What is left of a training that failed: the network as it was after the last stage that was worth keeping.

    Gives the ending with a sentence on it, and its errors as ``kept/*``, which are no final metrics; those that are not finite
    are left out. The model is in that state then.
    """
    what = "unpruned network, as it was before the cut" if kept.stage == "sparsify" else "network"
    reason = f"{ending.reason} The {what} at the end of stage {kept.stage} (epoch {kept.epoch}) is kept."
    try:
        model.load_state_dict(kept.state)
        found = evaluate(model, problem, data.dense)
    except (Exception, SystemExit) as error:
        reason = f"{reason} It can't be evaluated: {type(error).__name__}: {error}"
        return Ending(ending.outcome, reason, ending.error or error), {}
    metrics = {f"kept/{name.removeprefix('final/')}": v for name, v in found.items() if math.isfinite(v)}
    metrics |= {"kept/epoch": float(kept.epoch), "kept/active_params": float(active_parameters(model.network))}
    return Ending(ending.outcome, reason, ending.error), metrics


def predict(model: Regressor, data: Data, recorder: Recorder) -> Tensor:
    """Values ``(points, outputs)`` of the model's last finite state at the dense points, in raw units; it stays in that state."""
    model.load_state_dict(recorder.last_finite)
    return model.predict(data.dense.x)


def draw(
    model: Regressor,
    problem: Problem,
    data: Data,
    config: RunConfig,
    recorder: Recorder,
    ending: Ending,
    prediction: Callable[[], Tensor],
) -> dict[str, Callable[[], Figure]]:
    """The figures of a run by file name, not drawn yet. Those of a run that failed show its last finite state."""
    title = f"{config.model} on {config.problem}, preset {config.preset}, seed {config.seed}"
    if ending.outcome is not Outcome.COMPLETED:
        title += f" ({ending.outcome.value})"
    over_epochs = loss_figure if problem.equation is None else solving_figure
    figures: dict[str, Callable[[], Figure]] = {
        "loss.png": lambda: over_epochs(recorder.history, recorder.events, title)
    }

    def of_problem(name: str) -> Figure:
        return draw_picture(name, problem, data, prediction(), model, title)

    for name in pictures_of(problem.kind, problem.dimension):
        figures[name] = partial(of_problem, name)
    for name, place in FAMILIES.get(config.model).figures.items():
        figures[name] = partial(_of_family, place, problem, model, data, title)
    return figures


def _of_family(place: Place, problem: Problem, model: Regressor, data: Data, title: str) -> Figure:
    draw = resolve(place)
    named = {"problem": problem} if "problem" in inspect.signature(draw).parameters else {}
    figure: Figure = draw(model.network, model.scaled(data.train.x), title, **named)
    return figure


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is some. Raises BadInput when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(
            f"device = {name!r} is not there; this machine has {torch.cuda.device_count()} CUDA devices, so use cpu or auto."
        )
    return device


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """While this is open, ``STOPS`` ask to stop after the epoch; a second SIGINT a second later stops at once.

    A signal that is ignored stays so: that is how ``nohup`` asks to outlive a terminal, and how a script keeps Ctrl-C from
    what it has put into the background.
    """
    stop, asked = Stop(), [0.0]

    def ask(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGINT and stop.reason is not None and now - asked[0] > 1.0:
            raise KeyboardInterrupt
        asked[0] = now
        stop.reason = stop.reason or f"Stopped by {signal.Signals(number).name}"

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
    before: dict[int, Any] = {number: signal.signal(number, ask) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
