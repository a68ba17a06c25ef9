"""A process by its id and its start time, so that a recycled id is never mistaken for it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process of this machine. `started` is its start time in clock ticks since boot (proc(5), stat, field 22)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has `pid` now. Raises ProcessLookupError when there is none."""
        started = _start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started)

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, number: int, timeout_seconds: float) -> None:
        """Send `number` and wait; after `timeout_seconds` SIGKILL."""
        self.signal(number)
        if not self._gone_within(timeout_seconds):
            self.signal(signal.SIGKILL)
            self._gone_within(timeout_seconds)

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when the process is gone or a zombie. The name in field 2 may hold spaces."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else int(fields[19])
