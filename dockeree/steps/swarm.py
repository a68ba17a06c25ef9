"""The swarm: started on one manager, joined by the other two over SSH, and by the workers by themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dockeree.aws import parameters
from dockeree.aws.instances import Instance
from dockeree.errors import CommandFailed, DockereeError
from dockeree.node import swarm
from dockeree.node.engine import EngineInfo, read_info
from dockeree.node.membership import Membership, NoManagerWorks, judge
from dockeree.ssh.nodes import on_each, results
from dockeree.ssh.remote import Remote
from dockeree.steps.engine import AwaitEngines
from dockeree.steps.found import owner_of
from dockeree.steps.manager_joins import join_manager, retire_ghosts
from dockeree.steps.reaching import connect_to, managers_of
from dockeree.steps.step import Step
from dockeree.steps.worker_arrivals import await_workers
from dockeree.steps.workers import CreateWorkerGroup
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

REACHABLE_SECONDS = 120.0
ELECTION_SECONDS = 60.0
"""How long no manager may work before that counts: after a leader's death an election takes about 16 s."""
PARAMETER_FORMAT_VERSION = 1
JOIN_PARAMETER_ROLE = "worker-join"


class InitSwarm(Step):
    """Start a swarm on the first manager, when none of the three is in one."""

    title = "Start the swarm"
    group = "swarm"
    after = (AwaitEngines,)

    def run(self, cluster: Cluster) -> bool:
        managers = managers_of(cluster)
        membership, _ = _ask(cluster, managers)
        if membership.cluster_id:
            cluster.state.put("swarm", membership.cluster_id)
            return False
        first = managers[0]
        remote = connect_to(cluster, first)
        remote.run(swarm.init_command(_private_ip(first), cluster.config.network.swarm_pool), timeout_seconds=120)
        state = read_info(remote).swarm
        if not state.is_manager or state.state != "active":
            raise DockereeError(
                f"{first.name} started a swarm, but its engine says {state.state} {state.error}".rstrip()
            )
        cluster.state.put("swarm", state.cluster_id)
        return True


class JoinManagers(Step):
    """Join the managers that are not in the swarm, one after the other, and wait until each is reachable."""

    title = "Join the other managers"
    group = "swarm"
    after = (InitSwarm,)

    def run(self, cluster: Cluster) -> bool:
        managers = managers_of(cluster)
        membership, infos = _ask(cluster, managers)
        orders = _first_active(cluster, managers, membership)
        changed = retire_ghosts(orders, {info.swarm.node_id for info in infos.values()})
        missing = [manager for manager in managers if manager.name not in membership.active]
        for manager in missing:
            cluster.check_interrupted()
            cluster.detail(manager.name)
            changed |= join_manager(cluster, orders, manager)
        _await_reachable(cluster, orders, managers)
        return changed


class PublishJoin(Step):
    """Publish how workers join: the worker token and every manager's address, for them to read at boot."""

    title = "Publish the way in for workers"
    undo_title = "Delete what workers join by"
    group = "swarm"
    after = (InitSwarm,)

    def run(self, cluster: Cluster) -> bool:
        return publish_join(cluster)

    def undo(self, cluster: Cluster) -> bool:
        return parameters.delete_parameter(cluster.aws, parameters.worker_join_name(cluster.name))


class AwaitWorkers(Step):
    """Wait until every worker that the group is to have is Ready in the swarm. They join by themselves."""

    title = "Wait for the workers"
    group = "workers"
    after = (JoinManagers, PublishJoin, CreateWorkerGroup)

    def run(self, cluster: Cluster) -> bool:
        managers = managers_of(cluster)
        membership, _ = _ask(cluster, managers)
        await_workers(cluster, owner_of(cluster), _first_active(cluster, managers, membership))
        return False


def publish_join(cluster: Cluster) -> bool:
    """Publish the worker token that the swarm has now; True when another one, or none, was published before."""
    managers = managers_of(cluster)
    membership, _ = _ask(cluster, managers)
    orders = _first_active(cluster, managers, membership)
    token = orders.run(swarm.join_token_command("worker"), changes=False).stdout.strip()
    if not token.startswith("SWMTKN-"):
        raise DockereeError(f"{orders.name} gave no worker token")
    value = {
        "format_version": PARAMETER_FORMAT_VERSION,
        "id": cluster.id,
        "cluster_id": membership.cluster_id,
        "managers": [f"{_private_ip(manager)}:{swarm.SWARM_PORT}" for manager in managers],
        "token": token,
    }
    return parameters.ensure_parameter(
        cluster.aws,
        owner_of(cluster),
        parameters.worker_join_name(cluster.name),
        json.dumps(value),
        role=JOIN_PARAMETER_ROLE,
        is_secret=True,
    )


def _ask(cluster: Cluster, managers: list[Instance]) -> tuple[Membership, dict[str, EngineInfo]]:
    """What all managers say of their membership, and each one's answer by name; one that does not answer is an error.

    That none of them works is believed only when it lasts: a leader may be being elected.
    """

    def ask(manager: Instance) -> EngineInfo:
        return read_info(connect_to(cluster, manager))

    deadline = cluster.clock.now() + ELECTION_SECONDS

    def look() -> tuple[tuple[Membership, dict[str, EngineInfo]] | None, str]:
        answers = results(on_each(managers, ask))
        infos = {manager.name: info for manager, info in zip(managers, answers, strict=True)}
        try:
            return (judge(infos), infos), ""
        except NoManagerWorks as error:
            if cluster.clock.now() >= deadline:
                raise
            return None, error.message

    return wait_until(
        look,
        awaited="the managers' swarm",
        timeout_seconds=ELECTION_SECONDS * 2,
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def _first_active(cluster: Cluster, managers: list[Instance], membership: Membership) -> Remote:
    for manager in managers:
        if manager.name in membership.active:
            return connect_to(cluster, manager)
    raise DockereeError("no manager is in the swarm any more", "Run `dockeree up` again.")


def _await_reachable(cluster: Cluster, orders: Remote, managers: list[Instance]) -> None:
    """Wait until the managers hear from all three. Only `docker node ls` counts, not that a join was answered."""

    def look() -> tuple[bool | None, str]:
        try:
            nodes = {node.address: node for node in swarm.read_nodes(orders) if node.is_manager}
        except CommandFailed as error:  # an election is under way: "The swarm does not have a leader"
            return None, error.message
        waiting = []
        for manager in managers:
            node = nodes.get(_private_ip(manager))
            if node is None or not node.is_ready:
                waiting.append(f"{manager.name} is {f'{node.state}, {node.reachability}' if node else 'not there'}")
        return (None if waiting else True), ", ".join(waiting)

    wait_until(
        look,
        awaited="all managers reachable in `docker node ls`",
        timeout_seconds=REACHABLE_SECONDS,
        hint="Managers talk on TCP 2377 and 7946, UDP 7946 and 4789: is their security group as it was made?",
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def _private_ip(manager: Instance) -> str:
    if not manager.private_ip:
        raise DockereeError(f"{manager.name} ({manager.id}) is {manager.state} and has no private address")
    return manager.private_ip
