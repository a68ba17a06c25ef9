"""The host's kernel limits that machines share with everything else of root's, raised while labs run.

inotify: systemd, dbus and the engine of each node take about six instances, and Linux's default for all of a user's
processes together is 128: the systemd of the twentieth node would not start.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from dockeree.lab.nodes.machines.cgroups import hierarchies
from dockeree.lab.world import LabError

NEEDED = {"/proc/sys/fs/inotify/max_user_instances": 8192}
BEFORE = Path("/run/dockeree-lab-limits")
"""What the limits were before the first lab; gone with the last one."""


def raise_limits() -> None:
    """Raise what is too low. Raises LabError where the kernel refuses."""
    with _limits_before() as file:
        before = _read(file)
        try:
            for path, needed in NEEDED.items():
                value = int(Path(path).read_text())
                if value < needed:
                    before.setdefault(path, value)
                    _write(file, before)
                    Path(path).write_text(str(needed))
        except OSError as error:
            raise LabError(f"The kernel's limit {error.filename} could not be raised: {error.strerror}") from error


def restore_limits(lab_cgroup_name: str) -> None:
    """Set the limits back, unless another lab than that of this cgroup has machines. Harmless where none was raised."""
    others = [
        path
        for mount, _ in hierarchies()[:1]
        for path in mount.glob("dockeree-d*")
        if path.is_dir() and path.name != lab_cgroup_name
    ]
    if others or not BEFORE.exists():
        return
    with _limits_before() as file:
        for path, value in _read(file).items():
            # Somebody else's change since then stays.
            if int(Path(path).read_text()) == NEEDED.get(path):
                Path(path).write_text(str(value))
        BEFORE.unlink(missing_ok=True)


@contextmanager
def _limits_before() -> Iterator[TextIOWrapper]:
    with BEFORE.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _read(file: TextIOWrapper) -> dict[str, int]:
    file.seek(0)
    content: dict[str, int] = json.loads(file.read() or "{}")
    return content


def _write(file: TextIOWrapper, content: dict[str, int]) -> None:
    file.seek(0)
    file.truncate()
    json.dump(content, file)
    file.flush()
