"""A lab's settings and where its things lie.

Runtime files of a lab live in one folder, which `lab stop` removes whole:
- as root `/run/dockeree-lab/NAME`, else `$XDG_RUNTIME_DIR/dockeree-lab/NAME` (or below the temporary folder);
- node disks, which are large, in `/var/lib/dockeree-lab/NAME` (root only);
- images, which are kept, in the user's cache folder `dockeree/lab`.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

NodeKind = Literal["machines", "simulated"]

ACCOUNT_ID = "123456789012"
DEFAULT_NAME = "default"
LAB_DOMAIN_PREFIX = "198.18"
"""Public addresses of labs come from 198.18.0.0/15 (RFC 2544: never routed on the Internet), a /24 a lab."""


@dataclass(frozen=True)
class LabSettings:
    """One lab. `slot` (0 to 255) numbers the labs that run side by side and picks their address ranges."""

    name: str
    nodes: NodeKind
    slot: int
    time_scale: float = 0.05
    """AWS's delays are multiplied by this: 1.0 takes as long as AWS does, 0 takes no time."""
    port: int = 0
    """The API's port on loopback; 0 picks a free one."""

    @property
    def runtime_dir(self) -> Path:
        """Sockets, logs, process ids: removed by `lab stop`."""
        return runtime_root() / self.name

    @property
    def disk_dir(self) -> Path:
        """The nodes' disks: removed by `lab stop`."""
        return Path("/var/lib/dockeree-lab") / self.name if os.geteuid() == 0 else self.runtime_dir / "disks"

    @property
    def public_network(self) -> str:
        """The lab's own range of public addresses.

        Machines: 198.18.SLOT.0/24 behind the lab's router. Simulated: 127.SLOT+64.0.0/16, on loopback.
        """
        return f"198.18.{self.slot}.0/24" if self.nodes == "machines" else f"127.{64 + self.slot % 128}.0.0/16"

    @property
    def tag(self) -> str:
        """A short name for interfaces and namespaces (15 characters at most leave room for ours): d + 6 hex."""
        return f"d{zlib.crc32(self.name.encode()) & 0xFFFFFF:06x}"


def runtime_root() -> Path:
    """Where the runtime folders of this user's labs lie."""
    if os.geteuid() == 0:
        return Path("/run/dockeree-lab")
    base = os.environ.get("XDG_RUNTIME_DIR") or f"{tempfile.gettempdir()}/dockeree-{os.getuid()}"
    return Path(base) / "dockeree-lab"


def cache_dir() -> Path:
    """Where images and downloaded packages are kept between labs."""
    return Path(platformdirs.user_cache_dir("dockeree")) / "lab"
