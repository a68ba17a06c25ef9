"""sshd of every simulated node: real SSH servers on the nodes' public addresses, one asyncio loop for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import asyncssh

from dockeree.lab.nodes.simulated.answer import Answer
from dockeree.lab.nodes.simulated.black_hole import BlackHole
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.machine import Machine, log
from dockeree.lab.nodes.simulated.shell import login, run_as, run_line
from dockeree.lab.world import LabError

USER = "ubuntu"
SSH_PORT = 22
OTHER_PORTS = (2222, 2022, 22022, 22222)
COMMAND_THREADS = 512
"""Commands that run (or wait) at the same time on all nodes together."""
AUTHORIZED_KEYS = f"/home/{USER}/.ssh/authorized_keys"
BACKLOG = 100
TURNS = 10
LOSSLESS = "surrogateescape"
T = TypeVar("T")
# At INFO asyncssh logs each command line.
logging.getLogger("asyncssh").setLevel(logging.WARNING)
Door = Literal["closed", "open", "silent"]
"""What a node's port 22 is: nobody there (refused), sshd, or no answer at all."""


def choose_port(address: str) -> int:
    """22 where this process may listen on it at `address`, else the first of a few others that are free.

    Without root 22 is refused, and a host whose own sshd listens on every address has it taken.
    """
    for port in (SSH_PORT, *OTHER_PORTS):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
            except OSError as error:
                log.info("port %d at %s: %s", port, address, error)
                continue
            return port
    raise LabError(f"no port for SSH is free at {address}: {SSH_PORT}, {', '.join(map(str, OTHER_PORTS))}")


class _Login(asyncssh.SSHServer):
    """Who may log in: the image's user, with a key of its authorized_keys."""

    def __init__(self, machine: Machine, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._machine = machine
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._connection is not None:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def password_auth_supported(self) -> bool:
        return False

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if username != USER:
            return False
        try:
            lines = self._machine.filesystem.read(AUTHORIZED_KEYS).decode().splitlines()
        except FileError:
            return False
        for line in lines:
            with contextlib.suppress(asyncssh.KeyImportError):
                if line.strip() and asyncssh.import_public_key(line).public_data == key.public_data:
                    return True
        return False


class SshServers:
    """The doors of all nodes. Methods may be called from any thread; they return when the door is as asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-sshd", daemon=True)
        self._executor = ThreadPoolExecutor(COMMAND_THREADS, thread_name_prefix="simulated-command")
        self._acceptors: dict[str, tuple[asyncssh.SSHAcceptor, socket.socket]] = {}
        self._holes: dict[str, BlackHole] = {}
        self._addresses: dict[str, str] = {}
        self._connections: dict[str, set[asyncssh.SSHServerConnection]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread.start()

    def set_door(self, machine: Machine, door: Door, host_keys: list[asyncssh.SSHKey]) -> None:
        """Make the node's door so. Raises LabError when its address cannot be listened at."""
        try:
            self._call(self._set_door(machine, door, host_keys))
        except OSError as error:
            raise LabError(f"{machine.id}: no SSH at {machine.spec.public_ip}:{self.port}: {error}") from error

    def drop_connections(self, instance_id: str) -> None:
        """Break every open connection of a node."""
        self._call(self._drop(instance_id))

    def close(self) -> None:
        """Close every door and end the loop."""
        if self._loop.is_closed():
            return
        self._call(self._close_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _set_door(self, machine: Machine, door: Door, host_keys: list[asyncssh.SSHKey]) -> None:
        address = machine.spec.public_ip
        is_open, is_silent = machine.id in self._acceptors, machine.id in self._holes
        stays = self._addresses.get(machine.id) == address and door == (
            "open" if is_open else "silent" if is_silent else "closed"
        )
        if stays:
            return
        await self._shut(machine.id)
        if address is None or door == "closed":
            return
        self._addresses[machine.id] = address
        if door == "silent":
            self._holes[machine.id] = BlackHole(address, self.port)
            return
        connections = self._connections.setdefault(machine.id, set())
        listener = socket.create_server((address, self.port), backlog=BACKLOG)
        acceptor = await asyncssh.listen(
            sock=listener,
            config=None,
            server_factory=functools.partial(_Login, machine, connections),
            process_factory=lambda process: self._start(machine, process),
            server_host_keys=host_keys,
            server_version="OpenSSH_9.6p1",
            encoding="utf-8",
            # Whatever bytes come, they go on unchanged.
            errors=LOSSLESS,
            backlog=BACKLOG,
            login_timeout=60,
            allow_scp=False,
            x11_forwarding=False,
            agent_forwarding=False,
            gss_host=None,
        )
        self._acceptors[machine.id] = (acceptor, listener)

    async def _shut(self, instance_id: str) -> None:
        opened, hole = self._acceptors.pop(instance_id, None), self._holes.pop(instance_id, None)
        self._addresses.pop(instance_id, None)
        if hole is not None:
            hole.close()
        if opened is not None:
            acceptor, listener = opened
            # asyncio loses the socket of a connection that it accepts in the turn in which its server is closed.
            self._loop.remove_reader(listener.fileno())
            await self._let_turn()
            acceptor.close()

    @staticmethod
    async def _let_turn() -> None:
        """Let the loop take the turns in which an accepted connection is set up, and an aborted one's socket closed."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def _drop(self, instance_id: str) -> None:
        for connection in list(self._connections.get(instance_id, ())):
            connection.abort()

    async def _close_all(self) -> None:
        for instance_id in {*self._acceptors, *self._holes}:
            await self._shut(instance_id)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for instance_id in list(self._connections):
            await self._drop(instance_id)
        await self._let_turn()

    def _start(self, machine: Machine, process: asyncssh.SSHServerProcess[str]) -> None:
        task = self._loop.create_task(self._serve(machine, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, machine: Machine, process: asyncssh.SSHServerProcess[str]) -> None:
        try:
            if process.command is None:
                await self._interact(machine, process)
                return
            command = process.command

            def read_stdin() -> bytes:
                text = asyncio.run_coroutine_threadsafe(process.stdin.read(), self._loop).result()
                return text.encode(errors=LOSSLESS)

            await self._finish(
                machine, process, await self._in_thread(lambda: run_as(machine, USER, command, read_stdin))
            )
        except (BrokenPipeError, ConnectionError, asyncssh.Error) as error:
            log.debug("%s: a client went away: %s", machine.id, error)
        except Exception:  # noqa: BLE001 - logged whole; the client sees a broken connection, other nodes nothing
            log.exception("%s: %s failed in the simulation itself", machine.id, process.command)
            process.channel.get_connection().abort()

    async def _in_thread(self, run: Callable[[], Answer]) -> Answer:
        return await self._loop.run_in_executor(self._executor, run)

    async def _finish(self, machine: Machine, process: asyncssh.SSHServerProcess[str], answer: Answer) -> None:
        if machine.is_cut:
            # The packets of a dead host do not come, not even to say so.
            await asyncio.Event().wait()
        if answer.is_dropped:
            process.channel.get_connection().abort()
            return
        process.stdout.write(_text(answer.stdout))
        process.stderr.write(_text(answer.stderr))
        await process.stdout.drain()
        process.exit(answer.exit_status)

    async def _interact(self, machine: Machine, process: asyncssh.SSHServerProcess[str]) -> None:
        """A prompt over the same commands, for a person who logs in."""
        has_terminal = process.term_type is not None
        session = login(machine, USER)
        process.stdout.write("Welcome to Ubuntu 24.04.2 LTS (simulated)\n" if has_terminal else "")
        while True:
            if has_terminal:
                folder = "~" if session.folder == session.variables["HOME"] else session.folder
                process.stdout.write(f"{USER}@{machine.hostname}:{folder}$ ")
            try:
                line = await process.stdin.readline()
            except asyncssh.BreakReceived:
                process.stdout.write("^C\n")
                continue
            except asyncssh.TerminalSizeChanged:
                continue
            if not line or line.strip() in ("exit", "logout"):
                process.exit(0)
                return
            answer = await self._in_thread(functools.partial(run_line, session, line.strip()))
            if answer.is_dropped:
                process.channel.get_connection().abort()
                return
            process.stdout.write(_text(answer.stdout))
            (process.stdout if has_terminal else process.stderr).write(_text(answer.stderr))


def _text(data: bytes) -> str:
    return data.decode(errors=LOSSLESS)
