"""A lab with simulated nodes for one test module, and the proof that nothing of it is left afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockeree.lab import control
from dockeree.lab.control import RunningLab

LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""


@contextmanager
def simulated_lab(topic: str, time_scale: float = 0.005) -> Iterator[RunningLab]:
    """Start a lab of this process's own; stop it, and look whether it left a process, a socket or a file."""
    name = f"{topic}-{os.getpid()}"
    lab = control.start(name, "simulated", time_scale)
    try:
        yield lab
        sockets = listening_sockets(lab.process.pid)
        assert sockets, "the search for listening sockets finds none of a lab that runs"
    finally:
        control.stop(name)
    assert not lab.process.is_alive()
    assert processes_of_session(lab.process.pid) == []
    assert sockets & listening_sockets() == set()
    assert not lab.settings.runtime_dir.exists()
    assert not lab.settings.disk_dir.exists()


def listening_sockets(pid: int | None = None) -> set[str]:
    """The inodes of all TCP sockets that listen on this machine, or of those that process `pid` has open."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        inodes |= {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING}
    return inodes if pid is None else inodes & _open_files(pid)


def _open_files(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(link.readlink()))
        except FileNotFoundError:
            continue  # closed since
    return found


def processes_of_session(leader: int) -> list[int]:
    """Process ids of the session that process `leader` began: everything it ever started and did not let go."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
