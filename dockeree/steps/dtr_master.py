"""DTR's first replica. As with UCP, a label says that it was begun and not seen to end well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.errors import DockereeError, TimedOut
from dockeree.node import dtr
from dockeree.steps.dtr_replicas import (
    SETTLE_SECONDS,
    Registry,
    await_healthy,
    await_installers,
    clear_away,
    healthy_nodes,
    mark,
    open_registry,
    pending_nodes,
    ports,
    replicas_on,
    run_installer,
    unmark,
)
from dockeree.steps.enterprise_images import PullDtrImages
from dockeree.steps.step import Step
from dockeree.steps.ucp_install import install_failed
from dockeree.steps.ucp_settings import ConfigureUcp
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster
    from dockeree.steps.consoles import Manager


class InstallDtrMaster(Step):
    """Install DTR's first replica, unless one is there; clear away one of ours that broke off."""

    title = "Install DTR"
    group = "dtr"
    after = (ConfigureUcp, PullDtrImages)

    def run(self, cluster: Cluster) -> bool:
        registry = open_registry(cluster)
        await_installers(cluster, registry.nodes)
        pending = pending_nodes(registry)
        present = [node for node in registry.nodes if replicas_on(node)]
        finished = [node for node in present if node.node_id not in pending]
        if finished:
            _await_one(registry, finished)
            return False
        first = registry.nodes[0]
        for node in present:
            clear_away(registry, node, None)
        _install(registry, first)
        return True


def _await_one(registry: Registry, finished: list[Manager]) -> None:
    """A replica that was finished is never made again: it holds the accounts' repositories. It is waited for."""

    def look() -> tuple[bool | None, str]:
        healthy = [node for node in healthy_nodes(registry) if node in finished]
        return (True if healthy else None), "none says that it is well"

    names = ", ".join(node.name for node in finished)
    try:
        wait_until(
            look,
            awaited=f"a replica of DTR that is well ({names})",
            timeout_seconds=SETTLE_SECONDS,
            interval_seconds=2.0,
            clock=registry.cluster.clock,
            cancelled=registry.cluster.check_interrupted,
        )
    except TimedOut as late:
        first = finished[0]
        raise DockereeError(
            f"DTR is installed ({names}), and none of its replicas is well; nothing was changed",
            f"See its containers: dockeree ssh {first.name} -- sudo docker ps --all --filter name=dtr-\n"
            "When most replicas are lost, DTR's `emergency-repair` makes a whole of one that is left.",
        ) from late


def _install(registry: Registry, node: Manager) -> None:
    """Put the first replica on `node`. Raises DockereeError with phase, node, reason and the log's end."""
    cluster = registry.cluster
    command = dtr.install_command(
        registry.image,
        registry.ucp,
        node=node.hostname,
        external_url=f"https://{registry.host}",
        replica_id=registry.replica_id(node),
        ports=ports(),
    )
    mark(registry, node)
    cluster.detail(f"the installer is at work on {node.name}")
    if failure := run_installer(registry, node, command):
        raise install_failed("DTR", node.name, failure)
    await_healthy(cluster, node)
    unmark(registry, node)
