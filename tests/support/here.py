"""A Remote that is this machine: command lines run by a real shell."""

from __future__ import annotations

import subprocess
from typing import Any

from dockeree.errors import CommandFailed
from dockeree.ssh.remote import Result


class Here:
    """A node that is this machine; keeps the command lines."""

    name = "manager-a"

    def __init__(self) -> None:
        self.commands: list[str] = []

    def run(self, command: str, *, stdin: bytes | None = None, check: bool = True, **_: Any) -> Result:
        self.commands.append(command)
        ended = subprocess.run(["sh", "-c", command], input=stdin, capture_output=True, check=False)
        if check and ended.returncode:
            raise CommandFailed(self.name, command, ended.returncode, ended.stderr.decode())
        return Result(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def read_bytes(self, command: str, *, stdin: bytes | None = None, **_: Any) -> bytearray:
        self.commands.append(command)
        ended = subprocess.run(["sh", "-c", command], input=stdin, capture_output=True, check=False)
        if ended.returncode:
            raise CommandFailed(self.name, command, ended.returncode, ended.stderr.decode())
        return bytearray(ended.stdout)

    def close(self) -> None:
        return None
