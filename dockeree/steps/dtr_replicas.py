"""DTR's replicas as the nodes have them: which are there, which work, and how one is made or cleared away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockeree.errors import DockereeError
from dockeree.node import dtr, http, installer, ucp
from dockeree.node.dtr import Ports, Ucp
from dockeree.node.http import Request
from dockeree.ssh.nodes import on_each, results
from dockeree.steps.consoles import Manager, connected_managers, host_of, swarm_leader
from dockeree.steps.ports import DTR_HTTP_PORT, DTR_TARGET_PORT
from dockeree.steps.ucp_controllers import authorities_of
from dockeree.steps.ucp_labels import read_labels
from dockeree.steps.ucp_password import password_of
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

INSTALLER_SECONDS = 1800.0
HEALTHY_SECONDS = 600.0
SETTLE_SECONDS = 180.0
"""How long a replica that is there may take to be well: after a reboot of its node."""


@dataclass(frozen=True)
class Registry:
    """What every step of DTR works with."""

    cluster: Cluster
    nodes: tuple[Manager, ...]
    """Where replicas are to be, in the order of their letters."""
    orders: Manager
    """The manager that leads the swarm."""
    ucp: Ucp
    host: str
    """What the registry is called, inside and outside."""
    password: str

    @property
    def image(self) -> str:
        """The installer's image."""
        return self.cluster.config.dtr.image

    def replica_id(self, node: Manager) -> str:
        """The id of the replica on a node."""
        return dtr.replica_id(self.cluster.id, node.letter)


def open_registry(cluster: Cluster) -> Registry:
    """Connect to the nodes and read what DTR's steps need. Raises DockereeError."""
    managers = connected_managers(cluster)
    return Registry(
        cluster=cluster,
        nodes=tuple(managers),
        orders=swarm_leader(cluster, managers),
        ucp=Ucp(f"https://{host_of(cluster, 'ucp')}", authorities_of(cluster, managers[0])),
        host=host_of(cluster, "dtr"),
        password=password_of(cluster),
    )


def address_of(node: Manager) -> str:
    """Where a node's replica listens."""
    return f"{node.address}:{DTR_TARGET_PORT}"


def ports() -> Ports:
    """Beside UCP, which has 443 and, for the swarm, 80's neighbours."""
    return Ports(https=DTR_TARGET_PORT, http=DTR_HTTP_PORT)


def is_healthy(node: Manager) -> tuple[bool, str]:
    """A replica's own word on its health, and what it said."""
    answer = http.call(node.remote, Request(f"https://{address_of(node)}/_ping"), seconds=10)
    return answer.status == 200 and dtr.is_healthy(answer.body), str(answer)


def await_healthy(cluster: Cluster, node: Manager, seconds: float = HEALTHY_SECONDS) -> None:
    """Wait until a node's replica says that it is well. Raises TimedOut."""

    def look() -> tuple[bool | None, str]:
        healthy, words = is_healthy(node)
        if not healthy:
            cluster.detail(f"{node.name}: {words}")
        return (True if healthy else None), words

    wait_until(
        look,
        awaited=f"DTR on {node.name}",
        timeout_seconds=seconds,
        interval_seconds=2.0,
        hint=f"See its containers: dockeree ssh {node.name} -- sudo docker ps --all --filter name=dtr-",
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def await_installers(cluster: Cluster, nodes: Sequence[Manager]) -> None:
    """Let installers that an interrupted run left behind come to their end: the engines go on with them."""
    for node in nodes:
        state = node.remote.run(dtr.INSTALLER_STATE, changes=False).stdout.strip()
        if state == "running":
            cluster.detail(f"an installer is at work on {node.name}: waiting for its end")
            node.remote.run(dtr.FOLLOW_INSTALLER, timeout_seconds=INSTALLER_SECONDS, check=False, changes=False)
        elif state:
            node.remote.run(dtr.REMOVE_INSTALLER, check=False)


def replicas_on(node: Manager) -> dict[str, dtr.Replica]:
    """The replicas that a node has containers of."""
    return dtr.parse_replicas(node.remote.run(dtr.CONTAINERS, changes=False).stdout)


def pending_nodes(registry: Registry) -> set[str]:
    """The ids of the nodes whose replica began to be made and was not seen to end well."""
    labels = read_labels(registry.orders.remote, [node.node_id for node in registry.nodes])
    return {node_id for node_id, found in labels.items() if dtr.PENDING_LABEL in found}


def mark(registry: Registry, node: Manager) -> None:
    """Before a replica is made: what is found there later may be cleared away."""
    registry.orders.remote.run(ucp.label_command(node.node_id, dtr.PENDING_LABEL, registry.replica_id(node)))


def unmark(registry: Registry, node: Manager) -> None:
    """A replica is made and well: nobody may clear it away any more."""
    registry.orders.remote.run(ucp.unlabel_command(node.node_id, dtr.PENDING_LABEL))


def run_installer(registry: Registry, node: Manager, command: str) -> installer.Failure | None:
    """Run DTR's installer on a node; how it failed, None when it did not."""
    result = node.remote.run(
        command,
        stdin=installer.secret_line(registry.password),
        secrets=(registry.password,),
        timeout_seconds=INSTALLER_SECONDS,
        check=False,
    )
    return installer.judge(result)


def healthy_nodes(registry: Registry) -> list[Manager]:
    """The nodes whose replica is well, all asked at once."""
    answers = results(on_each(registry.nodes, is_healthy))
    return [node for node, (healthy, _) in zip(registry.nodes, answers, strict=True) if healthy]


def cluster_health(registry: Registry, node: Manager) -> dict[str, str]:
    """Replica id -> `OK` or what is wrong, as a replica that is well sees the whole. Raises DockereeError."""
    request = dtr.get(address_of(node), "/api/v0/meta/cluster_status", registry.password)
    answer = http.call(node.remote, request)
    if not answer.is_ok:
        raise http.refuse(answer, f"DTR on {node.name} does not tell the state of its replicas")
    return dtr.parse_health(answer.body)


def clear_away(registry: Registry, node: Manager, healthy: Manager | None) -> None:
    """Take away what is left of a replica: out of the cluster when another one is there to say so, then off its node.

    Raises DockereeError with the command to go on by hand.
    """
    replica_id = registry.replica_id(node)
    registry.cluster.report.say(f"Clearing away what is left of DTR's replica {replica_id} on {node.name}.")
    if healthy is not None and replica_id in cluster_health(registry, healthy):
        existing = registry.replica_id(healthy)
        command = dtr.remove_command(registry.image, registry.ucp, existing_id=existing, replica_id=replica_id)
        if failure := run_installer(registry, healthy, command):
            registry.cluster.report.warn(f"the replica {replica_id} could not be removed in order: {failure.reason}")
    failure = run_installer(registry, node, dtr.destroy_command(registry.image, registry.ucp, replica_id=replica_id))
    if failure:
        raise DockereeError(
            f"what is left of DTR's replica {replica_id} on {node.name} cannot be cleared away, at “{failure.phase}”: "
            f"{failure.reason}",
            f"`dockeree up` tries again. Its containers and volumes: dockeree ssh {node.name} -- "
            f"sudo docker ps --all --filter name={replica_id}; sudo docker volume ls --filter name={replica_id}",
        )
