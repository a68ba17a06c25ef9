"""How a machine becomes part of a swarm, and how it leaves: `swarm init`, `swarm join`, `swarm leave`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from dockeree.lab.nodes.simulated.engine import VERSION, Membership, PendingJoin
from dockeree.lab.nodes.simulated.machine import Machine
from dockeree.lab.nodes.simulated.pace import JOIN_TIMEOUT_SECONDS
from dockeree.lab.nodes.simulated.swarm import errors
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError, rpc
from dockeree.lab.nodes.simulated.swarm.identity import new_id, token_digest
from dockeree.lab.nodes.simulated.swarm.model import (
    MANAGEMENT_PORT,
    Availability,
    Member,
    Network,
    Role,
    SwarmState,
)
from dockeree.lab.nodes.simulated.swarm.raft import is_reachable, require_leader, settle


@dataclass(frozen=True)
class SwarmOptions:
    """What `swarm init` was asked for."""

    advertise_address: str = ""
    availability: Availability = "active"
    address_pools: tuple[str, ...] = ("10.0.0.0/8",)
    subnet_size: int = 24
    data_path_port: int = 4789
    autolock: bool = False
    task_history_limit: int = 5
    force_new_cluster: bool = False


class Unreachable(Exception):
    """Nothing answers at an address: the packets are dropped, or nobody is there."""


def initialize(machine: Machine, options: SwarmOptions) -> SwarmState:
    """Make a new swarm with `machine` as its only manager. Raises SwarmError."""
    membership = machine.engine.membership
    if membership is not None and options.force_new_cluster:
        return _force_new_cluster(membership)
    if membership is not None:
        raise SwarmError(errors.ALREADY)
    address = own_address(machine, options.advertise_address)
    _check_pools(options)
    swarm = SwarmState(
        machine.site,
        options.address_pools,
        options.subnet_size,
        options.data_path_port,
        autolock=options.autolock,
        task_history_limit=options.task_history_limit,
    )
    member = add_member(swarm, machine, "manager", address, options.availability)
    swarm.leader_id = member.id
    first_pool = ipaddress.ip_network(options.address_pools[0])
    subnet = str(next(iter(first_pool.subnets(new_prefix=options.subnet_size))))
    ingress = Network(new_id(), "ingress", subnet, ingress=True)
    swarm.networks[ingress.id] = ingress
    machine.site.swarms.append(swarm)
    machine.engine.membership = Membership(swarm, member.id)
    return swarm


def _force_new_cluster(membership: Membership) -> SwarmState:
    """The way back from a lost quorum: this manager alone keeps the store, the other managers are forgotten."""
    swarm, member = membership.swarm, membership.member
    if swarm is None or member is None or not member.is_manager:
        raise SwarmError(errors.NOT_A_MANAGER if swarm else errors.NO_SWARM)
    for other in swarm.managers:
        if other is not member:
            del swarm.members[other.id]
    swarm.leader_id = member.id
    settle(swarm)
    return swarm


def _check_pools(options: SwarmOptions) -> None:
    for pool in options.address_pools:
        try:
            network = ipaddress.ip_network(pool)
        except ValueError as error:
            raise SwarmError(f"invalid default address pool {pool}") from error
        if not network.prefixlen <= options.subnet_size <= 29:
            raise rpc("InvalidArgument", f"invalid default address pool mask length {options.subnet_size}")


def own_address(machine: Machine, asked: str) -> str:
    """The address to advertise: as asked (an address or an interface, perhaps with a port), else eth0's."""
    if not asked:
        return machine.spec.private_ip
    host = asked.rsplit(":", 1)[0] if asked.count(":") == 1 else asked
    if host in ("eth0", "ens5", "enX0"):
        return machine.spec.private_ip
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = ipaddress.ip_address("0.0.0.0")
    if address.is_unspecified:
        raise SwarmError(
            "advertise address must be a non-zero IP address or network interface (with optional port number)"
        )
    return host


def add_member(swarm: SwarmState, machine: Machine, role: Role, address: str, availability: Availability) -> Member:
    """Put a node into the store."""
    swarm.raft_ids += 1
    member = Member(
        id=new_id(),
        instance_id=machine.id,
        hostname=machine.hostname,
        address=address,
        role=role,
        engine_version=VERSION,
        last_seen=swarm.fabric.pace.now(),
        raft_id=swarm.raft_ids,
        availability=availability,
    )
    swarm.touch(member)
    swarm.members[member.id] = member
    return member


def join(machine: Machine, request: PendingJoin) -> Role:
    """Join as the token says, and return the role. Waits outside the site's lock. Raises SwarmError."""
    with machine.site.lock:
        if machine.engine.membership is not None:
            raise SwarmError(errors.ALREADY)
        own_address(machine, request.advertise_address)
        if token_digest(request.token) is None:
            raise SwarmError("invalid join token")
        try:
            return _enter(machine, request)
        except Unreachable:
            machine.engine.membership = Membership(None, pending=request)
    deadline = JOIN_TIMEOUT_SECONDS
    while deadline > 0 and machine.pause(1.0):
        deadline -= 1.0
        retry_pending(machine)
        membership = machine.engine.membership
        if membership is not None and membership.swarm is not None:
            return membership.role
    raise SwarmError(errors.JOIN_TIMEOUT)


def retry_pending(machine: Machine) -> None:
    """Try a join that goes on in the background once more; a refusal by then is final and stays as the error."""
    with machine.site.lock:
        membership = machine.engine.membership
        if membership is None or membership.pending is None or not machine.site.engine_runs(machine.id):
            return
        try:
            _enter(machine, membership.pending)
        except Unreachable:
            return
        except SwarmError as error:
            machine.engine.membership = None
            machine.to_journal("docker.service", f'level=error msg="cluster exited with error: {error}"')


def _enter(machine: Machine, request: PendingJoin) -> Role:
    """Try each address. Raises Unreachable when none answers, else the SwarmError that came last."""
    refusal: SwarmError | None = None
    for address in request.remote_addresses:
        host, _, port = address.rpartition(":") if ":" in address else (address, "", str(MANAGEMENT_PORT))
        try:
            manager = _dial(machine, host, int(port))
            return _register(machine, request, manager)
        except Unreachable:
            continue
        except SwarmError as error:
            refusal = error
    if refusal is None:
        raise Unreachable
    raise refusal


def _register(machine: Machine, request: PendingJoin, member: Member) -> Role:
    membership = machine.site.machines[member.instance_id].engine.membership
    swarm = membership.swarm if membership else None
    if swarm is None:
        raise SwarmError(errors.NO_SWARM)
    if token_digest(request.token) != swarm.ca.digest:
        raise SwarmError(f"remote CA does not match fingerprint. Expected: {token_digest(request.token)}")
    role = next((role for role, token in swarm.tokens.items() if token == request.token), None)
    if role is None:
        raise rpc("InvalidArgument", "A valid join token is necessary to join this cluster")
    leader = require_leader(swarm, member)
    if role == "manager" and not machine.site.reaches(leader.instance_id, machine.id, "tcp", MANAGEMENT_PORT):
        raise SwarmError(
            "manager stopped: can't initialize raft node: rpc error: code = Unknown desc = could not connect to "
            "prospective new cluster member using its advertised address: rpc error: code = DeadlineExceeded desc = "
            "context deadline exceeded"
        )
    address = own_address(machine, request.advertise_address)
    joined = add_member(swarm, machine, role, address, request.availability)
    machine.engine.membership = Membership(swarm, joined.id)
    settle(swarm)
    return role


def _dial(machine: Machine, host: str, port: int) -> Member:
    """The manager that listens at an address. Raises Unreachable, or SwarmError when the connection is refused."""
    site = machine.site
    other = site.by_address(machine, host)
    if other is None or not other.is_on:
        raise Unreachable
    if host == other.spec.private_ip:
        passes = site.reaches(machine.id, other.id, "tcp", port)
    else:
        passes = site.reachability.by_public_address(machine.id, other.id, "tcp", port)
    if not passes:
        raise Unreachable
    member = other.engine.membership.member if other.engine.membership else None
    if not site.engine_runs(other.id) or port != MANAGEMENT_PORT or member is None or not member.is_manager:
        raise _refused(host, str(port))
    return member


def _refused(host: str, port: str) -> SwarmError:
    dialing = f"transport: Error while dialing: dial tcp {host}:{port}: connect: connection refused"
    return rpc("Unavailable", f'connection error: desc = "{dialing}"')


def leave(machine: Machine, *, force: bool) -> None:
    """Leave the swarm. The swarm lists the node as Down until it is removed there. Raises SwarmError."""
    membership = machine.engine.membership
    if membership is None:
        raise SwarmError(errors.NOT_IN_SWARM)
    member, swarm = membership.member, membership.swarm
    if member is not None and swarm is not None:
        if member.is_manager and not force:
            raise SwarmError(_why_not_leave(swarm))
        member.has_left = True
    machine.engine.membership = None
    machine.site.settle()


def _why_not_leave(swarm: SwarmState) -> str:
    message = "You are attempting to leave the swarm on a node that is participating as a manager. "
    reachable = sum(is_reachable(swarm, manager) for manager in swarm.managers)
    unreachable = len(swarm.managers) - reachable
    if swarm.leader is None:
        message += "Doing so may lose the consensus of your cluster. "
    elif reachable == 1 and unreachable == 0:
        return message + (
            "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
        )
    elif reachable - 2 <= unreachable:
        message += (
            f"Removing this node leaves {reachable - 1} managers out of {reachable + unreachable}. Without a Raft "
            "quorum your swarm will be inaccessible. "
        )
    return message + (
        "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
        "Use `--force` to suppress this message."
    )
