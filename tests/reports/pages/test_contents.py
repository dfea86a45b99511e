"""Pictures are shared by several processes only where these need no connection to the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from mlflow import MlflowClient

from reports.pages import contents
from reports.reading.artifacts import Artifacts
from reports.reading.evidence import Selection, gather


@pytest.mark.parametrize("here", [True, False])
def test_pictures_of_runs_that_lie_elsewhere_are_drawn_by_one_process(
    filled: MlflowClient, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    shared: list[int] = []

    def share(work: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
        shared.append(len(things))
        return [work(thing) for thing in things]

    monkeypatch.setattr(contents, "parallel_map", share)
    monkeypatch.setattr(contents, "is_here", lambda run: here)
    made = contents.contents_of(gather(filled, Selection()), Artifacts(filled))
    assert made.pictures
    assert bool(shared) is here
