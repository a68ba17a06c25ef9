"""Network namespaces: make and delete them, run tools in them, open sockets in them.

A thread may enter a namespace and come back. What it opens meanwhile (a socket, a child process) stays where it was
opened: so one process serves many networks, and its end closes every server.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from dockeree.lab.world import LabError

NAMESPACE_FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_TOOL_TIMEOUT_SECONDS = 60
_IP_BIND_ADDRESS_NO_PORT = 24
"""From linux/in.h; Python has a name for it from 3.12 on."""


@functools.cache
def _libc() -> ctypes.CDLL:
    # os.setns came with Python 3.12.
    return ctypes.CDLL(None, use_errno=True)


def _enter(descriptor: int) -> None:
    if _libc().setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread (no other) is inside `namespace` for the length of the block.

    Never await inside: the loop's other tasks run on the same thread. Raises LabError where there is no such
    namespace.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            there = os.open(NAMESPACE_FOLDER / namespace, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise LabError(f"no network namespace {namespace}") from error
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def run_tool(argv: Sequence[str], stdin: str = "") -> str:
    """Run a tool in the calling thread's namespace and return what it printed. Raises LabError with its stderr."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"`{' '.join(argv)}` could not run: {error}") from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
    return done.stdout


def ip_batch(lines: Sequence[str], namespace: str | None = None) -> None:
    """Give `ip` a batch of commands, in `namespace` or in the calling thread's own. Raises LabError at the first
    command that fails, and names it; what came before it stays done."""
    if not lines:
        return
    with inside(namespace) if namespace else nullcontext():
        try:
            run_tool(["ip", "-batch", "-"], "\n".join(lines) + "\n")
        except LabError as error:
            failed = re.search(r"Command failed -:(\d+)", str(error))
            if failed is None:
                raise
            command = lines[int(failed[1]) - 1]
            reason = str(error)[: failed.start()].partition("failed: ")[2].strip()
            raise LabError(f"`ip {command}` failed in {namespace or 'the host'}: {reason}") from error


def load_ruleset(namespace: str, ruleset: str) -> None:
    """Load an nftables file in a namespace: all of it or, with LabError, nothing."""
    with inside(namespace):
        run_tool(["nft", "-f", "-"], ruleset)


def exists(namespace: str) -> bool:
    """Whether a namespace of that name is there."""
    return (NAMESPACE_FOLDER / namespace).exists()


def names_with_prefix(prefix: str) -> list[str]:
    """Every namespace whose name begins with `prefix`."""
    if not NAMESPACE_FOLDER.exists():
        return []
    return sorted(path.name for path in NAMESPACE_FOLDER.iterdir() if path.name.startswith(prefix))


def create(namespaces: Sequence[str], sysctls: Sequence[tuple[str, str]]) -> None:
    """Make empty namespaces, their loopback up and `sysctls` (path below /proc/sys/net, value) set.

    A namespace that is there already (left by an attempt that failed half-way) is replaced.
    """
    left_over = [name for name in namespaces if exists(name)]
    ip_batch([f"netns del {name}" for name in left_over] + [f"netns add {name}" for name in namespaces])
    for name in namespaces:
        set_sysctls(name, sysctls)
        ip_batch(["link set lo up"], name)


def set_sysctls(namespace: str, sysctls: Iterable[tuple[str, str]]) -> None:
    """Write settings (path below /proc/sys/net, value) of a namespace. Raises LabError."""
    with inside(namespace):
        for path, value in sysctls:
            try:
                Path("/proc/sys/net", path).write_text(value)
            except OSError as error:
                raise LabError(f"network setting {path}={value} was refused: {error}") from error


def delete(namespaces: Iterable[str]) -> None:
    """Delete those of `namespaces` that are there. Interfaces in them go too, with their peers elsewhere."""
    ip_batch([f"netns del {name}" for name in namespaces if exists(name)])


def delete_link(namespace: str, link: str) -> None:
    """Delete an interface of a namespace, and so its peer, where both are there."""
    if not exists(namespace):
        return
    with inside(namespace):
        if link in {name for _, name in socket.if_nameindex()}:
            run_tool(["ip", "link", "del", link])


def listening_socket(namespace: str, address: str, port: int) -> socket.socket:
    """A TCP socket that listens inside `namespace`; the caller closes it. Raises OSError, LabError."""
    with inside(namespace):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def datagram_socket(namespace: str, address: str, port: int) -> socket.socket:
    """A UDP socket bound inside `namespace`; the caller closes it."""
    with inside(namespace):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        datagrams.bind((address, port))
    except OSError:
        datagrams.close()
        raise
    return datagrams


def outgoing_socket(namespace: str, source_address: str) -> socket.socket:
    """A TCP socket inside `namespace`, not blocking, that will connect from `source_address`."""
    with inside(namespace):
        outgoing = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        outgoing.setblocking(False)
        # The port is chosen when the peer is known: else one address could hold no more flows than it has ports.
        outgoing.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        outgoing.bind((source_address, 0))
    except OSError:
        outgoing.close()
        raise
    return outgoing
