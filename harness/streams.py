"""Standard output and error as something that may go away: what is printed then is lost, and nothing else."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

READER_GONE = (errno.EPIPE, errno.EIO)
"""How a pipe whose reader has ended says it, and a terminal that was closed."""


class _Outlet(io.FileIO):
    """A descriptor to write to, which becomes the null device at the first write that fails."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self.fileno())
            if self.fileno() == 1 and error.errno not in READER_GONE:
                # That its reader has ended is no news to the user; a full disk, say, is.
                sys.stderr.write(
                    f"harness: standard output can't be written: {error.strerror}; the rest is not shown.\n"
                )
            return len(data)


def let_the_reader_go() -> None:
    """From here on no write to standard output or error raises, whatever has become of who reads it, or of the disk.

    What a character set does not have is written as an escape. Descriptors 0 to 2 that were closed are the null device, so
    that no file gets one of these numbers. To be called at the start of a process; streams that somebody has put in the
    place of the interpreter's own are left alone.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the smallest number that is free: this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        own = getattr(sys, f"__{name}__")
        if getattr(sys, name) is not own:
            continue
        if own is not None:
            own.flush()
        buffer = io.BufferedWriter(_Outlet(number, "w", closefd=False))
        encoding = "utf-8" if own is None else own.encoding
        setattr(sys, name, io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=True))
