"""Where each value of a run comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from harness.explanation import comments, explain
from harness.presets import names, text_of
from tests.support import MODELS, write_line


def test_each_value_has_its_origin() -> None:
    found = {each.field: each for each in explain({"model": "siren", "problem": "sin_freq3", "lr": "0.1"})}
    assert (found["lr"].value, found["lr"].source) == (0.1, "given")
    assert found["omega0"].source == "preset tuned, problems.siren.sin_freq3"
    assert found["lr_decay"].source == "preset tuned, models.siren"
    assert found["standardise"].source == "preset tuned, all"
    assert found["epochs"].source == "default"


FIT, EQUATION = "poisson_2d_sin", "solve_2d_highfreq"


@pytest.mark.parametrize(
    ("preset", "problem"),
    [(name, problem) for name in names() for problem in (FIT, EQUATION) if name != "paper" or problem != FIT],
)
@pytest.mark.parametrize("model", MODELS)
def test_every_field_in_force_is_explained_with_the_value_of_the_run(preset: str, problem: str, model: str) -> None:
    from harness.presets import resolve

    given = {"model": model, "preset": preset, "problem": problem}
    assert {each.field: each.value for each in explain(given)} == resolve(given).values()


def test_a_rate_that_the_chosen_optimizer_drops_is_that_optimizer_s_default() -> None:
    found = {each.field: each for each in explain({"model": "siren", "optimizer": "lbfgs"})}
    assert found["lr"].source == "default of lbfgs"


def test_a_comment_is_that_of_the_line_or_of_the_lines_above_or_of_the_section() -> None:
    text = (
        "# head\n"
        "models:\n"
        "  kan: &kan\n"
        "    width: 5  # five\n"
        "    # two lines\n"
        "    # on depth\n"
        "    depth: 1\n"
        "  kan_pruned:\n"
        "    <<: *kan\n"
        "    k: 3\n"
        "problems:\n"
        "  kan:\n"
        "    one: &one {k: 5}  # waves\n"
        "    two: *one  # taken over\n"
    )
    assert comments(text) == {
        ("models", "kan", "width"): "five",
        ("models", "kan", "depth"): "two lines on depth",
        ("models", "kan_pruned", "width"): "five",
        ("models", "kan_pruned", "depth"): "two lines on depth",
        ("problems", "kan", "one", "k"): "waves",
        ("problems", "kan", "two", "k"): "taken over",
    }


def test_the_shipped_presets_have_comments_that_are_found() -> None:
    assert comments(text_of("lm"))[("models", "siren", "omega0")].startswith("5e-11")


def test_the_command_prints_it_and_trains_nothing(capsys: pytest.CaptureFixture[str], outside: object) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--explain", "--model", "kan", "--lr", "0.5"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert "lr = 0.5  (given)\n" in out
    assert "k = 5  (preset tuned, models.kan)  # cubic" in out


def test_what_a_file_decides_is_said_to_be_of_the_file(capsys: pytest.CaptureFixture[str], outside: Path) -> None:
    path = write_line(outside / "data" / "plane.csv", rows=100)
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--explain", "--data", path, "--outputs", "y", "--n_val", "15"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert "problem = plane  (the file)\n" in out
    assert "n_train = 70  (the file)\n" in out
    assert "n_val = 15  (given)\n" in out
    assert "outputs = y  (given)\n" in out
