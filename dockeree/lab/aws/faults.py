"""Failures on demand: the next calls are throttled, fail, or are never answered, and zones run out of machines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dockeree.lab.aws.calls import CallName
from dockeree.lab.aws.core import Lab

_STATUS = {
    "RequestLimitExceeded": 503,
    "Throttling": 400,
    "ThrottlingException": 400,
    "InternalError": 500,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
    "SlowDown": 503,
}


@dataclass(frozen=True)
class Fault:
    """What is to go wrong, `times` times.

    `service` and `action` choose the calls ("*": any); `code` and `status` are the answer; `drop` closes the connection
    instead; `delay_seconds` is how long the caller waits for either. `carried_out` calls do their work, and only their
    answer is lost. With `zone`, no call is chosen: launching in that zone fails with `code`
    (InsufficientInstanceCapacity).
    """

    service: str = "*"
    action: str = "*"
    code: str = "RequestLimitExceeded"
    status: int = 400
    times: int = 1
    message: str = "The lab was told to let this call fail."
    drop: bool = False
    carried_out: bool = False
    delay_seconds: float = 0.0
    zone: str | None = None

    def hits(self, name: CallName) -> bool:
        """Whether this fault is for that call."""
        return (
            self.zone is None
            and self.service in ("*", name.service)
            and self.action in ("*", name.action)
            and name.service != ""
        )


def parse_fault(data: Mapping[str, Any]) -> Fault:
    """A fault from JSON. Raises ValueError with what is wrong."""
    known = Fault.__dataclass_fields__
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ValueError(f"unknown keys {', '.join(unknown)}; known are {', '.join(known)}")
    fault = Fault(**data)
    if not isinstance(fault.times, int) or fault.times < 1:
        raise ValueError("times must be a whole number above 0")
    if "status" not in data:
        fault = replace(fault, status=_STATUS.get(fault.code, 400))
    return fault


class Faults:
    """The faults that are waiting, first come first served."""

    def __init__(self, _lab: Lab) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Wait for the calls that `fault` is for."""
        with self._lock:
            self._faults.append(fault)

    def take(self, name: CallName) -> Fault | None:
        """The fault that this call meets, used up once."""
        return self._use(next((fault for fault in self._waiting() if fault.hits(name)), None))

    def take_zone(self, zone: str | None) -> Fault | None:
        """The fault that a launch in `zone` meets, used up once."""
        return self._use(next((fault for fault in self._waiting() if zone and fault.zone == zone), None))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._faults.clear()

    def describe(self) -> list[dict[str, Any]]:
        """What is still waiting, for JSON."""
        return [asdict(fault) for fault in self._waiting()]

    def _waiting(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def _use(self, fault: Fault | None) -> Fault | None:
        if fault is None:
            return None
        with self._lock:
            if fault not in self._faults:
                return None
            index = self._faults.index(fault)
            self._faults[index : index + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
        return fault
