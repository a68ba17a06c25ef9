"""Log lines as the installers write them, on standard error, and the error that ends a program.

on a terminal            INFO[0007] Establishing mutual Cluster Root CA with Swarm
without                  time="2026-11-24T05:00:00Z" level=info msg="Establishing …"
--jsonlog                {"level":"info","msg":"Establishing …","time":"2026-11-24T05:00:00Z"}
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

SHORT = {"debug": "DEBU", "info": "INFO", "warning": "WARN", "error": "ERRO", "fatal": "FATA"}


class Fatal(Exception):
    """The program cannot go on: its message is logged as fatal, its exit code is 1."""


class Log:
    """A logger. `debug` shows debug lines, `as_json` is what --jsonlog asks for."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._started = time.monotonic()
        self.shows_debug = False
        self.as_json = False

    def debug(self, message: str) -> None:
        """Shown with --debug only."""
        if self.shows_debug:
            self._write("debug", message)

    def info(self, message: str) -> None:
        """What is being done."""
        self._write("info", message)

    def warning(self, message: str) -> None:
        """What may be wrong; the program goes on."""
        self._write("warning", message)

    def error(self, message: str) -> None:
        """What failed; the program may go on."""
        self._write("error", message)

    def fatal(self, message: str) -> None:
        """The last line."""
        self._write("fatal", message)

    def _write(self, level: str, message: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.as_json:
            line = json.dumps({"level": level, "msg": message, "time": now}, separators=(",", ":"))
        elif self._stream.isatty():
            line = f"{SHORT[level]}[{int(time.monotonic() - self._started):04d}] {message}"
        else:
            line = f'time="{now}" level={level} msg={json.dumps(message, ensure_ascii=False)}'
        print(line, file=self._stream, flush=True)
