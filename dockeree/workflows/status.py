"""`dockeree status`: the cluster as AWS and the swarm show it now, not as the state file remembers it.

Workers are judged against the group's desired capacity, managers against three; balancers inform until something is
published behind them (status_balancers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from dockeree.aws import auto_scaling, instances
from dockeree.aws.clusters import find_claim
from dockeree.aws.instances import WORKER_ROLE, Instance
from dockeree.aws.tags import Owner
from dockeree.context import Cluster
from dockeree.errors import CommandFailed, DockereeError, SshError, TimedOut
from dockeree.node import swarm
from dockeree.node.services import PublishedPort, read_published_ports
from dockeree.ssh.remote import Remote
from dockeree.workflows.status_backups import backup_status, backup_warnings, see_backups
from dockeree.workflows.status_balancers import balancer_problems, balancer_status, see_balancers
from dockeree.workflows.status_consoles import console_problems, console_warnings, see_consoles
from dockeree.workflows.status_document import MISSING, ManagerStatus, Status, SwarmMember, WorkerStatus


@dataclass(frozen=True)
class _Swarm:
    """What one manager says of the swarm."""

    nodes: tuple[swarm.SwarmNode, ...]
    published: tuple[PublishedPort, ...]
    manager: Remote | None = None
    """Who said it."""


def gather(cluster: Cluster) -> Status:
    """Look at everything, changing nothing.

    Raises AwsError or SshError when it could not be told: AWS does not answer, or managers run and none can be asked.
    """
    claim = find_claim(cluster.aws, cluster.name)
    if claim is None:
        nothing = f"there is no cluster {cluster.name} in {cluster.aws.region}"
        return Status(cluster.name, cluster.aws.region, (), (), (), (nothing,))
    owner = Owner(cluster.name, claim.id)
    with ThreadPoolExecutor(max_workers=4) as pool:
        balancers_seen = pool.submit(see_balancers, cluster, owner)
        backups_seen = pool.submit(see_backups, cluster)
        group_seen = pool.submit(auto_scaling.find_group, cluster.aws, owner)
        found = [i for i in instances.find_instances(cluster.aws, owner) if i.state != "shutting-down"]
        own = [i for i in found if i.role in instances.MANAGER_ROLES]
        seen = _ask_swarm(cluster, own)
        consoles = see_consoles(cluster, own)
        balancers, group, backups = balancers_seen.result(), group_seen.result(), backups_seen.result()
    members = {node.address: _member(node) for node in seen.nodes}
    managers = tuple(
        replace(_manager(i, members), ucp=consoles.of(i.name).ucp, dtr=consoles.of(i.name).dtr)
        for i in sorted(found, key=lambda i: i.role)
        if i.role != WORKER_ROLE
    )
    workers = tuple(_worker(i, members) for i in _by_age(found) if i.role == WORKER_ROLE)
    ghosts = _ghosts(seen, [i.private_ip for i in found])
    problems = [
        *_manager_problems(managers, found),
        *_worker_problems(workers, group),
        *(f"{ghost}: in the swarm, but no instance has its address" for ghost in ghosts),
        *console_problems(consoles),
        *balancer_problems(cluster, balancers, seen.published, sum(w.swarm.is_healthy for w in workers)),
    ]
    statuses = tuple(balancer_status(cluster.config, balancer) for balancer in balancers)
    latest = backup_status(cluster, backups, seen.manager)
    return Status(
        cluster.name,
        cluster.aws.region,
        managers,
        workers,
        statuses,
        tuple(problems),
        ghosts,
        latest_backup=latest,
        license=consoles.license,
        warnings=(*console_warnings(cluster, consoles), *backup_warnings(cluster, backups, latest)),
    )


def _ask_swarm(cluster: Cluster, managers: Sequence[Instance]) -> _Swarm:
    """Ask the first manager that answers. Without a running manager there is nobody to ask, which is an answer."""
    refusals: list[DockereeError] = []
    for manager in managers:
        if manager.state != "running" or not manager.public_ip:
            continue
        try:
            remote = cluster.remote(name=manager.name, host=manager.public_ip, instance_id=manager.id)
            return _Swarm(swarm.read_nodes(remote), read_published_ports(remote), remote)
        except (SshError, CommandFailed, TimedOut) as error:
            refusals.append(error)
    if refusals:
        raise DockereeError(
            f"no manager of {cluster.name} could be asked: " + "; ".join(error.message for error in refusals),
            refusals[0].hint,
        )
    return _Swarm((), ())


def _member(node: swarm.SwarmNode) -> SwarmMember:
    unreachable = node.is_manager and node.state == "ready" and not node.is_ready
    return SwarmMember("unreachable" if unreachable else node.state, node.availability, node.is_leader)


def _manager(instance: Instance, members: dict[str, SwarmMember]) -> ManagerStatus:
    member = members.get(instance.private_ip or "", MISSING)
    private_ip, public_ip = instance.private_ip or "", instance.public_ip or ""
    return ManagerStatus(instance.name, instance.id, instance.zone, private_ip, public_ip, member)


def _worker(instance: Instance, members: dict[str, SwarmMember]) -> WorkerStatus:
    member = members.get(instance.private_ip or "", MISSING)
    return WorkerStatus(instance.name, instance.id, instance.zone, instance.private_ip or "", member)


def _by_age(found: Sequence[Instance]) -> list[Instance]:
    return sorted(found, key=lambda instance: (instance.launched_at, instance.id))


def _ghosts(seen: _Swarm, addresses: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(node.hostname or node.id for node in seen.nodes if node.address not in addresses)


def _manager_problems(managers: Sequence[ManagerStatus], found: Sequence[Instance]) -> list[str]:
    states = {instance.id: instance.state for instance in found}
    problems = [
        f"{role}: there is no instance" for role in instances.MANAGER_ROLES if role not in {m.name for m in managers}
    ]
    for manager in managers:
        if states[manager.instance_id] != "running":
            problems.append(f"{manager.name} ({manager.instance_id}) is {states[manager.instance_id]}")
        elif not manager.swarm.is_healthy:
            problems.append(f"{manager.name} is {_words(manager.swarm)} in the swarm")
    if managers and not any(manager.swarm.leader for manager in managers):
        problems.append("the swarm has no leader")
    return problems


def _worker_problems(workers: Sequence[WorkerStatus], group: auto_scaling.Group | None) -> list[str]:
    if group is None:
        return ["workers: there is no Auto Scaling group"]
    problems = [
        f"{w.name} ({w.private_ip}) is {_words(w.swarm)} in the swarm" for w in workers if not w.swarm.is_healthy
    ]
    if len(workers) != group.desired:
        problems.append(f"workers: {len(workers)} of {group.desired} are there")
    return problems


def _words(member: SwarmMember) -> str:
    """What is wrong with a member in a word or two."""
    if member.state != "ready":
        return member.state
    return "drained" if member.availability == "drain" else member.availability
