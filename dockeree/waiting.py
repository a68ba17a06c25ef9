"""The one place that waits. Everything awaited is a condition with a deadline; tests hand in a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from dockeree.errors import TimedOut

T = TypeVar("T")


class Clock(Protocol):
    """Time as the waits see it."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        time.sleep(seconds)


REAL_CLOCK = RealClock()


def wait_until(
    probe: Callable[[], tuple[T | None, str]],
    *,
    awaited: str,
    timeout_seconds: float,
    interval_seconds: float = 1.0,
    hint: str = "",
    clock: Clock = REAL_CLOCK,
    cancelled: Callable[[], None] = lambda: None,
) -> T:
    """Ask `probe` until it gives a value, and return that value.

    `probe` answers `(value, answer)`: `value` is None while it is not there yet, `answer` says in words what was
    seen, for the error. `cancelled` is called before each probe and may raise to leave the wait.

    Raises TimedOut with `awaited` and the last answer.
    """
    deadline = clock.now() + timeout_seconds
    while True:
        cancelled()
        value, answer = probe()
        if value is not None:
            return value
        if clock.now() + interval_seconds > deadline:
            raise TimedOut(awaited, timeout_seconds, answer, hint)
        clock.sleep(interval_seconds)
