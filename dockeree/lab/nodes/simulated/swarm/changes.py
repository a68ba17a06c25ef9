"""Changes to the store that a manager makes: members, tokens, services. Each is refused as swarmkit refuses it."""

from __future__ import annotations

from typing import TypeVar

from dockeree.lab.nodes.simulated.swarm.errors import SwarmError, not_found, rpc
from dockeree.lab.nodes.simulated.swarm.identity import new_token
from dockeree.lab.nodes.simulated.swarm.model import Member, Network, Role, Service, SwarmState
from dockeree.lab.nodes.simulated.swarm.raft import is_reachable, settle

Thing = TypeVar("Thing", Member, Service, Network)


def find(things: dict[str, Thing], kind: str, reference: str) -> Thing:
    """By id, else by name, else by the beginning of the id. Raises SwarmError."""
    if reference in things:
        return things[reference]
    names = {thing.id: thing.hostname if isinstance(thing, Member) else thing.name for thing in things.values()}
    by_name = [thing for thing in things.values() if names[thing.id] == reference]
    found = by_name or [thing for thing in things.values() if reference and thing.id.startswith(reference)]
    if not found:
        raise not_found(kind, reference)
    if len(found) > 1:
        raise SwarmError(f"{kind} {reference} is ambiguous ({len(found)} matches found)")
    return found[0]


def promote(swarm: SwarmState, member: Member) -> None:
    """Make a worker a manager."""
    swarm.raft_ids += 1
    member.role, member.raft_id = "manager", swarm.raft_ids
    swarm.touch(member)
    settle(swarm)


def demote(swarm: SwarmState, member: Member) -> None:
    """Make a manager a worker; the last one, and one whose loss would cost the quorum, is kept."""
    others = [manager for manager in swarm.managers if manager is not member]
    if not others:
        raise rpc("FailedPrecondition", "attempting to demote the last manager of the swarm")
    if sum(is_reachable(swarm, manager) and not manager.has_left for manager in others) < len(others) // 2 + 1:
        raise rpc("FailedPrecondition", "can't remove member from the raft: this would result in a loss of quorum")
    member.role = "worker"
    swarm.touch(member)
    if swarm.leader_id == member.id:
        # A demoted leader hands its lead over; no election timeout runs.
        swarm.leader_id, swarm.leaderless_since = None, float("-inf")
    settle(swarm)


def remove_member(swarm: SwarmState, member: Member, *, force: bool) -> None:
    """Take a node out of the store."""
    if member.is_manager:
        raise rpc(
            "FailedPrecondition",
            f"node {member.id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker "
            "before removal",
        )
    if member.status == "ready" and not force:
        raise rpc("FailedPrecondition", f"node {member.id} is not down and can't be removed")
    del swarm.members[member.id]
    swarm.next_version()
    settle(swarm)


def rotate_token(swarm: SwarmState, role: Role) -> str:
    """A new join token; the old one is refused from now on, nodes that have joined stay."""
    swarm.tokens[role] = new_token(swarm.ca)
    swarm.next_version()
    return swarm.tokens[role]


def add_service(swarm: SwarmState, service: Service) -> None:
    """Create a service; names and ingress ports are taken once."""
    if any(other.name == service.name for other in swarm.services.values()):
        raise rpc("AlreadyExists", f"name conflicts with an existing object: service {service.name} already exists")
    check_ports(swarm, service)
    swarm.touch(service)
    swarm.services[service.id] = service
    settle(swarm)


def check_ports(swarm: SwarmState, service: Service) -> None:
    """Refuse a published port that another service holds on the ingress network."""
    for other in swarm.services.values():
        for taken in other.ports if other.id != service.id else ():
            for port in service.ports:
                same = (port.published, port.protocol) == (taken.published, taken.protocol)
                if same and port.published and "ingress" in (port.mode, taken.mode):
                    how = "an ingress" if taken.mode == "ingress" else "a host-published"
                    holder = f"service '{other.name}' ({other.id}) as {how} port"
                    raise rpc("InvalidArgument", f"port '{port.published}' is already in use by {holder}")


def remove_service(swarm: SwarmState, service: Service) -> None:
    """Remove a service; its tasks end."""
    del swarm.services[service.id]
    swarm.next_version()
    settle(swarm)
