"""A server of the lab in a network namespace: a child process, in the lab's cgroup, awaited until it listens."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.world import LabError

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.02
LISTENING = "0A"
"""TCP_LISTEN as /proc/net/tcp writes it."""

ENTER = r"""
set -e
entrances=$1
shift
for entrance in $entrances; do echo $$ >"$entrance"; done
exec "$@"
"""


class NamespaceService:
    """One server process. Its cgroup is how it is found after a `kill -9` of the lab."""

    def __init__(
        self, *, name: str, command: Sequence[str], namespace: str, port: int, cgroup: Cgroup, log: Path
    ) -> None:
        self.name = name
        self._command = command
        self._namespace = namespace
        self._port = port
        self._cgroup = cgroup
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return when it listens. Raises LabError with the end of its log when it does not."""
        self._cgroup.create()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        entrances = " ".join(str(entrance) for entrance in self._cgroup.entrances())
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", ENTER, "sh", entrances, "ip", "netns", "exec", self._namespace, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._listens(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                last_lines = " / ".join(self._log.read_text(errors="replace").strip().splitlines()[-5:])
                self.close()
                raise LabError(f"{self.name} did not start: {last_lines or '(nothing in its log)'}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End the server and its children. Harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._cgroup.kill()
        self._cgroup.remove()

    def _listens(self, pid: int) -> bool:
        """Whether a socket listens on the port in the process's network namespace."""
        if self._namespace_of(pid) != self._inode_of_namespace():
            return False
        wanted = f":{self._port:04X}"
        for table in ("tcp", "tcp6"):
            try:
                lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            except (FileNotFoundError, ProcessLookupError, OSError):
                return False
            if any(fields[1].endswith(wanted) and fields[3] == LISTENING for fields in map(str.split, lines)):
                return True
        return False

    def _namespace_of(self, pid: int) -> int | None:
        try:
            return Path(f"/proc/{pid}/ns/net").stat().st_ino
        except (FileNotFoundError, ProcessLookupError):
            return None

    def _inode_of_namespace(self) -> int:
        return Path("/run/netns", self._namespace).stat().st_ino
