"""Takes a lab's machines away without the process that made them: after `lab stop`, after a `kill -9` of the lab."""

from __future__ import annotations

import shutil

from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.limits import restore_limits
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import LabError


def lab_cgroup(settings: LabSettings) -> Cgroup:
    """The cgroup that holds every process of a lab's machines, and its registry and apt repository."""
    return Cgroup(f"dockeree-{settings.tag}")


def remove_machines(settings: LabSettings) -> None:
    """End every process of the lab's machines, remove their disks, consoles and cgroups. Harmless when none is there.

    Mounts need no care: they live in mount namespaces that end with the processes.

    Raises LabError naming what stays.
    """
    cgroup = lab_cgroup(settings)
    cgroup.kill()
    cgroup.remove()
    for folder in (settings.disk_dir, settings.runtime_dir / "consoles"):
        if folder.exists():
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise LabError(f"{folder} could not be removed: {error}") from error
    restore_limits(cgroup.name)
