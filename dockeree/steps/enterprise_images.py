"""UCP's and DTR's images, pulled as soon as the engines answer: minutes that pass beside the making of the swarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dockeree.aws.instances import Instance
from dockeree.errors import CommandFailed, DockereeError
from dockeree.node import dtr, installer, ucp
from dockeree.ssh.nodes import on_each, results
from dockeree.ssh.remote import Remote
from dockeree.steps.engine import AwaitEngines
from dockeree.steps.reaching import connect_to, managers_of
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

PULL_SECONDS = 1200.0


class PullUcpImages(Step):
    """Pull what UCP is made of on every manager: then the installation waits for no download."""

    title = "Pull UCP's images"
    group = "ucp"
    after = (AwaitEngines,)

    def run(self, cluster: Cluster) -> bool:
        image = cluster.config.ucp.image

        def pull(manager: Instance) -> bool:
            remote = connect_to(cluster, manager)
            if ucp.parse_components(remote.run(ucp.COMPONENTS, changes=False).stdout).states:
                return False  # installed, or being installed: it has its images, and the installer's name is taken
            return pull_images(cluster, remote, image, ucp.images_command)

        return any(results(on_each(managers_of(cluster), pull)))


class PullDtrImages(Step):
    """Pull what DTR is made of on every manager."""

    title = "Pull DTR's images"
    group = "dtr"
    after = (AwaitEngines,)

    def run(self, cluster: Cluster) -> bool:
        image = cluster.config.dtr.image

        def pull(manager: Instance) -> bool:
            remote = connect_to(cluster, manager)
            if dtr.parse_replicas(remote.run(dtr.CONTAINERS, changes=False).stdout):
                return False
            return pull_images(cluster, remote, image, dtr.images_command)

        return any(results(on_each(managers_of(cluster), pull)))


def pull_images(cluster: Cluster, remote: Remote, image: str, list_command: Callable[[str], str]) -> bool:
    """Pull an installer, ask it what its release is made of, and pull that; whether anything was missing.

    Raises DockereeError that names the image and the node.
    """
    present = _present(remote)
    changed = image not in present
    if changed:
        cluster.detail(f"{remote.name}: {image}")
        _pull(remote, image)
    listed = remote.run(list_command(image), timeout_seconds=120.0, changes=False).stdout
    missing = [name for name in installer.parse_images(listed) if name not in present and name != image]
    for name in missing:
        cluster.check_interrupted()
        cluster.detail(f"{remote.name}: {name}")
        _pull(remote, name)
    return changed or bool(missing)


def _present(remote: Remote) -> set[str]:
    return set(remote.run(installer.image_list_command(), changes=False).stdout.split())


def _pull(remote: Remote, image: str) -> None:
    try:
        remote.run(installer.pull_command(image), timeout_seconds=PULL_SECONDS)
    except CommandFailed as failed:
        reason = failed.stderr.strip().splitlines()[-1:] or ["no output"]
        raise DockereeError(
            f"{remote.name} cannot pull {image}: {reason[0]}",
            "Is the image's name right in the configuration, and does the node reach its registry? "
            f"dockeree ssh {remote.name} -- sudo docker pull {image}",
        ) from failed
