"""One manager brought into the swarm, whatever state an earlier attempt left it in."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dockeree.aws.instances import Instance
from dockeree.errors import DockereeError
from dockeree.node import swarm
from dockeree.node.engine import SwarmState, read_info
from dockeree.ssh.remote import Remote
from dockeree.steps.reaching import connect_to
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

SETTLE_SECONDS = 60.0
"""How long a membership may be pending: after a reboot, or a join that the engine goes on with in the background."""


def retire_ghosts(orders: Remote, own_ids: Collection[str]) -> bool:
    """Demote and remove managers that are out of reach and whose machines are not this cluster's any more.

    This comes before a replacement joins: with three managers, one of them dead, a fourth makes a majority of three
    out of three that live, and the next failure stops the swarm. True when there was any.
    """
    ghosts = [
        node
        for node in swarm.read_nodes(orders)
        if node.is_manager and node.reachability != "reachable" and node.id not in own_ids
    ]
    for ghost in ghosts:
        orders.run(swarm.demote_command(ghost.id))
        orders.run(swarm.node_rm_command([ghost.id]))
    return bool(ghosts)


def join_manager(cluster: Cluster, orders: Remote, manager: Instance) -> bool:
    """Make `manager` a manager of the swarm that `orders` manages; whether anything was changed."""
    remote = connect_to(cluster, manager)
    state = _settled(cluster, remote)
    if state.state == "active" and state.is_manager:
        return False
    known = {node.id for node in swarm.read_nodes(orders)}
    if state.node_id in known:
        if state.state != "active":
            raise DockereeError(
                f"{manager.name} is a member of the swarm, but its engine says {state.state} {state.error}".rstrip(),
                f"Look at its engine: dockeree ssh {manager.name} -- sudo journalctl -u docker -n 50",
            )
        orders.run(swarm.promote_command(state.node_id))
        return True
    if state.is_member:  # of a swarm that is not this one, or of an attempt that never came about
        if state.is_manager and state.state == "active":
            raise DockereeError(f"{manager.name} is a manager of another swarm")
        remote.run(swarm.leave_command())
    _join(cluster, orders, remote, manager)
    return True


def _join(cluster: Cluster, orders: Remote, remote: Remote, manager: Instance) -> None:
    token = orders.run(swarm.join_token_command("manager"), changes=False).stdout.strip()
    leader = read_info(orders).swarm.address
    body = swarm.join_body(token, manager.private_ip or "", [f"{leader}:{swarm.SWARM_PORT}"])
    answer = remote.run(swarm.JOIN, stdin=body, secrets=(token,), timeout_seconds=swarm.JOIN_SECONDS)
    status, message = swarm.parse_join(answer.stdout)
    state = _settled(cluster, remote)
    if state.state == "active" and state.is_manager:
        return  # a timeout is not failure either: the engine goes on in the background
    raise DockereeError(
        f"{manager.name} could not join: {message or state.error or f'the engine answered {status}'}",
        "Managers reach each other on TCP 2377: is the security group of managers as it was made?",
    )


def _settled(cluster: Cluster, remote: Remote) -> SwarmState:
    """The membership once it is not pending any more, or as it is when it stays pending."""
    deadline = cluster.clock.now() + SETTLE_SECONDS

    def look() -> tuple[SwarmState | None, str]:
        state = read_info(remote).swarm
        is_over = state.state != "pending" or cluster.clock.now() >= deadline
        return (state if is_over else None), state.state

    return wait_until(
        look,
        awaited=f"the swarm membership of {remote.name}",
        timeout_seconds=SETTLE_SECONDS * 2,
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )
