"""One authenticated SSH connection to a node, or the precise reason why there is none."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass

import paramiko

from dockeree.ssh.failures import KeyRefused, NobodyAnswers
from dockeree.ssh.keys import Identity
from dockeree.ssh.known_hosts import KnownHosts
from dockeree.ssh.orderly import OrderlyTransport

# paramiko logs what it also raises; without a handler, logging's last resort prints that on the screen.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

KEEPALIVE_SECONDS = 15
UNACKNOWLEDGED_SECONDS = 60
"""A peer that has not acknowledged what was sent to it for so long is gone (its power, or the network)."""


@dataclass(frozen=True)
class Address:
    """Where and who a node is. `host_key_id` is its EC2 instance id."""

    name: str
    host: str
    port: int
    user: str
    host_key_id: str

    def __str__(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"


def open_transport(
    address: Address,
    identity: Identity,
    known_hosts: KnownHosts,
    *,
    timeout_seconds: float,
    expected: frozenset[str] = frozenset(),
) -> paramiko.Transport:
    """Connect, check the host key, log in.

    `expected` are host key fingerprints to check a first sight against.

    Raises NobodyAnswers, HostKeyChanged, KeyRefused.
    """
    connection = _dial(address, timeout_seconds)
    transport = OrderlyTransport(connection)
    transport.daemon = True
    transport.banner_timeout = timeout_seconds
    transport.auth_timeout = timeout_seconds
    try:
        _shake_hands(transport, address, known_hosts, timeout_seconds)
        key = transport.get_remote_server_key()
        known_hosts.check(address.host_key_id, address.host, key.get_name(), key.asbytes(), expected)
        _log_in(transport, address, identity)
    except BaseException:
        transport.close()
        connection.close()
        raise
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return transport


def _dial(address: Address, timeout_seconds: float) -> socket.socket:
    try:
        connection = socket.create_connection((address.host, address.port), timeout_seconds)
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
        raise NobodyAnswers(
            f"{address} cannot be reached by SSH: {reason} within {timeout_seconds:.0f} s",
            "Is the instance running, and does `admin_cidrs` in the configuration hold this machine's public address?",
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_SECONDS * 1000)
    return connection


def _shake_hands(
    transport: paramiko.Transport, address: Address, known_hosts: KnownHosts, timeout_seconds: float
) -> None:
    """Negotiate. The kinds of key that are pinned are asked for first: a server has several, each of another kind."""
    options = transport.get_security_options()
    pinned = known_hosts.pinned(address.host_key_id)
    options.key_types = sorted(options.key_types, key=lambda kind: _key_kind(kind) not in pinned)
    try:
        transport.start_client(timeout=timeout_seconds)
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise NobodyAnswers(
            f"{address} answers, but not as an SSH server: {error or type(error).__name__}",
            "It may be starting up or out of memory. Its console: aws ec2 get-console-output "
            f"--instance-id {address.host_key_id} --latest --output text",
        ) from error


def _key_kind(algorithm: str) -> str:
    """The kind of key behind a signature algorithm: RSA keys sign in several ways."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2") else algorithm


def _log_in(transport: paramiko.Transport, address: Address, identity: Identity) -> None:
    for key in identity.keys:
        try:
            transport.auth_publickey(address.user, key)
        except paramiko.AuthenticationException:
            continue
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise KeyRefused(
                f"{address} ended the connection at login: {error or type(error).__name__}",
                "A server hangs up after too many keys: set `ssh.key` in the configuration to the right one.",
            ) from error
        if transport.is_authenticated():
            return
    raise KeyRefused(
        f"{address} takes no key of {identity.source} for the user {address.user}",
        "Is it the key that the cluster was created with? See `ssh.key` and `ssh.user` in the configuration.",
    )
