"""The command line that boots a node, and how its processes are found afterwards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dockeree.lab.nodes.machines.cgroups import Cgroup
from dockeree.lab.nodes.machines.disk import NodeDisk

POWER_OFF_SIGNAL = "SIGRTMIN+4"
REBOOT_SIGNAL_OFFSET = 5
"""systemd powers off at SIGRTMIN+4 and reboots at SIGRTMIN+5."""

REBOOT_EXIT_STATUS = 133
"""systemd-nspawn with --keep-unit ends with it when the machine asked for a reboot."""

ENTER = r"""
set -e
entrances=$1 lower=$2 upper=$3 work=$4 root=$5
shift 5
for entrance in $entrances; do echo $$ >"$entrance"; done
mkdir -p /run/systemd/nspawn
exec unshare --mount --propagation slave sh -ec '
    mount -t tmpfs -o mode=700 tmpfs /run/systemd/nspawn
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
    shift 4
    exec "$@"
' sh "$lower" "$upper" "$work" "$root" "$@"
"""
"""Enters the node's cgroups, mounts its root in a mount namespace of its own, and becomes systemd-nspawn, one process
id all along. The mounts are gone with the last process, however that ends, and so are the lock files that
systemd-nspawn leaves behind when it is killed; slave, so that what the host unmounts is not kept here."""


def boot_command(
    *, machine: str, hostname: str, namespace: str, layers: Sequence[Path], disk: NodeDisk, cgroup: Cgroup
) -> list[str]:
    """The command that boots a node and lives as long as it has power; its standard output is the serial console."""
    nspawn = [
        "systemd-nspawn",
        f"--directory={disk.root}",
        f"--machine={machine}",
        f"--hostname={hostname}",
        "--boot",
        # No registration: the host need not run systemd. keep-unit: do not ask it for a scope either.
        "--register=no",
        "--keep-unit",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        f"--network-namespace-path=/run/netns/{namespace}",
        # What the engine needs: all capabilities, key rings for containers, BPF for cgroup v2's device rules.
        "--capability=all",
        "--system-call-filter=add_key keyctl request_key bpf perf_event_open",
        f"--bind={disk.engine}:/var/lib/docker",
        f"--kill-signal={POWER_OFF_SIGNAL}",
        "--console=read-only",
    ]
    entrances = " ".join(str(entrance) for entrance in cgroup.entrances())
    lower = ":".join(str(layer) for layer in layers)
    paths = [entrances, lower, str(disk.upper), str(disk.work), str(disk.root)]
    return ["sh", "-c", ENTER, "sh", *paths, *nspawn]


def boot_environment() -> dict[str, str]:
    """The environment of systemd-nspawn."""
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "LC_ALL": "C.UTF-8",
        # Else /proc/sys and /sys are read-only inside and the engine cannot turn on forwarding.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes",
    }


def leader_of(nspawn_pid: int) -> int | None:
    """The node's init, pid 1 of its pid namespace, as a pid of the host; None before it is there and after."""
    try:
        children = Path(f"/proc/{nspawn_pid}/task/{nspawn_pid}/children").read_text().split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text()
            ids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(ids) > 1 and ids[-1] == "1":
                return int(child)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None
