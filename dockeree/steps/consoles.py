"""What the steps of UCP and DTR have in common: names, addresses, hostnames, the operator's files, who leads."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dockeree.aws import load_balancers
from dockeree.aws.instances import Instance
from dockeree.aws.load_balancers import LoadBalancer
from dockeree.aws.tags import not_found
from dockeree.config import Certificate
from dockeree.errors import DockereeError
from dockeree.node import swarm
from dockeree.node.engine import read_info
from dockeree.ssh.nodes import on_each, results
from dockeree.ssh.remote import Remote
from dockeree.steps.found import owner_of
from dockeree.steps.names import console_host, own_domains, zone_name
from dockeree.steps.reaching import connect_to, find_swarm_manager, managers_of

if TYPE_CHECKING:
    from dockeree.context import Cluster


@dataclass(frozen=True)
class Manager:
    """A manager with a connection to it, and what the swarm calls it."""

    instance: Instance
    remote: Remote
    node_id: str
    hostname: str

    @property
    def name(self) -> str:
        """manager-a, manager-b or manager-c."""
        return self.instance.name

    @property
    def address(self) -> str:
        """Its private address."""
        return private_address(self.instance)

    @property
    def letter(self) -> str:
        """a, b or c."""
        return self.instance.role[-1]


def private_address(instance: Instance) -> str:
    """An instance's private address. Raises DockereeError when it has none: it does not run."""
    if not instance.private_ip:
        raise DockereeError(f"{instance.name} ({instance.id}) is {instance.state} and has no private address")
    return instance.private_ip


def connected_managers(cluster: Cluster) -> list[Manager]:
    """The three managers, each asked for its own name. Raises SshError, CommandFailed; AwsError when one is missing."""

    def ask(instance: Instance) -> Manager:
        remote = connect_to(cluster, instance)
        info = read_info(remote)
        return Manager(instance, remote, info.swarm.node_id, info.hostname)

    return results(on_each(managers_of(cluster), ask))


def swarm_leader(cluster: Cluster, managers: list[Manager]) -> Manager:
    """The manager that leads the swarm, asked of one that takes orders. Raises DockereeError when none leads."""
    orders, _ = find_swarm_manager(cluster, [manager.instance for manager in managers])
    leaders = {node.id for node in swarm.read_nodes(orders) if node.is_leader}
    for manager in managers:
        if manager.node_id in leaders:
            return manager
    raise DockereeError("none of the three managers leads the swarm", "See `dockeree status`; run `dockeree up` again.")


def balancer_of(cluster: Cluster, role: str) -> LoadBalancer:
    """The balancer of a console. Raises AwsError when it is not there."""
    found = load_balancers.find_balancers(cluster.aws, owner_of(cluster)).get(role)
    if found is None:
        raise not_found(f"the balancer {role} of {cluster.name}")
    return found


def host_of(cluster: Cluster, role: str) -> str:
    """What a console is called, inside and outside."""
    return console_host(cluster, balancer_of(cluster, role))


def names_of(cluster: Cluster, role: str) -> tuple[str, ...]:
    """Every name that a console's certificate is to hold: the first is what it is called."""
    balancer = balancer_of(cluster, role)
    names = (own_domains(cluster).get(role, ""), balancer.dns_name.lower(), f"{role}.{zone_name(cluster.name)}")
    return tuple(name for name in names if name)


def verified_names(cluster: Cluster, role: str) -> tuple[str, ...]:
    """The names that a console's certificate must hold: of the operator's own certificate, the own domain alone."""
    console = cluster.config.ucp if role == "ucp" else cluster.config.dtr
    names = names_of(cluster, role)
    return names[:1] if console.certificate else names


def read_file(path: str, key: str) -> str:
    """A text file of the operator's that the configuration names at `key`. Raises DockereeError."""
    try:
        return Path(path).expanduser().read_text(encoding="ascii")
    except OSError as error:
        raise DockereeError(f"{key}: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DockereeError(f"{key}: {path} is not plain text") from error


def certificate_files(certificate: Certificate, section: str) -> dict[str, str]:
    """ca.pem, cert.pem and key.pem of the operator's own certificate. Raises DockereeError."""
    return {
        f"{name}.pem": read_file(getattr(certificate, name), f"{section}.certificate.{name}")
        for name in ("ca", "cert", "key")
    }


def as_tar(files: dict[str, str]) -> bytes:
    """Files as a tar stream, for their owner alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content.encode()), 0o600
            tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()
