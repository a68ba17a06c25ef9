"""EC2 instances as system containers with real systemd, cloud-init, sshd and Docker Engine. Needs root on Linux."""

from dockeree.lab.nodes.machines.apt_repository import PackageRepository, ensure_packages
from dockeree.lab.nodes.machines.container_image import ContainerImage
from dockeree.lab.nodes.machines.disk import Surroundings
from dockeree.lab.nodes.machines.driver import MachineDriver
from dockeree.lab.nodes.machines.image import ensure_image
from dockeree.lab.nodes.machines.leftovers import remove_machines
from dockeree.lab.nodes.machines.registry import Registry, add_image
from dockeree.lab.nodes.machines.requirements import why_not
from dockeree.lab.nodes.machines.small_images import ensure_small_images

__all__ = [
    "ContainerImage",
    "MachineDriver",
    "PackageRepository",
    "Registry",
    "Surroundings",
    "add_image",
    "ensure_image",
    "ensure_packages",
    "ensure_small_images",
    "remove_machines",
    "why_not",
]
