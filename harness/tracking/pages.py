"""How MLflow's UI opens an experiment of ours: its headline, its description, and two views of its runs.

A view is what the UI's own "share view" makes (MLflow 3.17): a tag of the experiment, and an address that names the tag. One
that was there before stays as it is: it may be somebody else's.
"""

from __future__ import annotations

import json
from typing import Any

ANY_RUNS = "Runs of this project."
"""What an experiment holds, unless the caller says more."""
COLUMNS = {
    "tags.`outcome`": 100,
    "params.`cfg/problem`": 150,
    "params.`cfg/model`": 100,
    "params.`cfg/preset`": 90,
    "params.`cfg/seed`": 70,
    "metrics.`final/log10_nmse`": 140,
    "metrics.`model/active_params`": 170,
    "metrics.`time/train_s`": 120,
}
"""The columns of a table of runs, from left to right, with their widths in pixels.

None of an error as it is: the UI cuts 6.450541722903e-09 off before its exponent.
"""
TABLE: dict[str, Any] = {
    "selectedColumns": list(COLUMNS),
    "columnOrder": list(COLUMNS),
    "columnWidths": COLUMNS,
    # In an order that is not that of time the UI shows cells beside one another, not folded under their parent.
    "orderByKey": "metrics.`final/log10_nmse`",
    "orderByAsc": True,
}
CHARTS: dict[str, Any] = {
    "selectedColumns": list(COLUMNS),
    "runsHiddenMode": "SHOW_ALL",
    "groupBy": {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "param", "groupByData": f"cfg/{name}"} for name in ("problem", "model", "preset")],
    },
    "isAccordionReordered": True,  # else our section would stand where the alphabet puts it
    "compareRunSections": [
        {
            "uuid": "errors",
            "name": "Errors by problem, model and preset (mean over the seeds)",
            "display": True,
            "isReordered": True,
            "deleted": False,
            "isGenerated": False,
        }
    ],
    "compareRunCharts": [
        {
            "uuid": metric,
            "type": kind,
            "metricKey": metric,
            "selectedMetricKeys": [metric],
            "metricSectionId": "errors",
            "runsCountToCompare": 100,
            "deleted": False,
            "isGenerated": False,
            "xAxisKey": "step",
            "selectedXAxisMetricKey": "",
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "lineSmoothness": 0,
        }
        for metric, kind in (("final/log10_nmse", "BAR"), ("test/log10_nmse", "LINE"))
    ],
}
OF_AN_EXPERIMENT = {
    "mlflow.experiment.primaryMetric.name": "final/log10_nmse",
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.sharedViewState.table": json.dumps(TABLE),
    "mlflow.sharedViewState.charts": json.dumps(CHARTS),
}
"""What an experiment of ours is made with."""


def view(experiment_id: str, name: str) -> str:
    """The address of the view ``table`` or ``charts`` inside of the UI."""
    mode = "&compareRunsMode=CHART" if name == "charts" else ""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning{mode}&viewStateShareKey={name}"


def how_to_read(experiment_id: str, about: str) -> str:
    """The description of an experiment, in Markdown: what it holds, where to look, what the figures are."""
    return (
        # The UI shows the first line, and the rest on a click.
        f"[Table of the runs]({view(experiment_id, 'table')}), [charts]({view(experiment_id, 'charts')}). {about}\n\n"
        "A run trains one model on one problem with one seed. `final/log10_nmse` is its error: the logarithm of the mean "
        "squared error over the variance of the target. 0 is as good as a constant, -4 an error of 1%, -20 the floor. "
        "`outcome` says how it ended; a run that did not complete has no final error. A benchmark or study is a run too, "
        "with a summary as its description."
    )
