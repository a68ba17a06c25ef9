"""SSH servers of the real protocol on loopback, in a thread of their own, with commands made for these tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from dockeree import config
from dockeree.ssh.connect import connector
from dockeree.ssh.keys import generate_private_key
from dockeree.ssh.paramiko_remote import ParamikoConnector, ParamikoRemote

USER = "ubuntu"
INSTANCE_ID = "i-0123456789abcdef0"
MEGABYTES = 5


async def _answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """The commands that the test servers know; any other is exit 127."""
    command = process.command or ""
    if command == "loud":
        # Blocks of both streams in turn, more than both windows: whoever reads one stream first hangs.
        for _ in range(MEGABYTES * 16):
            process.stdout.write(b"o" * 65536)
            process.stderr.write(b"e" * 65536)
            await process.stdout.drain()
            await process.stderr.drain()
        process.exit(0)
    elif command == "cat":
        while data := await process.stdin.read(65536):
            process.stdout.write(data)
            await process.stdout.drain()
        process.exit(0)
    elif command == "half-deaf":
        process.exit(0)
    elif command == "sleep":
        process.stderr.write(b"still at it\n")
        await asyncio.sleep(60)
    elif command == "drop":
        process.stdout.write(b"half")
        await process.stdout.drain()
        process.channel.get_connection().abort()
    elif command == "killed":
        process.exit_with_signal("KILL")
    elif command == "umlaut":
        process.stdout.write("Grüße ".encode() + b"\xff")
        process.exit(0)
    elif command.startswith("echo "):
        process.stdout.write(command.removeprefix("echo ").encode() + b"\n")
        process.exit(0)
    elif command.startswith("complain "):
        process.stderr.write(command.removeprefix("complain ").encode() + b"\n")
        process.exit(3)
    else:
        process.stderr.write(f"sh: {command}: not found\n".encode())
        process.exit(127)


@dataclass
class Server:
    """A running server. `connections` counts the logins that came to an end well."""

    port: int
    host_key: asyncssh.SSHKey
    loop: asyncio.AbstractEventLoop
    acceptor: asyncssh.SSHAcceptor
    live: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    connections: int = 0

    def drop_connections(self) -> None:
        """Cut every connection, as a power cut does."""

        async def drop() -> None:
            for connection in self.live:
                connection.abort()
            self.live.clear()

        asyncio.run_coroutine_threadsafe(drop(), self.loop).result(10)

    def stop(self) -> None:
        """Stop listening and cut every connection."""

        async def stop() -> None:
            self.acceptor.close()
            await self.acceptor.wait_closed()

        self.drop_connections()
        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def client_key(tmp_path: Path) -> Path:
    """The operator's private key."""
    path = tmp_path / "operator"
    path.write_text(generate_private_key())
    path.chmod(0o600)
    return path


StartServer = Callable[..., Server]


@pytest.fixture
def start_server(loop: asyncio.AbstractEventLoop, client_key: Path) -> Iterator[StartServer]:
    """Start servers that let `client_key` in: `start_server(port=0, host_keys=[...])`."""
    servers: list[Server] = []

    def start(port: int = 0, host_keys: list[asyncssh.SSHKey] | None = None) -> Server:
        keys = host_keys or [asyncssh.generate_private_key("ssh-ed25519")]
        server = asyncio.run_coroutine_threadsafe(_listen(loop, client_key, port, keys), loop).result(10)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


async def _listen(
    loop: asyncio.AbstractEventLoop, client_key: Path, port: int, host_keys: list[asyncssh.SSHKey]
) -> Server:
    authorized = asyncssh.import_authorized_keys(asyncssh.read_private_key(client_key).export_public_key().decode())
    started: list[Server] = []

    class Login(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self.connection = conn

        def auth_completed(self) -> None:
            started[0].live.append(self.connection)
            started[0].connections += 1

        def public_key_auth_supported(self) -> bool:
            return True

    options: dict[str, Any] = {"authorized_client_keys": authorized, "encoding": None, "process_factory": _answer}
    acceptor = await asyncssh.create_server(Login, "127.0.0.1", port, server_host_keys=host_keys, **options)
    started.append(Server(acceptor.get_port(), host_keys[0], loop, acceptor))
    return started[0]


@dataclass
class Operator:
    """The operator's side: a known_hosts file, a log, and connections that are closed with the test."""

    folder: Path
    key: Path
    log: list[str] = field(default_factory=list)
    connectors: list[ParamikoConnector] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        return self.folder / ".dockeree" / "demo" / "known_hosts"

    def connector(self, server: Server, **options: Any) -> ParamikoConnector:
        made = connector(
            config.Ssh(user=USER),
            options.pop("key", self.key),
            self.known_hosts,
            self.log.append,
            options.pop("port", server.port),
            **options,
        )
        self.connectors.append(made)
        return made

    def connect(self, server: Server, **options: Any) -> ParamikoRemote:
        return self.connector(server, **options)(name="manager-a", host="127.0.0.1", host_key_id=INSTANCE_ID)


@pytest.fixture
def operator(tmp_path: Path, client_key: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """An operator without an agent."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    operator = Operator(tmp_path, client_key)
    yield operator
    for made in operator.connectors:
        made.close()
