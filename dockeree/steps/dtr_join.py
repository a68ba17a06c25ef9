"""DTR's other replicas: they join one after the other, and one that fails is cleared away and tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.errors import DockereeError, TimedOut
from dockeree.node import dtr
from dockeree.node.installer import Failure
from dockeree.steps.dtr_replicas import (
    SETTLE_SECONDS,
    Registry,
    await_healthy,
    await_installers,
    clear_away,
    cluster_health,
    healthy_nodes,
    mark,
    open_registry,
    pending_nodes,
    ports,
    replicas_on,
    run_installer,
    unmark,
)
from dockeree.steps.dtr_storage import ConfigureDtrStorage
from dockeree.steps.step import Step
from dockeree.steps.ucp_install import install_failed

if TYPE_CHECKING:
    from dockeree.context import Cluster
    from dockeree.steps.consoles import Manager

ATTEMPTS = 3
"""A join copies the database over the network, and now and then fails for no reason that lasts."""


class JoinDtrReplicas(Step):
    """Have a replica on every node that DTR is to be on. Never two at a time: a join is a change of the database."""

    title = "Join DTR's other replicas"
    group = "dtr"
    after = (ConfigureDtrStorage,)

    def run(self, cluster: Cluster) -> bool:
        registry = open_registry(cluster)
        await_installers(cluster, registry.nodes)
        changed = False
        for node in registry.nodes:
            cluster.check_interrupted()
            changed |= _ensure(registry, node)
        return changed


def _ensure(registry: Registry, node: Manager) -> bool:
    """A replica on `node`; whether anything was done for it."""
    if replicas_on(node):
        if node.node_id not in pending_nodes(registry):
            _await_finished(registry, node)
            return False
        clear_away(registry, node, _other(registry, node))
    for attempt in range(1, ATTEMPTS + 1):
        registry.cluster.detail(f"{node.name}" + (f", attempt {attempt} of {ATTEMPTS}" if attempt > 1 else ""))
        failure = _join(registry, node)
        if failure is None:
            return True
        registry.cluster.report.say(
            f"DTR's replica on {node.name} could not join, at “{failure.phase}”: {failure.reason}"
        )
        if attempt == ATTEMPTS:
            raise install_failed("DTR's replica", node.name, failure)
        clear_away(registry, node, _other(registry, node))
    raise AssertionError("the last attempt returns or raises")


def _join(registry: Registry, node: Manager) -> Failure | None:
    """One attempt; it counts when the replica itself and the others say that it is well."""
    existing = _other(registry, node)
    command = dtr.join_command(
        registry.image,
        registry.ucp,
        node=node.hostname,
        existing_id=registry.replica_id(existing),
        replica_id=registry.replica_id(node),
        ports=ports(),
    )
    mark(registry, node)
    if failure := run_installer(registry, node, command):
        return failure
    try:
        await_healthy(registry.cluster, node)
    except TimedOut as late:
        return Failure("becoming well", late.message, ())
    seen = cluster_health(registry, existing).get(registry.replica_id(node), "missing")
    if seen != "OK":
        return Failure("becoming one of the replicas", f"{existing.name} says of it: {seen}", ())
    unmark(registry, node)
    return None


def _await_finished(registry: Registry, node: Manager) -> None:
    """A replica that was finished is not made again by itself: a node may be coming back. Raises TimedOut."""
    try:
        await_healthy(registry.cluster, node, SETTLE_SECONDS)
    except TimedOut as late:
        replica = registry.replica_id(node)
        late.hint = (
            f"{late.hint}\nA replica that is past help is taken away, and `dockeree up` makes it again: "
            f"docker run {registry.image} remove --existing-replica-id OTHER --replica-ids {replica} …"
        )
        raise


def _other(registry: Registry, node: Manager) -> Manager:
    """A replica that is well, on another node. Raises DockereeError."""
    for other in healthy_nodes(registry):
        if other.node_id != node.node_id:
            return other
    raise DockereeError(
        f"no replica of DTR is well that the one on {node.name} could join",
        "See `dockeree status`; run `dockeree up` again.",
    )
