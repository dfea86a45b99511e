"""What a person sees: a bar on a terminal, plain lines in a pipe, and a summary with the outcome and where to look."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from harness.outcome import Ending, Outcome
from harness.run import RunResult
from harness.terminal import busy, summarise, watching
from harness.training import BaseStarted, Epoch, NonFinite, StageStarted
from tests.support import small


def epoch(number: int) -> Epoch:
    return Epoch(number, 0, 1.5, 1.5, 2.5, 0.1, 1e-3, 0.25, number, {})


def printed(epochs: int, terminal: bool, twin: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    with watching(small("siren", epochs=epochs), console) as listener:
        if twin:
            listener(BaseStarted())
        listener(StageStarted(0, "grid_5" if twin else "train"))
        for number in range(1, epochs + 1):
            listener(epoch(number))
        listener(NonFinite(epochs, "train", 3, "loss", math.nan, None, 1.0, 1.0))
    return out.getvalue()


@pytest.mark.parametrize(("epochs", "lines"), [(1, 1), (5, 5), (10, 10), (200, 10), (205, 11)])
def test_a_pipe_gets_about_ten_plain_lines_and_always_the_last(epochs: int, lines: int) -> None:
    text = printed(epochs, terminal=False)
    rows = text.splitlines()
    assert len(rows) == lines + 1
    assert rows[-2] == f"epoch {epochs}/{epochs}  train  train MSE 1.500e+00  test MSE 2.500e+00  0.2 s"
    assert rows[-1] == f"epoch {epochs}/{epochs}  train  loss = nan"
    assert "\x1b" not in text
    assert "\r" not in text


def solving(number: int) -> Epoch:
    residuals = {"train/residual": 1.25e-10, "val/residual": 1.5e-10, "train/boundary": 1e-11}
    return Epoch(number, 0, 3e-14, 3e-14, 3.5e-14, 0.1, None, 0.25, number, {}, residuals)


@pytest.mark.parametrize("terminal", [False, True])
def test_of_an_equation_the_residual_is_told_and_the_error_of_u_beside_it(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    with watching(small("siren", problem="solve_2d_sin", epochs=2), console) as listener:
        listener(StageStarted(0, "train"))
        listener(solving(1))
        listener(solving(2))
    if terminal:
        assert "residual 1.25e-10" in out.getvalue()
        assert "MSE" not in out.getvalue()
    else:
        told = "epoch 2/2  train  residual 1.25e-10 (held out 1.50e-10)  MSE of u 3.50e-14  0.2 s"
        assert out.getvalue().splitlines()[-1] == told


def test_a_pipe_tells_the_twin_apart() -> None:
    assert "base grid_5" in printed(3, terminal=False, twin=True)


def test_a_terminal_gets_a_bar() -> None:
    text = printed(4, terminal=True)
    assert "siren" in text
    assert "4/4" in text
    assert "MSE 2.50e+00" in text
    assert "ETA" in text
    assert "━" in text


def test_at_50_columns_the_figures_stay_whole() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=50, color_system=None)
    with watching(small("kan_pruned", epochs=200), console) as listener:
        listener(StageStarted(0, "sparsify"))
        for number in range(1, 200):
            listener(epoch(number))
    last = re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", out.getvalue()).replace("\r", "\n").strip().splitlines()[-1]
    assert re.fullmatch(r"kan_pruned .*  ?199/200 MSE 2\.50e\+00 ETA [0-9:-]{5}", last.strip()), last
    assert len(last) <= 50


def test_a_terminal_sees_at_once_what_is_being_done_and_a_pipe_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        out = io.StringIO()
        monkeypatch.setattr("harness.terminal.Console", lambda: Console(file=out, force_terminal=terminal))  # noqa: B023
        with busy("loading torch"):
            pass
        assert ("loading torch" in out.getvalue()) == terminal


def summary(
    outcome: Outcome,
    metrics: dict[str, float],
    command: str | None = "mlflow ui --x",
    tags: dict[str, str] | None = None,
) -> str:
    out = io.StringIO()
    result = RunResult("1", Ending(outcome, "Because [of] this."), metrics, "http://h/#/r", command, tags or {})
    summarise(small("siren"), result, Console(file=out, width=20, color_system=None))
    return out.getvalue()


METRICS = {
    "final/dense_mse": 1.25e-3,
    "final/dense_nmse": 2.5e-5,
    "final/linf": 0.5,
    "model/params": 100.0,
    "model/active_params": 60.0,
}


def test_the_summary_names_outcome_reason_errors_and_where_to_look() -> None:
    text = summary(Outcome.COMPLETED, METRICS)
    for part in (
        "siren-poisson_2d_sin-tuned-epochs8-n_train40-n_val20-n_test30-width8-depth2-s0",
        "completed",
        "Because [of] this.",
        "1.250e-03",
        "2.50e-05",
        "60 active of 100",
    ):
        assert part in text
    assert "look        mlflow ui --x\n" in text
    assert "page        http://h/#/r\n" in text


def test_the_summary_of_an_equation_has_the_error_of_u_marked_as_unknown_and_the_residual() -> None:
    text = summary(Outcome.COMPLETED, METRICS | {"final/rel_l2": 3.4e-7, "final/residual_nmse": 1.2e-10})
    assert "error of u  relative L2 3.400e-07  (largest error 5.00e-01; not known to the training)\n" in text
    assert "residual    NMSE 1.200e-10\n" in text
    assert "60 active of 100" in text
    assert "dense MSE" not in text


def test_lines_are_not_broken_however_narrow_the_window() -> None:
    assert all(
        "mlflow ui --x" not in line or line.endswith("mlflow ui --x")
        for line in summary(Outcome.ERROR, {}).splitlines()
    )
    assert "http://h/#/r" in summary(Outcome.ERROR, {})


def test_the_summary_of_a_run_on_a_server_has_no_command() -> None:
    text = summary(Outcome.COMPLETED, METRICS, command=None)
    assert "mlflow ui" not in text
    assert "look        http://h/#/r" in text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_can_be_summarised_without_metrics(outcome: Outcome) -> None:
    assert outcome.value in summary(outcome, {})


def test_a_pruned_kan_is_shown_beside_its_twin() -> None:
    assert "unpruned    dense MSE 7.000e+00" in summary(
        Outcome.COMPLETED, METRICS | {"prune/mse_final": 1.0, "prune/base_dense_mse": 7.0}
    )
    assert "dense MSE nan" in summary(Outcome.COMPLETED, METRICS | {"prune/mse_final": 1.0})


def test_the_summary_says_how_good_the_formula_is_or_why_there_is_none() -> None:
    errors = {"symbolic/dense_mse": 3.5e-4, "symbolic/dense_nmse": 7.5e-6}
    text = summary(Outcome.COMPLETED, METRICS | errors, tags={"symbolic.formula": "sin(x)"})
    assert "formula     sin(x)\n" in text
    assert "its error   dense MSE 3.500e-04  (NMSE 7.50e-06, the network's 2.50e-05)" in text
    text = summary(Outcome.COMPLETED, METRICS, tags={"symbolic.error": "IndexError: no such function"})
    assert "formula     IndexError: no such function" in text
