"""A lab from the outside: start it, ask it, stop it. Works without the lab's process too, as after a `kill -9`.

Every lab has a runtime folder (settings.py) that holds what is needed to find and end it:

- `settings.json`: name, node kind, slot, time scale; written before anything is started;
- `lab.json`: process id, endpoint, the operator's keys; written when the lab answers;
- `lab.log`: what the lab's process said.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from dockeree.lab.process import Process
from dockeree.lab.settings import DEFAULT_NAME, LabSettings, NodeKind, runtime_root
from dockeree.lab.world import LabError

START_TIMEOUT_SECONDS = 900.0
"""Building the node image takes some minutes, the first time."""
STOP_TIMEOUT_SECONDS = 60.0

Progress = Callable[[str], None]

_children: list[subprocess.Popen[bytes]] = []
"""Labs started by this process: the lab outlives the command that starts it, so nobody waits for it here."""


@dataclass(frozen=True)
class RunningLab:
    """A lab that answers: its settings and how to reach it. `why_simulated` is empty where real machines run."""

    settings: LabSettings
    process: Process
    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    operator_address: str
    ssh_port: int
    why_simulated: str

    def environment(self) -> dict[str, str]:
        """The environment in which the tool, and any AWS client, works against this lab."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
            "DOCKEREE_ADDRESS_URL": f"{self.endpoint_url}/lab/address",
            "DOCKEREE_SSH_PORT": str(self.ssh_port),
        }


def lab_name() -> str:
    """The lab that is meant: DOCKEREE_LAB, else `default`."""
    return os.environ.get("DOCKEREE_LAB") or DEFAULT_NAME


def ensure_started(name: str | None = None, progress: Progress = lambda text: None) -> dict[str, str]:
    """Start the lab unless it runs, and return the environment to work in (RunningLab.environment)."""
    wanted = name or lab_name()
    running = find(wanted) or start(wanted, progress=progress)
    return running.environment()


def find(name: str) -> RunningLab | None:
    """The lab of that name, None when it does not run (or its process died)."""
    try:
        known = json.loads((runtime_root() / name / "lab.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    known["settings"] = LabSettings(**known["settings"])
    known["process"] = Process(**known["process"])
    lab = RunningLab(**known)
    return lab if lab.process.is_alive() else None


def start(
    name: str,
    nodes: NodeKind | None = None,
    time_scale: float | None = None,
    progress: Progress = lambda text: None,
) -> RunningLab:
    """Start a lab and wait until it answers.

    `nodes` None picks real machines where they can run. Raises LabError with the reason when it cannot start, or
    when a lab of that name runs already.
    """
    with _starting():
        if find(name) is not None:
            raise LabError(f"lab {name} runs already")
        clean_up(name)
        settings, why_simulated = _choose(name, nodes, time_scale)
        if why_simulated:
            progress(f"simulated nodes: {why_simulated}")
        settings.runtime_dir.mkdir(parents=True, mode=0o700)
        _write(settings.runtime_dir / "settings.json", dataclasses.asdict(settings))
    process = _spawn(settings, why_simulated)
    try:
        return _await_answer(settings, process, progress)
    except BaseException:
        stop(name)
        raise


def stop(name: str) -> bool:
    """End the lab and take away everything it made, whether its process still lives or not. True if there was one."""
    folder = runtime_root() / name
    if not folder.exists():
        return False
    process = _process_of(folder)
    if process is not None:
        process.end(signal.SIGTERM, STOP_TIMEOUT_SECONDS)
        _children[:] = [child for child in _children if child.poll() is None]
    clean_up(name)
    return True


def clean_up(name: str) -> None:
    """Take away what a lab of that name left: nodes, namespaces, mounts, host names, files. Needs no process."""
    folder = runtime_root() / name
    try:
        settings = LabSettings(**json.loads((folder / "settings.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        shutil.rmtree(folder, ignore_errors=True)
        return
    if settings.nodes == "machines":
        # Only a machine with these parts could have made anything that must be taken away.
        from dockeree.lab.network import remove_network  # noqa: PLC0415
        from dockeree.lab.nodes.machines import remove_machines  # noqa: PLC0415

        remove_machines(settings)
        remove_network(settings.tag)
    shutil.rmtree(settings.disk_dir, ignore_errors=True)
    shutil.rmtree(folder)


def names() -> list[str]:
    """Every lab that has a runtime folder, running or left behind."""
    root = runtime_root()
    return sorted(path.parent.name for path in root.glob("*/settings.json")) if root.exists() else []


def ask(lab: RunningLab, path: str, method: str = "GET", body: Any = None) -> Any:
    """Call one of the lab's own endpoints (`/lab/...`) and return its JSON (or text).

    Raises LabError when the lab does not answer or refuses.
    """
    request = urllib.request.Request(
        f"{lab.endpoint_url}/lab/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise LabError(f"lab {lab.settings.name}: {method} /lab/{path}: {error.read().decode() or error}") from error
    except OSError as error:
        raise LabError(f"lab {lab.settings.name} does not answer: {error}") from error
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """One start at a time picks its slot: two labs must not choose the same address range."""
    root = runtime_root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(root / ".starting"):
        yield


def _choose(name: str, nodes: NodeKind | None, time_scale: float | None) -> tuple[LabSettings, str]:
    from dockeree.lab.nodes.machines import why_not  # noqa: PLC0415

    why_simulated = ""
    if nodes != "simulated":
        why_simulated = why_not() or ""
        if why_simulated and nodes == "machines":
            raise LabError(f"real machines cannot run here: {why_simulated}")
    taken = {json.loads((runtime_root() / n / "settings.json").read_text())["slot"] for n in names()}
    slot = next(number for number in range(256) if number not in taken)
    kind: NodeKind = "simulated" if nodes == "simulated" or why_simulated else "machines"
    settings = LabSettings(name, kind, slot)
    return (settings if time_scale is None else dataclasses.replace(settings, time_scale=time_scale)), why_simulated


def _spawn(settings: LabSettings, why_simulated: str) -> Process:
    log = (settings.runtime_dir / "lab.log").open("ab")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    child = subprocess.Popen(
        [sys.executable, "-m", "dockeree.lab.daemon", str(settings.runtime_dir), why_simulated],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    log.close()
    _children.append(child)
    process = Process.of(child.pid)
    _write(settings.runtime_dir / "process.json", dataclasses.asdict(process))
    return process


def _await_answer(settings: LabSettings, process: Process, progress: Progress) -> RunningLab:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    told = 0
    while time.monotonic() < deadline:
        for line in _progress_lines(settings.runtime_dir)[told:]:
            progress(line)
            told += 1
        if (lab := find(settings.name)) is not None:
            return lab
        if not process.is_alive():
            raise LabError(f"lab {settings.name} did not start: {_last_words(settings.runtime_dir / 'lab.log')}")
        time.sleep(0.05)
    raise LabError(f"lab {settings.name} did not answer within {START_TIMEOUT_SECONDS:.0f} s")


def _progress_lines(folder: Path) -> list[str]:
    try:
        return (folder / "progress").read_text().splitlines()
    except FileNotFoundError:
        return []


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _process_of(folder: Path) -> Process | None:
    try:
        return Process(**json.loads((folder / "process.json").read_text()))
    except FileNotFoundError:
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    temporary.rename(path)
