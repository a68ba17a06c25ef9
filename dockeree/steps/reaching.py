"""The ways from a step to the nodes: the managers' instances, their connections, and what a silent node wrote last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dockeree.aws import instances
from dockeree.aws.console_output import console_output
from dockeree.aws.instances import Instance
from dockeree.aws.tags import not_found
from dockeree.errors import AwsError, CommandFailed, DockereeError, SshError, TimedOut
from dockeree.node.engine import JOURNAL, EngineInfo, parse_own_lines, read_info
from dockeree.ssh.nodes import on_each
from dockeree.ssh.remote import Remote
from dockeree.steps.found import owner_of

if TYPE_CHECKING:
    from dockeree.context import Cluster

CONTROL_CHARACTERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def managers_of(cluster: Cluster) -> list[Instance]:
    """The three managers, by role. Raises AwsError when one is not there."""
    managers = instances.find_managers(cluster.aws, owner_of(cluster))
    for role in instances.MANAGER_ROLES:
        if role not in managers:
            raise not_found(f"the instance {role} of {cluster.name}")
    return [managers[role] for role in instances.MANAGER_ROLES]


def connect_to(cluster: Cluster, instance: Instance) -> Remote:
    """The connection to a running instance. Raises SshError."""
    if not instance.public_ip:
        raise SshError(
            f"{instance.name} ({instance.id}) is {instance.state} and has no public address",
            "Run `dockeree up`: it starts managers that are stopped.",
        )
    return cluster.remote(name=instance.name, host=instance.public_ip, instance_id=instance.id)


def find_swarm_manager(cluster: Cluster, candidates: list[Instance]) -> tuple[Remote, EngineInfo]:
    """A manager to give orders to: the first of `candidates` that answers and is an active manager of the swarm.

    Raises DockereeError with each candidate's reason when there is none.
    """

    def ask(instance: Instance) -> tuple[Remote, EngineInfo]:
        remote = connect_to(cluster, instance)
        return remote, read_info(remote)

    reasons: list[str] = []
    for outcome in on_each(candidates, ask):
        if isinstance(outcome.error, (SshError, CommandFailed, TimedOut)):
            reasons.append(outcome.error.message)
        elif outcome.error is not None:
            raise outcome.error
        elif outcome.result is not None:
            remote, info = outcome.result
            if info.swarm.is_manager and info.swarm.state == "active":
                return remote, info
            reasons.append(f"{outcome.node.name}: its engine says {info.swarm.state} {info.swarm.error}".rstrip())
    raise DockereeError(
        f"no manager of {cluster.name} takes orders:\n" + "\n".join(f"- {reason}" for reason in reasons),
        "See `dockeree status`; `dockeree up` brings up what can be brought up.",
    )


def last_words(cluster: Cluster, instance: Instance) -> str:
    """The last line about the engine or the join that a node wrote: to its journal, else to its console.

    After a program that failed systemd says "Main process exited" and "Scheduled restart job": why, the program said.

    Never raises: it is asked for to explain another error.
    """
    try:
        result = connect_to(cluster, instance).run(JOURNAL, changes=False, check=False, timeout_seconds=15)
        lines = [line for line in result.stdout.splitlines() if line.strip()]
        if result.exit_status == 0 and lines:
            return [*lines, *parse_own_lines(result.stdout)][-1]
    except (SshError, CommandFailed, TimedOut) as error:
        return _last_line_of_console(cluster, instance) or error.message
    return _last_line_of_console(cluster, instance) or "it has written nothing about it yet"


def _last_line_of_console(cluster: Cluster, instance: Instance) -> str:
    try:
        text = CONTROL_CHARACTERS.sub("", console_output(cluster.aws, instance.id))
    except AwsError as error:
        return f"its console cannot be read: {error.message}"
    ours = parse_own_lines(text)
    return ours[-1] if ours else ""
