"""Ctrl-C: work ends in order at the first and at once at the second; a look ends at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dockeree.commands.session import Session
from dockeree.console import restore_terminal

EXIT_INTERRUPTED = 130


@contextmanager
def safe_interruption(session: Session) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) lets the calls under way end and starts no others; the second leaves at once."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if session.interrupted.is_set():
            _leave(session)
        session.interrupted.set()
        if session.report is not None:
            # In a thread: this handler may have interrupted the very code that holds the report's lock.
            threading.Thread(target=session.report.interrupt, name="interrupt", daemon=True).start()

    with _signals(interrupt):
        yield


@contextmanager
def instant_interruption(session: Session) -> Iterator[None]:
    """Ctrl-C (or SIGTERM) leaves at once, whatever threads are waiting for: nothing is being changed."""
    with _signals(lambda _signal, _frame: _leave(session)):
        yield


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _leave(session: Session) -> None:
    """End the process without waiting for anything or anybody. The state on disk is whole at every moment."""
    restore_terminal(sys.stderr)
    words = f" To continue: {session.command_line}" if session.continues else ""
    os.write(2, f"Left at once.{words}\n".encode())
    os._exit(EXIT_INTERRUPTED)
