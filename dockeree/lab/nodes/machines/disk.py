"""A node's disk: its own layer over the image, the engine's data, and what the lab writes on it before the first boot.

DISK_DIR/INSTANCE/upper    the node's own layer (the only place where its root is written)
DISK_DIR/INSTANCE/work     what overlayfs needs beside it
DISK_DIR/INSTANCE/root     where the root is mounted, in the node's mount namespace alone
DISK_DIR/INSTANCE/engine   /var/lib/docker: overlayfs cannot lie on overlayfs
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dockeree.lab.nodes.machines.layer import make_folders
from dockeree.lab.world import LabError, NodeSpec


@dataclass(frozen=True)
class Surroundings:
    """What every node's image knows of the lab."""

    endpoint_url: str
    """The lab's AWS endpoint as nodes reach it."""
    registry_url: str | None
    """The engines' mirror; None: none."""
    apt_url: str | None
    """The apt repository of bare nodes; None: they have no sources."""
    search_domain: str
    """As DHCP gives it on EC2: us-east-1.compute.internal is REGION.compute.internal, ec2.internal there."""


class NodeDisk:
    """The folders of one node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.upper = folder / "upper"
        self.work = folder / "work"
        self.root = folder / "root"
        self.engine = folder / "engine"

    def create(self, spec: NodeSpec, surroundings: Surroundings, resolver_address: str) -> None:
        """Make an empty disk and write on it what a cloud image gets from its hypervisor and from DHCP."""
        try:
            self.folder.mkdir(parents=True, mode=0o700)
            for path in (self.upper, self.work, self.root, self.engine):
                path.mkdir()
                # The mode of `upper` is the mode of the node's `/`.
                path.chmod(0o755)
            for name, content in boot_files(spec, surroundings, resolver_address).items():
                path = self.upper / name
                make_folders(path.parent, self.upper)
                path.write_text(content)
                path.chmod(0o644)
        except OSError as error:
            raise LabError(f"The disk of {spec.instance_id} could not be made: {error}") from error

    def exists(self) -> bool:
        """Whether the node has a disk."""
        return self.folder.is_dir()

    def delete(self) -> None:
        """Remove the disk; the node must be off. A disk that is not there is fine."""
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as error:
            raise LabError(f"The disk {self.folder} could not be removed: {error}") from error


def boot_files(spec: NodeSpec, surroundings: Surroundings, resolver_address: str) -> dict[str, str]:
    """The files, by path below the node's root."""
    endpoint = f"AWS_ENDPOINT_URL={surroundings.endpoint_url}"
    files = {
        "etc/hostname": f"{spec.hostname}\n",
        "etc/hosts": f"127.0.0.1 localhost\n{spec.private_ip} {spec.hostname}\n",
        "etc/resolv.conf": f"nameserver {resolver_address}\nsearch {surroundings.search_domain}\n",
        # The image learns where the API is, never the user data: for services here, for logins in /etc/environment.
        "etc/systemd/system.conf.d/50-lab.conf": f'[Manager]\nDefaultEnvironment="{endpoint}"\n',
        "etc/environment": f"{endpoint}\n",
    }
    if surroundings.registry_url:
        # By flag: /etc/docker/daemon.json belongs to whoever sets up the engine, and a key in both is an error.
        host = urlsplit(surroundings.registry_url).netloc
        options = f"--registry-mirror={surroundings.registry_url} --insecure-registry={host}"
        files["etc/systemd/system/docker.service.d/50-lab.conf"] = f'[Service]\nEnvironment="DOCKER_OPTS={options}"\n'
    if spec.image_variant == "bare":
        source = f"deb [trusted=yes] {surroundings.apt_url} ./\n" if surroundings.apt_url else ""
        files["etc/apt/sources.list"] = source
    return files
