"""What the node images are made of: packages, files and units switched on and off.

An image is three layers, each on the one before, each rebuilt only when what it is made of changes:

- `base`: a minimal Debian with systemd, sshd and cloud-init (packages alone, from debootstrap);
- `baked` or `bare`: the engine inside, for speed; or as Canonical ships its image, no engine and apt's timers on;
- `baked-settings` or `bare-settings`: the files below `rootfs/`, which mirror the image's root, and the units.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
ROOTFS = Path(__file__).parent / "rootfs"
FORMAT = 2
"""Raised when image.py itself makes something else of the same recipe."""


@dataclass(frozen=True)
class Recipe:
    """One tree: what is installed into it and what is switched on or off."""

    name: str
    packages: tuple[str, ...]
    enabled: tuple[tuple[str, str], ...] = ()
    """(unit, target that wants it)."""
    masked: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    """Units that a package switched on."""


BASE = Recipe(
    name="base",
    packages=(
        "systemd",
        "systemd-sysv",
        "dbus",
        "openssh-server",
        "sudo",
        "iproute2",
        "iptables",
        "curl",
        "ca-certificates",
        "cloud-init",
        # cloud-init needs it, and debootstrap, which does not follow alternatives, leaves it out.
        "python3-cffi-backend",
        "netbase",
        "kmod",
        "procps",
        "iputils-ping",
    ),
    enabled=(("cgroups-writable.service", "sysinit.target"),),
    masked=(
        # What belongs to hardware that a container does not have.
        "getty.target",
        "console-getty.service",
        "systemd-pstore.service",
        "systemd-binfmt.service",
        "proc-sys-fs-binfmt_misc.automount",
        "systemd-random-seed.service",
        "systemd-modules-load.service",
        "kmod-static-nodes.service",
        "modprobe@.service",
        "dev-hugepages.mount",
        "sys-kernel-config.mount",
        "sys-kernel-debug.mount",
        "sys-kernel-tracing.mount",
        "sys-fs-fuse-connections.mount",
        "systemd-pcrphase.service",
        "systemd-pcrphase-sysinit.service",
        "systemd-ask-password-console.path",
        "systemd-ask-password-wall.path",
        "cloud-init-hotplugd.socket",
        "e2scrub_reap.service",
        "e2scrub_all.timer",
        "fstrim.timer",
        "dpkg-db-backup.timer",
        # Bookkeeping of logins that nothing reads.
        "systemd-update-utmp.service",
        "systemd-update-utmp-runlevel.service",
    ),
)

BAKED = Recipe(
    name="baked",
    packages=("docker.io", "python3-boto3"),
    masked=("apt-daily.timer", "apt-daily-upgrade.timer"),
    # The engine starts when it is first asked for (docker.socket), so that whoever configures it before that does not
    # pay for two starts: half a second of a core on each node. Whoever wants it at each boot enables it.
    disabled=("docker.service", "containerd.service"),
)

BARE = Recipe(name="bare", packages=("unattended-upgrades",))

SETTLE = r"""
python3 -m compileall -q -l /usr/lib/python3/dist-packages
for unit in "$@"; do systemctl --quiet disable "$unit"; done
"""
"""Run in the image at the end, with the units to switch off: byte code saves each Python of a boot a compilation."""

VARIANTS = {"baked": BAKED, "bare": BARE}


def base_key() -> str:
    """What the base layer depends on, as a short hash."""
    return _key(platform.machine(), SUITE, *BASE.packages)


def packages_key(variant: Recipe) -> str:
    """What a variant's packages depend on."""
    return _key(base_key(), *variant.packages)


def settings_key(variant: Recipe) -> str:
    """What a variant's settings depend on: files and units of the base and its own."""
    files = [path for tree in (BASE, variant) for path in files_of(tree)]
    contents = [f"{path.relative_to(ROOTFS)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return _key(SETTLE, str([(tree.enabled, tree.masked, tree.disabled) for tree in (BASE, variant)]), *contents)


def files_of(tree: Recipe) -> list[Path]:
    """The files that a recipe lays over the image."""
    return sorted(path for path in (ROOTFS / tree.name).rglob("*") if path.is_file() and path.suffix != ".pyc")


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join((str(FORMAT), *parts)).encode()).hexdigest()[:12]
