"""`docker swarm …`"""

from __future__ import annotations

import re

from dockeree.lab.nodes.simulated.answer import Answer, said
from dockeree.lab.nodes.simulated.docker.flags import UsageError
from dockeree.lab.nodes.simulated.docker.registry import Invocation, command
from dockeree.lab.nodes.simulated.engine import PendingJoin
from dockeree.lab.nodes.simulated.swarm.changes import rotate_token
from dockeree.lab.nodes.simulated.swarm.identity import new_root_ca, new_token
from dockeree.lab.nodes.simulated.swarm.membership import SwarmOptions, initialize, join, leave
from dockeree.lab.nodes.simulated.swarm.model import MANAGEMENT_PORT, Availability, Role, SwarmState

HOURS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
SPEC_FLAGS = (
    "autolock cert-expiry:text dispatcher-heartbeat:text external-ca:list max-snapshots:number "
    "snapshot-interval:number task-history-limit:number"
)


def _availability(invocation: Invocation) -> Availability:
    word = invocation.options.text("availability", "active")
    if word not in ("active", "pause", "drain"):
        raise UsageError(f'invalid availability "{word}", only active, pause and drain are supported', 1)
    return word  # type: ignore[return-value]


@command(
    "swarm init",
    "advertise-addr:text availability:text data-path-addr:text data-path-port:number default-addr-pool:list "
    f"default-addr-pool-mask-length:number force-new-cluster listen-addr:text {SPEC_FLAGS}",
)
def _init(invocation: Invocation) -> Answer:
    options = invocation.options
    pools = tuple(pool for item in options.items("default-addr-pool") for pool in item.split(","))
    wanted = SwarmOptions(
        advertise_address=options.text("advertise-addr"),
        availability=_availability(invocation),
        address_pools=pools or ("10.0.0.0/8",),
        subnet_size=options.number("default-addr-pool-mask-length", 24),
        data_path_port=options.number("data-path-port", 4789),
        autolock=options.is_set("autolock"),
        task_history_limit=options.number("task-history-limit", 5),
        force_new_cluster=options.is_set("force-new-cluster"),
    )
    swarm = initialize(invocation.machine, wanted)
    membership = invocation.membership
    member = membership.member if membership else None
    assert member is not None
    return said(
        f"Swarm initialized: current node ({member.id}) is now a manager.\n\n"
        "To add a worker to this swarm, run the following command:\n\n"
        f"    docker swarm join --token {swarm.tokens['worker']} {member.address}:{MANAGEMENT_PORT}\n\n"
        "To add a manager to this swarm, run 'docker swarm join-token manager' and follow the instructions.\n\n"
    )


@command(
    "swarm join",
    "advertise-addr:text availability:text data-path-addr:text listen-addr:text token:text",
    usage="[OPTIONS] HOST:PORT",
    arguments=(1, 1),
    is_slow=True,
)
def _join(invocation: Invocation) -> Answer:
    options = invocation.options
    request = PendingJoin(
        token=options.text("token"),
        remote_addresses=(options.arguments[0],),
        advertise_address=options.text("advertise-addr"),
        availability=_availability(invocation),
    )
    role = join(invocation.machine, request)
    return said(f"This node joined a swarm as a {role}.\n")


@command("swarm leave", "force/f")
def _leave(invocation: Invocation) -> Answer:
    leave(invocation.machine, force=invocation.options.is_set("force"))
    return said("Node left the swarm.\n")


@command("swarm join-token", "quiet/q rotate", usage="[OPTIONS] (worker|manager)", arguments=(1, 1))
def _join_token(invocation: Invocation) -> Answer:
    word = invocation.options.arguments[0]
    if word not in ("worker", "manager"):
        raise UsageError(f"unknown role {word}", 1)
    role: Role = "worker" if word == "worker" else "manager"
    swarm = invocation.managed_swarm()
    is_quiet = invocation.options.is_set("quiet")
    text = ""
    if invocation.options.is_set("rotate"):
        rotate_token(swarm, role)
        text = "" if is_quiet else f"Successfully rotated {role} join token.\n\n"
    if is_quiet:
        return said(f"{swarm.tokens[role]}\n")
    membership = invocation.membership
    address = membership.member.address if membership and membership.member else ""
    return said(
        f"{text}To add a {role} to this swarm, run the following command:\n\n"
        f"    docker swarm join --token {swarm.tokens[role]} {address}:{MANAGEMENT_PORT}\n\n"
    )


@command("swarm update", SPEC_FLAGS)
def _update(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    if "autolock" in options.values:
        swarm.autolock = options.is_set("autolock")
    swarm.task_history_limit = options.number("task-history-limit", swarm.task_history_limit)
    if "cert-expiry" in options.values:
        swarm.certificate_hours = _seconds("cert-expiry", options.text("cert-expiry")) // 3600
    if "dispatcher-heartbeat" in options.values:
        swarm.heartbeat_seconds = _seconds("dispatcher-heartbeat", options.text("dispatcher-heartbeat"))
    swarm.next_version()
    return said("Swarm updated.\n")


@command(
    "swarm ca", "ca-cert:text ca-key:text cert-expiry:text detach/d external-ca:list quiet/q rotate", usage="[OPTIONS]"
)
def _ca(invocation: Invocation) -> Answer:
    swarm, options = invocation.managed_swarm(), invocation.options
    if not options.is_set("rotate"):
        given = [name for name in ("ca-cert", "ca-key", "cert-expiry", "external-ca") if name in options.values]
        if given:
            raise UsageError(f"`--{given[0]}` flag requires the `--rotate` flag to update the CA", 1)
        return said(f"{swarm.ca.pem.strip()}\n")
    _rotate_ca(swarm)
    return said("" if options.is_set("detach") else f"{swarm.ca.pem.strip()}\n")


def _rotate_ca(swarm: SwarmState) -> None:
    """Every token carries the certificate's digest, so both change with it."""
    swarm.ca = new_root_ca()
    swarm.tokens = {"worker": new_token(swarm.ca), "manager": new_token(swarm.ca)}
    swarm.next_version()


def _seconds(flag: str, text: str) -> int:
    match = HOURS.fullmatch(text)
    if match is None or not any(match.groups()):
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: time: invalid duration "{text}"', 125)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
