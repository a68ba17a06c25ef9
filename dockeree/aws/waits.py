"""Waiting for AWS: for a condition, and for a call that AWS refuses for a while.

botocore's waiters know neither Ctrl-C nor a test's clock, so the conditions are asked here, over waiting.wait_until.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dockeree.errors import AwsError
from dockeree.waiting import REAL_CLOCK, Clock, wait_until

T = TypeVar("T")

NEW_IDS_SECONDS = 60.0
"""How long the id of something just created may be unknown to the next call (EC2 is eventually consistent)."""
DEPENDENCIES_SECONDS = 600.0
"""How long something deleted may hold what it stood on: a balancer's interfaces linger for minutes."""


def _never() -> None:
    return None


@dataclass(frozen=True)
class Waits:
    """How to wait: the clock, how to leave a wait, and whom to tell what is awaited."""

    clock: Clock = REAL_CLOCK
    cancelled: Callable[[], None] = _never
    detail: Callable[[str], None] = lambda text: None

    def until(
        self,
        probe: Callable[[], tuple[T | None, str]],
        *,
        awaited: str,
        timeout_seconds: float,
        interval_seconds: float = 1.0,
        hint: str = "",
    ) -> T:
        """Ask `probe` for `(value, answer)` until there is a value. Raises TimedOut with the last answer."""
        return wait_until(
            probe,
            awaited=awaited,
            timeout_seconds=timeout_seconds,
            interval_seconds=interval_seconds,
            hint=hint,
            clock=self.clock,
            cancelled=self.cancelled,
        )

    def retry(
        self,
        call: Callable[[], T],
        when: Callable[[AwsError], bool],
        *,
        awaited: str,
        timeout_seconds: float = NEW_IDS_SECONDS,
        interval_seconds: float = 1.0,
        hint: str = "",
    ) -> T:
        """Make `call` again for as long as AWS refuses it with an error that `when` knows as passing.

        Raises TimedOut with the last refusal; any other AwsError at once.
        """

        def probe() -> tuple[tuple[T] | None, str]:
            try:
                return (call(),), ""
            except AwsError as error:
                if not when(error):
                    raise
                self.detail(f"{awaited}: {error.code}")
                return None, error.message

        return self.until(
            probe, awaited=awaited, timeout_seconds=timeout_seconds, interval_seconds=interval_seconds, hint=hint
        )[0]


def is_not_found(error: AwsError) -> bool:
    """Whether AWS says that something named in the call does not exist (EC2: `Invalid….NotFound`, others `NoSuch…`)."""
    code = error.code
    return code.endswith((".NotFound", "NotFound", "NotFoundException")) or code.startswith("NoSuch")


def is_dependency_violation(error: AwsError) -> bool:
    """Whether something still stands on what is to be deleted."""
    return error.code in {"DependencyViolation", "ResourceInUse", "DeleteConflict", "ResourceInUseFault"}
