"""Workers on their way out: chosen, drained, terminated, forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dockeree.aws import auto_scaling, instances
from dockeree.aws.tags import Owner
from dockeree.errors import AwsError, TimedOut
from dockeree.node import swarm
from dockeree.ssh.remote import Remote
from dockeree.steps.worker_arrivals import Worker
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

DRAIN_SECONDS = 600.0
"""A service's stop grace period is 10 s by default; databases are given minutes."""
NAMED_AT_MOST = 5
NO_ADDRESSES = ("", "0.0.0.0", "127.0.0.1")
"""What a node's address may read while it joins."""


def choose(workers: Sequence[Worker], surplus: int) -> list[Worker]:
    """The workers that go, in order: those that an unfinished run has marked already, and then `surplus` in all.

    Those that do no work go first (not in service, or not Ready): else a broken one would stay, and fewer than wanted
    would be Ready. Then the zone with the most workers gives one, so that losing a zone costs as few as may be. Among
    those the newest: its images are the least warmed, and the oldest have proved themselves.
    """
    staying = [worker for worker in workers if not worker.is_leaving]
    going = [worker for worker in staying if worker.node is not None and worker.node.is_retired]
    staying = [worker for worker in staying if worker not in going]
    while len(going) < surplus and staying:
        in_zone = Counter(worker.zone for worker in staying)
        going.append(max(staying, key=lambda worker: (not worker.is_ready, in_zone[worker.zone], _launched(worker))))
        staying.remove(going[-1])
    return going


def _launched(worker: Worker) -> tuple[str, str]:
    return (worker.instance.launched_at if worker.instance else "", worker.instance_id)


def retire(orders: Remote, going: Sequence[Worker]) -> None:
    """Drain them all before any is waited for: a task that moves must not move to the next one that goes."""
    for worker in going:
        if worker.node is not None and not (worker.node.is_retired and worker.node.availability == "drain"):
            orders.run(swarm.retire_command(worker.node.id))


def await_tasks_gone(
    cluster: Cluster, orders: Remote, going: Sequence[Worker], *, timeout_seconds: float, leave_tasks: bool
) -> None:
    """Wait until no task runs on any of them. A node that does not answer cannot end tasks, and is not waited for.

    Raises TimedOut that names the tasks, unless `leave_tasks`: then they are told and left.
    """
    drained = {w.node.id: w.instance_id for w in going if w.node is not None and w.node.is_ready}

    def look() -> tuple[bool | None, str]:
        left = [
            f"{task.name} on {drained[node_id]} ({task.state})"
            for node_id in drained
            for task in swarm.read_tasks(orders, node_id)
            if not task.is_gone
        ]
        if left:
            cluster.detail(f"{len(left)} tasks still run")
        more = f" and {len(left) - NAMED_AT_MOST} more" if len(left) > NAMED_AT_MOST else ""
        return (None if left else True), ", ".join(left[:NAMED_AT_MOST]) + more

    try:
        wait_until(
            look,
            awaited="the tasks of drained workers gone",
            timeout_seconds=timeout_seconds,
            hint="The workers stay drained and nothing is terminated. Run the same command again to wait on; "
            "`docker service ps` on a manager says why a task stays.",
            clock=cluster.clock,
            cancelled=cluster.check_interrupted,
        )
    except TimedOut as late:
        if not leave_tasks:
            raise
        cluster.report.warn(f"terminated with their workers: {late.last_answer}")


def terminate(cluster: Cluster, going: Sequence[Worker]) -> None:
    """Terminate them, the group one smaller with each. One that is gone already is fine."""
    for worker in going:
        cluster.check_interrupted()
        cluster.detail(worker.instance_id)
        try:
            auto_scaling.terminate_and_shrink(cluster.aws, worker.instance_id)
        except AwsError as error:
            if "not found" not in error.message.lower():
                raise


def forget_the_gone(cluster: Cluster, owner: Owner, orders: Remote) -> list[str]:
    """Remove from the swarm every worker whose machine is gone: the hostnames removed.

    The swarm keeps a terminated worker as Down for ever. A node counts as gone when no living instance of the cluster
    has its address, or another node at its address is Ready; a worker that only reboots stays.
    """
    alive = {instance.private_ip for instance in instances.find_instances(cluster.aws, owner)}
    nodes = swarm.read_nodes(orders)
    ready_addresses = {node.address for node in nodes if node.is_ready}
    gone = [
        node
        for node in nodes
        if not node.is_manager
        and (node.address not in alive or (not node.is_ready and node.address in ready_addresses))
    ]
    if gone:
        orders.run(swarm.node_rm_command([node.id for node in gone]))
    return [node.hostname for node in gone]
