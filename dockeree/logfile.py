"""The full log of one run: everything that the screen leaves out, in a file of its own that is kept.

`~/.local/state/dockeree/NAME/2026-11-24T03-35-12-up.log` (the user's state folder), 0600, a timestamp a line, secrets
replaced. A command that only looks (`status`) keeps its lines in memory and writes them when it fails.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from dockeree.redaction import redact

KEPT_IN_MEMORY = 10_000
"""Lines of a deferred log; the oldest go first."""


class LogFile:
    """A run's log. Any thread may write; every line is on its way to the disk when `write` returns."""

    def __init__(self, folder: Path, command: str, *, deferred: bool = False) -> None:
        self._folder = folder
        self._command = command
        self._mutex = threading.RLock()
        self._deferred: deque[str] | None = deque(maxlen=KEPT_IN_MEMORY) if deferred else None
        self._descriptor: int | None = None
        self._path: Path | None = None
        self.line_count = 0

    @classmethod
    def create(cls, cluster: str, command: str, *, deferred: bool = False) -> LogFile:
        """The log of a run of `command` on `cluster`, in the user's state folder."""
        return cls(log_folder(cluster), command, deferred=deferred)

    @property
    def path(self) -> Path | None:
        """The file, None as long as nothing has been written to one."""
        return self._path

    def write(self, text: str) -> None:
        """Add `text`, each of its lines with the time (UTC)."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        lines = [f"{now}Z {line}\n" for line in redact(text).splitlines() or [""]]
        with self._mutex:
            self.line_count += len(lines)
            if self._deferred is not None:
                self._deferred.extend(lines)
            else:
                self._append("".join(lines))

    def keep(self) -> Path:
        """Write a deferred log's lines to its file, and everything that follows. Returns the file."""
        with self._mutex:
            lines, self._deferred = self._deferred or (), None
            self._append("".join(lines))
            assert self._path is not None
            return self._path

    def close(self) -> None:
        """Close the file; writing again opens another."""
        with self._mutex:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _append(self, text: str) -> None:
        if self._descriptor is None:
            self._descriptor, self._path = _create(self._folder, self._command)
        data = text.encode(errors="backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]


def log_folder(cluster: str) -> Path:
    """Where the logs of `cluster` are kept."""
    return platformdirs.user_state_path("dockeree") / cluster


def _create(folder: Path, command: str) -> tuple[int, Path]:
    """A new file, never an old one: two runs may begin in the same second."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while True:
        path = folder / (f"{began}-{command}.log" if number == 1 else f"{began}-{number}-{command}.log")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            return os.open(path, flags, 0o600), path
        except FileExistsError:
            number += 1
