"""Workers as the group and the swarm see them: which instance is which node, and the wait for all to be Ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockeree.aws import auto_scaling, instances
from dockeree.aws.auto_scaling import Group
from dockeree.aws.instances import Instance
from dockeree.aws.tags import Owner, not_found
from dockeree.errors import CommandFailed, DockereeError, TimedOut
from dockeree.node import swarm
from dockeree.node.swarm import SwarmNode
from dockeree.ssh.nodes import on_each
from dockeree.ssh.remote import Remote
from dockeree.steps.reaching import last_words
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

ARRIVE_SECONDS = 1200.0
INTERVAL_SECONDS = 3.0
NAMED_AT_MOST = 5
"""How many missing workers are asked for their last words."""


@dataclass(frozen=True)
class Worker:
    """A member of the group, its instance (None for a moment after its launch), its node (None until it joined)."""

    instance_id: str
    zone: str
    lifecycle: str
    health: str
    instance: Instance | None
    node: SwarmNode | None

    @property
    def is_in_service(self) -> bool:
        """Whether the group counts it."""
        return self.lifecycle == "InService"

    @property
    def is_leaving(self) -> bool:
        """Whether the group is terminating it, or letting it go."""
        return self.lifecycle.startswith(("Terminat", "Detach"))

    @property
    def is_ready(self) -> bool:
        """Whether it is in service, and Ready in the swarm."""
        return self.is_in_service and self.node is not None and self.node.is_ready

    @property
    def words(self) -> str:
        """What keeps it from being ready."""
        if not self.is_in_service:
            return f"is {self.lifecycle} in its group"
        return f"is {self.node.state} in the swarm" if self.node else "has not joined the swarm"


def node_of(nodes: Iterable[SwarmNode], private_ip: str | None) -> SwarmNode | None:
    """The worker node at an address. Addresses come again: of several the ready one, else the newest."""
    if not private_ip:
        return None
    found = [node for node in nodes if node.address == private_ip and not node.is_manager]
    return max(found, key=lambda node: (node.is_ready, node.created_at), default=None)


def match(group: Group, found: Sequence[Instance], nodes: Sequence[SwarmNode]) -> list[Worker]:
    """The group's members with their instances and nodes."""
    by_id = {instance.id: instance for instance in found}
    workers = []
    for member in group.members:
        instance = by_id.get(member.instance_id)
        node = node_of(nodes, instance.private_ip if instance else None)
        workers.append(Worker(member.instance_id, member.zone, member.lifecycle, member.health, instance, node))
    return workers


def see_workers(cluster: Cluster, owner: Owner, orders: Remote) -> tuple[Group, list[Worker], tuple[SwarmNode, ...]]:
    """The group, its members, and all nodes of the swarm, at this moment. Raises AwsError when there is no group."""
    group = auto_scaling.find_group(cluster.aws, owner)
    if group is None:
        raise not_found(f"the workers' group of {cluster.name}")
    found = instances.find_instances(cluster.aws, owner, instances.WORKER_ROLE)
    nodes = swarm.read_nodes(orders)
    return group, match(group, found, nodes), nodes


def await_workers(cluster: Cluster, owner: Owner, orders: Remote, timeout_seconds: float = ARRIVE_SECONDS) -> int:
    """Wait until as many workers as the group is to have are Ready, and no other is left in it: their number.

    Raises DockereeError that names the missing ones, each with the last line it wrote about its engine or its join.
    """
    missing: list[Worker] = []

    def look() -> tuple[int | None, str]:
        try:
            group, workers, _ = see_workers(cluster, owner, orders)
        except CommandFailed as error:  # an election is under way
            return None, error.message
        missing[:] = [worker for worker in workers if not worker.is_ready]
        ready = len(workers) - len(missing)
        words = [f"{ready} of {group.desired} Ready", *(f"{w.instance_id} {w.words}" for w in missing[:NAMED_AT_MOST])]
        cluster.detail(words[0])
        return (ready if ready == group.desired and not missing else None), "; ".join(words)

    try:
        return wait_until(
            look,
            awaited="all workers Ready in `docker node ls`",
            timeout_seconds=timeout_seconds,
            interval_seconds=INTERVAL_SECONDS,
            clock=cluster.clock,
            cancelled=cluster.check_interrupted,
        )
    except TimedOut as late:
        raise _explained(cluster, late, missing) from late


def _explained(cluster: Cluster, late: TimedOut, missing: Sequence[Worker]) -> DockereeError:
    silent = [worker.instance for worker in missing if worker.instance is not None][:NAMED_AT_MOST]
    words = on_each(silent, lambda instance: last_words(cluster, instance))
    lines = [f"- {outcome.node.name} ({outcome.node.id}): {outcome.result or outcome.error}" for outcome in words]
    if not missing:
        lines.append("- the group has not launched them: aws autoscaling describe-scaling-activities says why")
    return DockereeError(
        "\n".join([late.message, *lines]),
        "A worker tries to join at every boot and goes on trying; when the cause is gone, run the same command again.",
    )
