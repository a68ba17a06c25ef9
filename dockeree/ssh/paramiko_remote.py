"""Remote and Connector over paramiko: a connection per node, kept, shared by all threads, renewed when lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import paramiko

from dockeree.errors import CommandFailed, TimedOut
from dockeree.ssh.execution import ChannelLost, DeadlinePassed, Output, execute
from dockeree.ssh.failures import ConnectionLost
from dockeree.ssh.keys import Identity
from dockeree.ssh.known_hosts import KnownHosts
from dockeree.ssh.redaction import redact
from dockeree.ssh.remote import CommandLog, Result
from dockeree.ssh.transport import Address, open_transport

CONNECT_SECONDS = 10.0
SESSIONS_PER_CONNECTION = 8
"""sshd's MaxSessions is 10 by default; further commands on the same node wait for their turn."""

Fingerprints = Callable[[str], frozenset[str]]
"""Instance id -> the host key fingerprints on its console, empty where there are none yet."""


class ParamikoRemote:
    """One node. Commands may run at the same time from several threads; each is a session of the one connection."""

    def __init__(
        self,
        address: Address,
        identity: Callable[[], Identity],
        known_hosts: KnownHosts,
        command_log: CommandLog,
        fingerprints: Fingerprints,
    ) -> None:
        self.name = address.name
        self.address = address
        self._identity = identity
        self._known_hosts = known_hosts
        self._log = command_log
        self._fingerprints = fingerprints
        self._mutex = threading.Lock()
        self._sessions = threading.BoundedSemaphore(SESSIONS_PER_CONNECTION)
        self._transport: paramiko.Transport | None = None

    def connect(self) -> None:
        """Make sure of a live connection.

        Raises NobodyAnswers, KeyRefused or HostKeyChanged (all SshError).
        """
        self._live_transport()

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
        """Run `command`; see `ssh.remote.Remote`."""
        shown = redact(command, secrets)
        self._log(f"{self.name} {'changes' if changes else 'reads'}: {shown}")
        with self._sessions:
            output = self._execute(command, shown, stdin, timeout_seconds, secrets)
        result = Result(output.exit_status, _decoded(output.stdout), _decoded(output.stderr))
        self._log_result(result, secrets)
        if check and result.exit_status != 0:
            raise CommandFailed(self.name, shown, result.exit_status, redact(result.stderr or result.stdout, secrets))
        return result

    def read_bytes(self, command: str, *, timeout_seconds: float = 60.0, stdin: bytes | None = None) -> bytearray:
        """Run a command that only reads, and log no byte of what it reads; see `ssh.remote.Remote`."""
        self._log(f"{self.name} reads: {command}")
        with self._sessions:
            output = self._execute(command, command, stdin, timeout_seconds, ())
        self._log(f"{self.name} exit {output.exit_status}, {len(output.stdout)} bytes that are not logged")
        if output.exit_status != 0:
            raise CommandFailed(self.name, command, output.exit_status, redact(_decoded(output.stderr), ()))
        return output.stdout

    def close(self) -> None:
        """End the connection; the next command opens another."""
        with self._mutex:
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    def _execute(
        self, command: str, shown: str, stdin: bytes | None, timeout_seconds: float, secrets: tuple[str, ...]
    ) -> Output:
        try:
            return execute(self._open_channel(), command, stdin, timeout_seconds)
        except DeadlinePassed as passed:
            wrote = redact(_decoded(passed.output.stderr or passed.output.stdout), secrets).strip()
            last_answer = wrote.splitlines()[-1] if wrote else "(no output)"
            raise TimedOut(f"{self.name}: `{shown}`", timeout_seconds, last_answer) from None
        except (ChannelLost, paramiko.SSHException, OSError, EOFError) as error:
            raise ConnectionLost(
                f"the connection to {self.address} was lost while `{shown}` ran",
                "Run the same command again: it continues where this one stopped.",
            ) from error

    def _open_channel(self) -> paramiko.Channel:
        """A fresh session. A kept connection may have died unnoticed: then, once, over a new one.

        Nothing has been sent to the node at this point, so trying again repeats nothing.
        """
        transport = self._live_transport()
        try:
            return transport.open_session(timeout=CONNECT_SECONDS)
        except paramiko.ChannelException:
            raise  # the server is there and refuses: other threads' commands go on
        except (paramiko.SSHException, OSError, EOFError):
            self._discard(transport)
            return self._live_transport().open_session(timeout=CONNECT_SECONDS)

    def _live_transport(self) -> paramiko.Transport:
        with self._mutex:
            if self._transport is not None and self._transport.is_active():
                return self._transport
            if self._transport is not None:
                self._transport.close()
                self._transport = None
            self._transport = self._connect()
            return self._transport

    def _connect(self) -> paramiko.Transport:
        instance_id = self.address.host_key_id
        first_sight = not self._known_hosts.pinned(instance_id)
        with self._identity() as identity:
            return open_transport(
                self.address,
                identity,
                self._known_hosts,
                timeout_seconds=CONNECT_SECONDS,
                expected=self._fingerprints(instance_id) if first_sight else frozenset(),
            )

    def _discard(self, transport: paramiko.Transport) -> None:
        with self._mutex:
            transport.close()
            if self._transport is transport:
                self._transport = None

    def _log_result(self, result: Result, secrets: tuple[str, ...]) -> None:
        self._log(f"{self.name} exit {result.exit_status}")
        for stream, text in (("stdout", result.stdout), ("stderr", result.stderr)):
            for line in redact(text, secrets).splitlines():
                self._log(f"{self.name} {stream}: {line}")


class ParamikoConnector:
    """Hands out one ParamikoRemote per node, by instance id: asked again, the same one, over the same connection."""

    def __init__(
        self,
        *,
        user: str,
        port: int,
        identity: Callable[[], Identity],
        known_hosts: KnownHosts,
        command_log: CommandLog,
        fingerprints: Fingerprints,
    ) -> None:
        self._user = user
        self._port = port
        self._identity = identity
        self._known_hosts = known_hosts
        self._command_log = command_log
        self._fingerprints = fingerprints
        self._mutex = threading.Lock()
        self._remotes: dict[str, ParamikoRemote] = {}

    def __call__(self, *, name: str, host: str, host_key_id: str) -> ParamikoRemote:
        """The connection to a node, opened where it is not; a node that has another address now gets a new one.

        Raises NobodyAnswers, KeyRefused or HostKeyChanged (all SshError).
        """
        address = Address(name, host, self._port, self._user, host_key_id)
        with self._mutex:
            remote = self._remotes.get(host_key_id)
            if remote is None or remote.address != address:
                if remote is not None:
                    remote.close()
                remote = ParamikoRemote(
                    address, self._identity, self._known_hosts, self._command_log, self._fingerprints
                )
                self._remotes[host_key_id] = remote
        remote.connect()
        return remote

    def close(self) -> None:
        """End every connection."""
        with self._mutex:
            remotes = list(self._remotes.values())
            self._remotes.clear()
        for remote in remotes:
            remote.close()


def _decoded(data: bytes | bytearray) -> str:
    return data.decode("utf-8", errors="replace")
