"""Creating what AWS could not tell from a second one: it takes no client token, and has no name of its own.

botocore makes a call again when no answer came. AWS may have carried out the first one, and then there are two VPCs.
So here the call is made once (`Aws.ec2_once`), and where its fate is unknown, what it may have made is looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dockeree.aws.failures import THROTTLED_CODES
from dockeree.aws.waits import Waits
from dockeree.errors import AwsError, TimedOut

T = TypeVar("T")

CREATE_SECONDS = 180.0
LOOK_SECONDS = 15.0
"""How long something just created may be missing from the listings by tag, in practice."""
INTERVAL_SECONDS = 2.0
UNKNOWN_FATE_CODES = frozenset(
    {
        "ConnectionClosedError",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "HTTPClientError",
        "InternalError",
        "InternalFailure",
        "ReadTimeoutError",
        "ResponseStreamingError",
        "ServiceUnavailable",
        "Unavailable",
        "500",
        "502",
        "503",
        "504",
    }
)
"""No answer, or one that does not say whether the call was carried out."""


def create_once(create: Callable[[], T], find: Callable[[], T | None], waits: Waits, *, awaited: str) -> T:
    """Call `create` until it is answered, or `find` sees what an unanswered call has made.

    `create` must call by a client that repeats nothing by itself. Raises AwsError when AWS refuses, TimedOut.
    """

    def attempt() -> tuple[T | None, str]:
        try:
            return create(), ""
        except AwsError as error:
            if error.code in UNKNOWN_FATE_CODES:
                return _look(find, waits, awaited), error.message
            if error.code in THROTTLED_CODES:  # certainly not carried out
                return None, error.message
            raise

    return waits.until(attempt, awaited=awaited, timeout_seconds=CREATE_SECONDS, interval_seconds=INTERVAL_SECONDS)


def _look(find: Callable[[], T | None], waits: Waits, awaited: str) -> T | None:
    waits.detail(f"{awaited}: no answer, looking whether it is there")
    try:
        return waits.until(lambda: (find(), ""), awaited=awaited, timeout_seconds=LOOK_SECONDS)
    except TimedOut:
        return None
