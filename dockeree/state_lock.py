"""The local lock on a cluster: one command at a time on this machine, and a name for whoever holds it.

The lock is the operating system's own, on an open file: it ends with its holder, by `kill -9` too. Who holds it
stands in a second file, for the message alone.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from dockeree.errors import StateLocked
from dockeree.private_files import make_private_folder, write_private_file

ATTEMPTS = 1000


def owner_path(lock_path: Path) -> Path:
    """The file that says who holds the lock."""
    return lock_path.with_name(f"{lock_path.name}-owner")


@contextmanager
def hold_lock(lock_path: Path, name: str, command: str) -> Iterator[None]:
    """Hold the lock of cluster `name` while `command` works.

    Raises StateLocked with who holds it, where, since when and with which command.
    """
    lock = _acquire(lock_path, name)
    try:
        write_private_file(owner_path(lock_path), json.dumps(_this_process(command)).encode())
        yield
    finally:
        owner_path(lock_path).unlink(missing_ok=True)
        lock.release()


def _acquire(lock_path: Path, name: str) -> FileLock:
    for _ in range(ATTEMPTS):
        lock = FileLock(lock_path, timeout=0, mode=0o600, is_singleton=False)
        try:
            make_private_folder(lock_path.parent)
            lock.acquire()
        except (FileNotFoundError, FileExistsError):
            continue  # a command that ends at this moment takes the empty folder away under our hands
        except Timeout:
            break
        return lock
    raise StateLocked(
        f"another command works on {name}: {_describe_owner(lock_path)}",
        "Wait until it is done, or stop it with Ctrl-C; the lock ends with it.",
    )


def _describe_owner(lock_path: Path) -> str:
    try:
        owner = json.loads(owner_path(lock_path).read_text(encoding="utf-8"))
        return f"{owner['who']} on {owner['host']}, process {owner['pid']}, since {owner['since']}: {owner['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"it has just started, or ends at this moment ({lock_path})"


def _this_process(command: str) -> dict[str, object]:
    return {
        "who": _user_name(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no entry for this user id, as in some containers
        return f"uid {os.getuid()}"
