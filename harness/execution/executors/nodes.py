"""What schedulers and workers of our own Dask clusters do first: Dask loads this module in each (``preload``)."""

from __future__ import annotations

from typing import Any


def dask_setup(node: Any) -> None:
    """Close the web server that every node opens, dashboard or not: it shows anyone what is at work, arguments included."""
    node.http_server.stop()
