"""`dockeree …` in a process of its own, with waits that are many times as fast, and perhaps a sudden death.

For stories that run the command a hundred times, or whose waits take ten minutes. The processes are forks of one that
has imported everything already: this module, run as a program. (multiprocessing's fork server does not do: a process
that ends while another thread starts one may lose its exit code.)
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

SPEED = 20.0
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class QuickClock:
    """`speed` seconds a second: the tool waits between two looks as for AWS, and the lab takes less time than AWS."""

    speed: float

    def now(self) -> float:
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)


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
    folder: str
    environment: dict[str, str]
    boundary: str = ""
    passed: str = ""
    speed: float = SPEED

    def run(self) -> Ended:
        """Run it to its end. May be called from several threads."""
        with tempfile.TemporaryDirectory() as outputs, _borrowed() as forker:
            stdout, stderr = Path(outputs, "stdout"), Path(outputs, "stderr")
            code = forker.ask({"command": asdict(self), "stdout": str(stdout), "stderr": str(stderr)})
            return Ended(code, stdout.read_text(), stderr.read_text())


class _Forker:
    """The process that forks, one command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.quick_command"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, job: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:
            pass  # closes its input, which ends it, and waits


_idle: queue.LifoQueue[_Forker] = queue.LifoQueue()


@contextlib.contextmanager
def _borrowed() -> Any:
    try:
        forker = _idle.get_nowait()
    except queue.Empty:
        forker = _Forker()
    yield forker
    _idle.put(forker)


@atexit.register
def _close_all() -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            _idle.get_nowait().close()


def main() -> None:
    """Fork for each line of standard input, and answer how the fork ended."""
    import boto3  # noqa: F401

    import dockeree.ssh.connect
    import dockeree.workflows.destroy  # noqa: F401

    while line := sys.stdin.readline():
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _perform(QuickCommand(**job["command"]), job["stdout"], job["stderr"])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _perform(command: QuickCommand, stdout: str, stderr: str) -> None:
    """In the fork: what the command line does, with another clock. Does not return."""
    import dockeree.commands.common as common
    from dockeree.commands.main import run
    from dockeree.context import Cluster

    os.environ.clear()
    os.environ.update(command.environment)
    os.chdir(command.folder)
    for number, path, mode in ((0, os.devnull, os.O_RDONLY), (1, stdout, os.O_WRONLY), (2, stderr, os.O_WRONLY)):
        opened = os.open(path, mode | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    common.Cluster = partial(  # type: ignore[misc,assignment]
        Cluster, clock=QuickClock(command.speed), between_steps=lambda boundary: _at_boundary(command, boundary)
    )
    code = 1
    try:
        code = run(command.arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _at_boundary(command: QuickCommand, boundary: str) -> None:
    if command.passed:
        with Path(command.passed).open("a") as passed:
            passed.write(f"{boundary}\n")
    if boundary == command.boundary:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
