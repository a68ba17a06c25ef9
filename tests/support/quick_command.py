"""`dockeree …` in a process of its own, with waits that are twenty times as fast, and perhaps a sudden death.

For stories that run the command a hundred times, or whose waits take ten minutes. The processes are forks of one that
has imported everything already.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dockeree.commands.common as common
from dockeree.commands.main import run
from dockeree.context import Cluster

SPEED = 20.0
KILLED = -signal.SIGKILL
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["boto3", "dockeree.commands.common", "dockeree.ssh.connect", "dockeree.workflows.destroy", "rich.live"]
)


class QuickClock:
    """Twenty seconds a second: the tool waits between two looks as for AWS, and the lab takes less time than AWS."""

    def now(self) -> float:
        return time.monotonic() * SPEED

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / SPEED)


@dataclass(frozen=True)
class Ended:
    """How a command ended; `code` is KILLED after a `kill -9`."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class QuickCommand:
    """`dockeree ARGUMENTS` in `folder`, where config.yaml is.

    It kills itself at `boundary` between two steps (`before:KEY`, `after:KEY`), if there is one. The boundaries that it
    passes are appended to the file `passed`, a line each.
    """

    arguments: tuple[str, ...]
    folder: Path
    environment: dict[str, str]
    boundary: str = ""
    passed: Path | None = None

    def run(self) -> Ended:
        """Run it to its end."""
        with tempfile.TemporaryDirectory() as outputs:
            stdout, stderr = Path(outputs, "stdout"), Path(outputs, "stderr")
            process = FORKS.Process(target=_perform, args=(self, stdout, stderr))
            process.start()
            process.join()
            code = process.exitcode
            process.close()
            assert code is not None
            return Ended(code, stdout.read_text(), stderr.read_text())


def _perform(command: QuickCommand, stdout: Path, stderr: Path) -> None:
    os.environ.clear()
    os.environ.update(command.environment)
    os.chdir(command.folder)
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    common.Cluster = partial(  # type: ignore[misc,assignment]
        Cluster, clock=QuickClock(), between_steps=lambda boundary: _at_boundary(command, boundary)
    )
    sys.exit(run(command.arguments))


def _at_boundary(command: QuickCommand, boundary: str) -> None:
    if command.passed is not None:
        with command.passed.open("a") as passed:
            passed.write(f"{boundary}\n")
    if boundary == command.boundary:
        os.kill(os.getpid(), signal.SIGKILL)
