"""A cgroup for each node: where its processes are found, ended and counted, with or without the lab's process.

Every process of a node (systemd-nspawn, the node's init, the engine's containers) lives below
`dockeree-TAG/INSTANCE` in each hierarchy that the host has mounted: one on cgroup v2, a dozen on v1, both in hybrid
mode. The kernel keeps that list, so no pid that was used twice can be mistaken for a node's.

The folders lie at the root of the hierarchies, as those of other container managers without systemd do: below the
lab's own cgroup, v2 would refuse them its controllers ("no internal processes").
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from dockeree.lab.world import LabError

KILL_TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.02


def hierarchies() -> list[tuple[Path, str]]:
    """The cgroup hierarchies of this host: where mounted, and `cgroup` (v1) or `cgroup2`."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind in ("cgroup", "cgroup2"):
            found.append((Path(before.split()[4]), kind))
    return found


class Cgroup:
    """The same path in every hierarchy. `name` is relative: `dockeree-d12ab34` or `dockeree-d12ab34/i-0abc`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self) -> None:
        """Make the folders, with every controller that the host gives. Harmless when they are there."""
        try:
            mounted = hierarchies()
            # In hybrid mode the controllers are v1's, and v2's tree is there for systemd's own bookkeeping.
            is_pure_v2 = all(kind == "cgroup2" for _, kind in mounted)
            for mount, kind in mounted:
                folder = mount
                for part in Path(self.name).parts:
                    if is_pure_v2:
                        _delegate_controllers(folder)
                    folder = folder / part
                    folder.mkdir(exist_ok=True)
                    if kind == "cgroup" and (folder / "cpuset.cpus").exists():
                        _inherit_cpuset(folder)
        except OSError as error:
            raise LabError(f"The cgroup {self.name} could not be made: {error}") from error

    def entrances(self) -> list[Path]:
        """The files into which a process writes its id to enter the cgroup."""
        return [folder / "cgroup.procs" for folder in self._folders()]

    def pids(self) -> set[int]:
        """Every process in the cgroup and below."""
        found: set[int] = set()
        for top in self._folders():
            for folder, _, _ in os.walk(top):
                # A cgroup may vanish between the walk and the reading.
                with contextlib.suppress(FileNotFoundError, OSError):
                    found.update(int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())
        # 0 stands for processes of a pid namespace that this process does not see.
        return found - {0}

    def kill(self, timeout_seconds: float = KILL_TIMEOUT_SECONDS) -> None:
        """End every process with SIGKILL and return when none is left.

        Raises LabError when some survive `timeout_seconds` (hanging in the kernel).
        """
        deadline = time.monotonic() + timeout_seconds
        while pids := self.pids():
            if time.monotonic() > deadline:
                raise LabError(f"Processes {sorted(pids)} of {self.name} do not end")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def remove(self, timeout_seconds: float = KILL_TIMEOUT_SECONDS) -> None:
        """Remove the empty cgroup and all below it. Raises LabError when the kernel keeps one busy."""
        deadline = time.monotonic() + timeout_seconds
        for top in self._folders():
            while top.exists():
                for folder, _, _ in os.walk(top, topdown=False):
                    with contextlib.suppress(FileNotFoundError, OSError):
                        os.rmdir(folder)
                if top.exists():
                    if time.monotonic() > deadline:
                        raise LabError(f"The cgroup {top} is busy and could not be removed")
                    time.sleep(POLL_SECONDS)

    def _folders(self) -> list[Path]:
        return [mount / self.name for mount, _ in hierarchies() if (mount / self.name).is_dir()]


def _delegate_controllers(folder: Path) -> None:
    for controller in (folder / "cgroup.controllers").read_text().split():
        # Some are refused for reasons of the host's (cpu beside real-time processes): the node does without.
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(folder: Path) -> None:
    """A new v1 cpuset is empty, and no process may enter it then."""
    for setting in ("cpuset.mems", "cpuset.cpus"):
        if not (folder / setting).read_text().strip():
            (folder / setting).write_text((folder.parent / setting).read_text().strip())
