"""How a simulated command ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """Exit status and both output streams. `is_dropped`: the connection breaks before an answer comes."""

    exit_status: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    is_dropped: bool = False


def said(text: str = "", exit_status: int = 0) -> Answer:
    """Text on standard output."""
    return Answer(exit_status, text.encode())


def refused(text: str, exit_status: int = 1) -> Answer:
    """Text on standard error, and an exit status other than 0."""
    return Answer(exit_status, b"", text.encode())
