"""What the rest of the tool knows of SSH: run one plain command on one node and get its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Result:
    """How a command ended. `stdout` and `stderr` are whole, decoded as UTF-8 (undecodable bytes replaced)."""

    exit_status: int
    stdout: str
    stderr: str


class Remote(Protocol):
    """An open SSH connection to one node."""

    name: str

    def run(
        self,
        command: str,
        *,
        timeout_seconds: float = 60.0,
        stdin: bytes | None = None,
        check: bool = True,
        changes: bool = True,
        secrets: tuple[str, ...] = (),
    ) -> Result:
        """Run `command` and return its result.

        Both output streams are drained together. `secrets` are replaced by `***` in the log and in errors; they
        belong into `stdin`, never into `command`. `changes=False` marks a command that only reads: the second run of
        `up` may issue no other.

        Raises CommandFailed when `check` and the exit status is not 0, TimedOut past `timeout_seconds`, SshError
        when the connection is lost.
        """
        ...

    def read_bytes(self, command: str, *, timeout_seconds: float = 60.0, stdin: bytes | None = None) -> bytearray:
        """Run a command that only reads, and return its standard output as it is, for what must be in no log.

        Raises as `run` does; an exit status that is not 0 is always an error.
        """
        ...

    def close(self) -> None:
        """Close the connection; closing twice is fine."""
        ...


class Connector(Protocol):
    """Opens connections to nodes by their public addresses."""

    def __call__(self, *, name: str, host: str, host_key_id: str) -> Remote:
        """Connect to `host` as the cluster's user. `host_key_id` is the EC2 instance id that pins the host key.

        Raises SshError when nobody answers, the key is refused, or the host key is not the pinned one.
        """
        ...


CommandLog = Callable[[str], None]
