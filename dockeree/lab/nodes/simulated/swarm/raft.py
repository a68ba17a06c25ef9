"""Who leads, who is reachable, who is Down: a swarm's state as time and the network make it.

Nothing here runs by itself. `settle` brings the store up to the present; everyone who looks at the store or changes
the world around it (power, security groups) calls it first.
"""

from __future__ import annotations

from dockeree.lab.nodes.simulated.pace import ELECTION_SECONDS, HEARTBEAT_SECONDS, REGISTRATION_SECONDS
from dockeree.lab.nodes.simulated.swarm import scheduler
from dockeree.lab.nodes.simulated.swarm.errors import NO_LEADER, SwarmError
from dockeree.lab.nodes.simulated.swarm.model import MANAGEMENT_PORT, Member, SwarmState


def settle(swarm: SwarmState) -> None:
    """Bring `swarm` up to the present: leader, the members' status, then what its services need."""
    now = swarm.fabric.pace.now()
    _settle_leader(swarm, now)
    leader = swarm.leader
    scheduler.let_time_pass(swarm, now)
    if leader is None:
        return
    for member in swarm.members.values():
        _settle_status(swarm, leader, member, now)
    scheduler.reconcile(swarm, now)


def quorum(swarm: SwarmState) -> int:
    """How many managers must reach one another."""
    return len(swarm.managers) // 2 + 1


def is_reachable(swarm: SwarmState, manager: Member) -> bool:
    """What a manager's `ManagerStatus.Reachability` tells: the leader notices an absence after some heartbeats."""
    pace = swarm.fabric.pace
    leader = swarm.leader
    if leader is None:
        return False
    return _are_connected(swarm, leader, manager) or (
        pace.now() - manager.last_seen < pace.scaled(HEARTBEAT_SECONDS) and not manager.has_left
    )


def require_leader(swarm: SwarmState, manager: Member) -> Member:
    """The leader as `manager` reaches it. Raises SwarmError without one: nothing can be read or changed then."""
    settle(swarm)
    leader = swarm.leader
    if leader is None or not _are_connected(swarm, leader, manager):
        raise SwarmError(NO_LEADER)
    return leader


def _are_connected(swarm: SwarmState, one: Member, other: Member) -> bool:
    """Raft's members dial each other, so both directions must be open."""
    fabric = swarm.fabric
    if not fabric.engine_runs(one.instance_id) or not fabric.engine_runs(other.instance_id) or other.has_left:
        return False
    return one is other or (
        fabric.reaches(one.instance_id, other.instance_id, "tcp", MANAGEMENT_PORT)
        and fabric.reaches(other.instance_id, one.instance_id, "tcp", MANAGEMENT_PORT)
    )


def _has_quorum(swarm: SwarmState, candidate: Member) -> bool:
    votes = sum(_are_connected(swarm, candidate, manager) for manager in swarm.managers)
    return votes >= quorum(swarm)


def _settle_leader(swarm: SwarmState, now: float) -> None:
    leader = swarm.leader
    if leader is not None and leader.is_manager and _has_quorum(swarm, leader):
        return
    if swarm.leader_id is not None:
        swarm.leader_id, swarm.leaderless_since = None, now
    pace = swarm.fabric.pace
    if now - swarm.leaderless_since < pace.scaled(ELECTION_SECONDS):
        return
    candidates = [manager for manager in swarm.managers if _has_quorum(swarm, manager)]
    if candidates:
        swarm.leader_id = candidates[0].id
        swarm.registered_at = now + pace.scaled(REGISTRATION_SECONDS)


def _settle_status(swarm: SwarmState, leader: Member, member: Member, now: float) -> None:
    if member.has_left:
        member.status = "down"
    elif _is_heard(swarm, leader, member):
        member.last_seen = now
        member.status = "ready" if member is leader or now >= swarm.registered_at else "unknown"
    elif now - member.last_seen >= swarm.fabric.pace.scaled(HEARTBEAT_SECONDS):
        member.status = "down"
    elif now < swarm.registered_at:
        member.status = "unknown"


def _is_heard(swarm: SwarmState, leader: Member, member: Member) -> bool:
    """A manager talks to the leader; a worker to any manager that does."""
    if member.is_manager:
        return _are_connected(swarm, leader, member)
    fabric = swarm.fabric
    return fabric.engine_runs(member.instance_id) and any(
        _are_connected(swarm, leader, manager)
        and fabric.reaches(member.instance_id, manager.instance_id, "tcp", MANAGEMENT_PORT)
        for manager in swarm.managers
    )
