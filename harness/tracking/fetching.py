"""What a run has left behind, brought back from wherever the store keeps it. Nothing of it is executed."""

from __future__ import annotations

import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.exceptions import MlflowException

from harness.errors import BadInput, quoted
from harness.tracking.claims import search


def find_run(client: MlflowClient, run: str) -> Run:
    """The run of that id, or the latest with a model among those of that name.

    Raises BadInput when there is none. A store that fails raises what it raises.
    """
    if re.fullmatch(r"[0-9a-f]{32}", run):
        try:
            return client.get_run(run)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    found = list(search(client, f"attributes.run_name = '{run}'")) if re.fullmatch(r"[\w.+-]{1,250}", run) else []
    if not found:
        raise BadInput(
            f"run = {quoted(run)} is no run of the store; give the name of a run, as harness run prints it, or its id."
        )
    done = [each for each in found if each.data.tags.get("outcome") == "completed"]
    return max(done or found, key=lambda each: int(each.info.start_time))


def download(client: MlflowClient, run_id: str, path: str, folder: Path) -> Path:
    """Fetch an artifact, file or folder, from wherever it is. Raises OSError when it can't be had."""
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set("false")
    try:
        return Path(client.download_artifacts(run_id, path, str(folder)))
    except (MlflowException, OSError, ImportError, ValueError) as error:
        # The last two for an address of artifacts that needs a client which is not installed, or that is none.
        raise OSError(f"{path} can't be fetched: {error}") from error
