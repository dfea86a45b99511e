"""Imported by the process that the workers of a driver are forked from, and by nobody else."""

import signal

from harness.execution.isolation import preload

try:
    preload()
finally:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # whoever asks the workers to stop asks every process of the driver
