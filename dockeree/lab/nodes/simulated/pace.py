"""Time in the simulation: how long things take on a real node, scaled to the lab's pace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dockeree.waiting import REAL_CLOCK, Clock

BOOT_SECONDS = 20.0
"""From power on to sshd and cloud-init at work."""
INSTALL_SECONDS = 40.0
"""What apt takes to install an engine on a bare image."""
SHUTDOWN_SECONDS = 5.0
HEARTBEAT_SECONDS = 16.0
"""A node that sends no heartbeat for this long is Down for the swarm (5 s period, grace of 3)."""
ELECTION_SECONDS = 10.0
"""From the loss of a leader to the next one."""
REGISTRATION_SECONDS = 3.0
"""After an election every other node reads Unknown until it has registered with the new leader."""
JOIN_TIMEOUT_SECONDS = 20.0
"""After this, `docker swarm join` gives up waiting and goes on in the background."""
TASK_START_SECONDS = 2.0
TASK_STOP_SECONDS = 3.0


@dataclass(frozen=True)
class Pace:
    """A clock, and the factor by which everything goes faster than on AWS."""

    scale: float
    clock: Clock = REAL_CLOCK

    def now(self) -> float:
        """Monotonic seconds, real ones."""
        return self.clock.now()

    def scaled(self, seconds: float) -> float:
        """Real seconds for what takes `seconds` on AWS."""
        return seconds * self.scale


def utc_now() -> datetime:
    """The wall clock, for what docker prints as a date."""
    return datetime.now(UTC)


def go_duration(age: timedelta) -> str:
    """An age in docker's words: `Less than a second`, `5 seconds`, `About a minute`, `2 hours`."""
    seconds = int(age.total_seconds())
    minutes, hours = seconds // 60, seconds // 3600
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
