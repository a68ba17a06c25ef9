"""`dockeree ssh`: the system's own ssh, with the cluster's key and its pinned host keys."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dockeree.commands.group import ClusterCommand
from dockeree.commands.session import Session
from dockeree.errors import DockereeError, SshError, UsageError

if TYPE_CHECKING:
    from dockeree.aws.instances import Instance
    from dockeree.context import Cluster


@click.command(
    cls=ClusterCommand,
    examples=[
        ("dockeree ssh manager-a", "a shell"),
        ("dockeree ssh manager-a -- sudo docker node ls", "one command; its exit code is dockeree's"),
        ("dockeree ssh worker-2 -- sudo journalctl -u docker", "the second worker, by age"),
        ("dockeree ssh i-0abc… -- tar c /etc > etc.tar", "by instance id; binary output arrives as it is"),
    ],
)
@click.argument("node")
@click.argument("remote_command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_obj
def ssh(session: Session, node: str, remote_command: tuple[str, ...]) -> int:
    """Open a shell on NODE, or run COMMAND there.

    NODE is manager-a, manager-b or manager-c, worker-1 and so on by age, a worker's name as `status` shows it, an
    instance id, or a private address or name. A terminal is asked for only when there is no COMMAND. The words of
    COMMAND arrive as they are; a single word is a line for the remote shell: `-- 'cd /etc && ls *.conf'`.
    """
    from dockeree.commands.common import looking

    with looking(session) as cluster:
        program = shutil.which("ssh")
        if program is None:
            raise UsageError("there is no ssh on this machine", "Install OpenSSH's client: apt install openssh-client")
        instance = find_node(find_nodes(cluster), node)
        arguments = ssh_arguments(cluster, instance, remote_command)
        pin_host_key(cluster, instance)
        cluster.report.log(f"exec {shlex.join(arguments)}")
    os.execv(program, arguments)


def find_nodes(cluster: Cluster) -> list[Instance]:
    """The cluster's managers and workers. Raises DockereeError when there is no such cluster."""
    from dockeree.aws.clusters import find_claim
    from dockeree.aws.instances import find_instances
    from dockeree.aws.tags import Owner

    claim = find_claim(cluster.aws, cluster.name)
    if claim is None:
        raise DockereeError(f"there is no cluster {cluster.name} in {cluster.aws.region}", "dockeree up makes it.")
    owner = Owner(cluster.name, claim.id)
    return [instance for instance in find_instances(cluster.aws, owner) if instance.state != "shutting-down"]


def names_of(instance: Instance, number: int) -> set[str]:
    """Everything that a node may be called; `number` is its place among the workers by age, from 1."""
    names = {instance.name, instance.id}
    if instance.role == "worker":
        names.add(f"worker-{number}")
    if instance.private_ip:
        host_name = f"ip-{instance.private_ip.replace('.', '-')}"
        names |= {instance.private_ip, host_name}
    return names


def find_node(instances: Sequence[Instance], wanted: str) -> Instance:
    """The node called `wanted`; a private name counts with its domain too.

    Raises UsageError that lists the names there are.
    """
    workers = sorted((i for i in instances if i.role == "worker"), key=lambda i: (i.launched_at, i.id))
    numbers = {worker.id: number for number, worker in enumerate(workers, start=1)}
    short = wanted.partition(".")[0] if wanted.startswith("ip-") else wanted
    for instance in instances:
        if short in names_of(instance, numbers.get(instance.id, 0)):
            return instance
    known = [i.name for i in instances if i.role != "worker"]
    known += [f"worker-{number}" for number in range(1, len(workers) + 1)]
    raise UsageError(f"there is no node {wanted}", f"There are {', '.join(known) or 'none'}.")


def ssh_arguments(cluster: Cluster, instance: Instance, remote_command: Sequence[str]) -> list[str]:
    """The ssh command line. Host keys are pinned by instance id: an address may have been another machine's yesterday.

    Raises SshError when the node has no public address.
    """
    from dockeree.commands.common import ssh_port

    if not instance.public_ip:
        raise SshError(
            f"{instance.name} ({instance.id}) is {instance.state} and has no public address",
            f"Start it: aws ec2 start-instances --instance-ids {instance.id}",
        )
    options = {
        "UserKnownHostsFile": _quoted(str(cluster.state.known_hosts_path)),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": instance.id,
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "HashKnownHosts": "no",
        "CheckHostIP": "no",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "30",
        "LogLevel": "ERROR",
    }
    arguments = ["ssh", "-p", str(ssh_port(cluster.config)), *identity_arguments(cluster)]
    for name, value in options.items():
        arguments += ["-o", f"{name}={value}"]
    arguments.append(f"{cluster.config.ssh.user}@{instance.public_ip}")
    return arguments + command_line(remote_command)


def command_line(words: Sequence[str]) -> list[str]:
    """What ssh is given after the address: it joins its arguments with spaces for the remote shell to take apart."""
    if len(words) <= 1:
        return list(words)
    return [shlex.join(words)]


def identity_arguments(cluster: Cluster) -> list[str]:
    """`-i KEY`: the operator's own (its public half is enough when the agent holds the key), else the cluster's.

    Raises SshError when the cluster's key is neither here nor in the account.
    """
    from dockeree.commands.common import key_path
    from dockeree.steps.access import recover_key_file

    recover_key_file(cluster)
    path = key_path(cluster.config, cluster.state)
    if cluster.config.ssh.key is not None:
        return ["-i", str(path)]
    if not path.exists():
        raise SshError(
            f"the cluster's SSH key is neither at {path} nor in the account", "Set ssh.key to the key it was made with."
        )
    return ["-i", str(path), "-o", "IdentitiesOnly=yes"]


def pin_host_key(cluster: Cluster, instance: Instance) -> None:
    """At the first sight of a node, take its host key as `up` does: checked against the console's fingerprints.

    Raises SshError when nobody answers, or somebody else does.
    """
    from dockeree.ssh.known_hosts import KnownHosts

    if not KnownHosts(cluster.state.known_hosts_path).pinned(instance.id):
        cluster.remote(name=instance.name, host=instance.public_ip or "", instance_id=instance.id)


def _quoted(path: str) -> str:
    """ssh splits an option's value at spaces unless it is quoted."""
    return f'"{path}"' if " " in path else path
