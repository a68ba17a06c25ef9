"""The ways to the nodes that the rest of the tool uses: a connector for a cluster, and the wait for a node's sshd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dockeree import config
from dockeree.ssh.failures import KeyRefused, NobodyAnswers
from dockeree.ssh.keys import load_identity
from dockeree.ssh.known_hosts import KnownHosts
from dockeree.ssh.paramiko_remote import Fingerprints, ParamikoConnector
from dockeree.ssh.remote import CommandLog, Connector, Remote
from dockeree.waiting import REAL_CLOCK, Clock, wait_until

KEY_REFUSED_SECONDS = 90.0
"""On a first boot sshd may listen before cloud-init has made the user: for so long a refused key is not final."""


def _no_console(_instance_id: str) -> frozenset[str]:
    return frozenset()


def connector(
    config_ssh: config.Ssh,
    key_path: Path | None,
    known_hosts_path: Path,
    command_log: CommandLog = lambda line: None,
    port: int | None = None,
    fingerprints: Fingerprints = _no_console,
) -> ParamikoConnector:
    """Connections to a cluster's nodes, one each, kept until `close()`.

    `key_path`: the private key (or the path whose `.pub` names an agent's key), None for whatever the agent holds; it
    is read at each connection. `port` wins over the configuration's. `command_log` gets every command as
    `NODE changes: COMMAND` or `NODE reads: COMMAND`, then `NODE exit N` and its output, all without secrets.
    `fingerprints` gives the host key fingerprints on an instance's console (`known_hosts.fingerprints_in`), asked only
    for a node never seen before.
    """
    return ParamikoConnector(
        user=config_ssh.user,
        port=config_ssh.port if port is None else port,
        identity=lambda: load_identity(key_path),
        known_hosts=KnownHosts(known_hosts_path),
        command_log=command_log,
        fingerprints=fingerprints,
    )


def wait_for_ssh(
    connect: Connector,
    *,
    name: str,
    host: str,
    host_key_id: str,
    timeout_seconds: float,
    interval_seconds: float = 2.0,
    clock: Clock = REAL_CLOCK,
    cancelled: Callable[[], None] = lambda: None,
) -> Remote:
    """Connect to a node that may still be booting.

    Raises TimedOut with the last reason, HostKeyChanged at once, and KeyRefused when the key is still refused
    `KEY_REFUSED_SECONDS` after the first refusal.
    """
    refused_since: list[float] = []

    def attempt() -> tuple[Remote | None, str]:
        try:
            return connect(name=name, host=host, host_key_id=host_key_id), "connected"
        except NobodyAnswers as error:
            return None, error.message
        except KeyRefused as error:
            refused_since.append(clock.now())
            if clock.now() - refused_since[0] >= KEY_REFUSED_SECONDS:
                raise
            return None, error.message

    return wait_until(
        attempt,
        awaited=f"SSH to {name} at {host}",
        timeout_seconds=timeout_seconds,
        interval_seconds=interval_seconds,
        hint="Is the instance running, and does `admin_cidrs` in the configuration hold this machine's public address?",
        clock=clock,
        cancelled=cancelled,
    )
