"""What is read ahead, by several processes, is what is read when it is asked for."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from reports import parallel
from reports.reading.artifacts import LARGEST_PICTURE, MOST_PICTURES, Artifacts
from reports.reading.gone import Gone
from reports.reading.run import Run


@pytest.fixture
def artifacts(monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    return Artifacts(MlflowClient("http://nobody.invalid"))


def run_in(folder: Path, name: str) -> Run:
    return Run(name, "1", "experiment", name, "FINISHED", 0.0, 1.0, str(folder / name))


def write_run(folder: Path, *, epochs: int) -> None:
    (folder / "figures").mkdir(parents=True)
    mse = [1.0 / (1 + epoch) for epoch in range(epochs)]
    rows = {"epoch": list(range(epochs)), "stage": ["train"] * epochs, "train/mse": mse}
    pq.write_table(pa.table(rows), folder / "history.parquet")
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot(mse)
    figure.savefig(folder / "figures" / "loss.png")


def known(artifacts: Artifacts, run: Run) -> list[str]:
    """What the artifacts say of a run's history and of its picture."""
    said = []
    for ask in (artifacts.history, partial(artifacts.check_picture, name="figures/loss.png")):
        try:
            said.append(repr(ask(run)))
        except Gone as gone:
            said.append(f"{gone} {gone.all_of_them}")
    return said


def test_whole_and_damaged_runs_read_ahead_are_as_when_asked_for(artifacts: Artifacts, tmp_path: Path) -> None:
    for epochs, name in enumerate(("whole", "longer", "no history", "damaged", "no picture", "damaged picture"), 2):
        write_run(tmp_path / name, epochs=epochs)
    (tmp_path / "no history" / "history.parquet").unlink()
    (tmp_path / "damaged" / "history.parquet").write_bytes(b"PAR1")
    (tmp_path / "no picture" / "figures" / "loss.png").unlink()
    picture = tmp_path / "damaged picture" / "figures" / "loss.png"
    picture.write_bytes(picture.read_bytes()[:-20])
    runs = [run_in(tmp_path, folder.name) for folder in tmp_path.iterdir() if folder.is_dir()]
    runs.append(run_in(tmp_path, "gone"))
    asked = Artifacts(MlflowClient("http://nobody.invalid"))

    artifacts.read_ahead(runs)

    assert [known(artifacts, run) for run in runs] == [known(asked, run) for run in runs]
    assert artifacts.history(run_in(tmp_path, "longer"))["train/mse"].tolist() == [1.0, 1 / 2, 1 / 3]


def test_after_that_files_are_not_read_again(artifacts: Artifacts, tmp_path: Path) -> None:
    for name in "ab":
        write_run(tmp_path / name, epochs=4)
    runs = [run_in(tmp_path, name) for name in "ab"]
    artifacts.read_ahead(runs)
    for file in [*tmp_path.rglob("*.parquet"), *tmp_path.rglob("*.png")]:
        file.unlink()
    for run in runs:
        assert len(artifacts.history(run).epoch) == 4
        artifacts.check_picture(run, "figures/loss.png")


@pytest.mark.parametrize("uri", ["mlflow-artifacts:/1/2/artifacts", "http://[half", "s3://bucket/2"])
def test_what_lies_elsewhere_is_not_read_ahead(artifacts: Artifacts, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError(uri)

    monkeypatch.setattr(Artifacts, "path", asked)
    artifacts.read_ahead([Run("r", "1", "experiment", "r", "FINISHED", 0.0, 1.0, uri)] * 2)


def test_what_is_no_picture_is_not_waited_for(artifacts: Artifacts, tmp_path: Path) -> None:
    write_run(tmp_path / "a", epochs=4)
    figures = tmp_path / "a" / "figures"
    os.mkfifo(figures / "kan.png")
    with (figures / "huge.png").open("wb") as file:
        file.truncate(LARGEST_PICTURE + 1)
    run = run_in(tmp_path, "a")
    artifacts.read_ahead([run, run])
    artifacts.check_picture(run, "figures/loss.png")
    for name, what in (("kan.png", "is no file"), ("huge.png", "is larger")):
        lengths = set()
        for _ in range(3):
            with pytest.raises(Gone, match=what) as found:
                artifacts.check_picture(run, f"figures/{name}")
            lengths.add(len(found.traceback))
        assert len(lengths) == 1, "a traceback grows with each time"


def test_of_a_folder_full_of_pictures_few_are_read_ahead(artifacts: Artifacts, tmp_path: Path) -> None:
    write_run(tmp_path / "a", epochs=4)
    for number in range(MOST_PICTURES + 5):
        (tmp_path / "a" / "figures" / f"{number}.png").write_bytes(b"")
    run = run_in(tmp_path, "a")
    artifacts.read_ahead([run])
    assert len(artifacts._pictures) == MOST_PICTURES
    artifacts.check_picture(run, "figures/loss.png")


def test_an_address_that_no_file_can_have_names_nothing(artifacts: Artifacts) -> None:
    run = Run("r", "1", "experiment", "r", "FINISHED", 0.0, 1.0, f"/{'long' * 2000}")
    artifacts.read_ahead([run, run])
    with pytest.raises(Gone, match="its artifacts are gone") as found:
        artifacts.history(run)
    assert found.value.all_of_them
