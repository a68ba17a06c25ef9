"""Overlay layers: folders that a node image is built in, and commands run inside them.

Mounts live in a mount namespace of the command and end with it, however it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dockeree.lab.nodes.machines.host import proxy_environment, run

RUN_TIMEOUT_SECONDS = 1800

ENTER = r"""
set -e
lower=$1 upper=$2 work=$3 root=$4
shift 4
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$(readlink -f /etc/resolv.conf)" "$root/etc/resolv.conf"
exec chroot "$root" /bin/sh -ec "$@"
"""


@dataclass(frozen=True)
class Layer:
    """The folders of an overlay that is being written."""

    upper: Path
    work: Path
    root: Path


def new_layer(folder: Path) -> Layer:
    """Make a layer's folders in an existing folder. The mode of `upper` is the mode of `/` in the image."""
    layer = Layer(folder / "upper", folder / "work", folder / "root")
    for path in (layer.upper, layer.work, layer.root):
        path.mkdir()
        path.chmod(0o755)
    return layer


def make_folders(folder: Path, root: Path) -> None:
    """Make `folder` and its parents below `root`, mode 755 whatever the umask: it shows through the overlay."""
    missing = [parent for parent in (folder, *folder.parents) if parent.is_relative_to(root) and not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir()
        parent.chmod(0o755)


def run_in_layer(below: tuple[Path, ...], layer: Layer, script: str, *words: str, what: str) -> str:
    """Run a shell script as root with the overlay as its root and the host's network, and return its output.

    `below` are the layers it lies on, uppermost first; `words` become the script's arguments.
    Raises LabError with `what` when the script fails.
    """
    lower = ":".join(str(path) for path in below)
    paths = [lower, str(layer.upper), str(layer.work), str(layer.root)]
    return run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", *paths, script, "sh", *words],
        what=what,
        environment={**proxy_environment(), "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        timeout_seconds=RUN_TIMEOUT_SECONDS,
    )
