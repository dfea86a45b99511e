"""What a report wanted to read, and is not there."""

from __future__ import annotations


class Gone(Exception):
    """An artifact that a verdict needs is not there or is damaged; the message says which and how."""

    def __init__(self, message: str, all_of_them: bool = False) -> None:
        super().__init__(message)
        self.all_of_them = all_of_them
        """Whether the run has no artifacts at all."""
