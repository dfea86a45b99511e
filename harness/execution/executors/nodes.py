"""What schedulers and workers of our own Dask clusters do first: Dask loads this module in each (``preload``)."""

from __future__ import annotations

from typing import Any

from distributed import Worker

from harness.shadows import look_here_last


def dask_setup(node: Any) -> None:
    """Close the web server that every node opens, dashboard or not: it shows anyone what is at work, arguments included.

    Workers find a plug-in in their folder, but nothing there that has the name of an installed package.
    """
    node.http_server.stop()
    if isinstance(node, Worker):
        look_here_last()
