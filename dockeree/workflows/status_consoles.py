"""UCP's and DTR's part of `dockeree status`: each manager's own controller and replica, certificates, the licence.

Every manager is asked on itself, by SSH: a balancer's word is another thing, and stands in status_balancers.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dockeree.aws.instances import Instance
from dockeree.backup.certificates import read_certificates
from dockeree.context import Cluster
from dockeree.errors import CommandFailed, DockereeError, SshError, TimedOut
from dockeree.node import dtr, http, tls, ucp
from dockeree.node.engine import read_info
from dockeree.node.http import Request
from dockeree.ssh.nodes import on_each
from dockeree.ssh.remote import Remote
from dockeree.steps.consoles import Manager
from dockeree.steps.ports import DTR_TARGET_PORT
from dockeree.steps.ucp_controllers import log_in, ping
from dockeree.steps.ucp_password import password_of
from dockeree.steps.ucp_settings import read_license
from dockeree.workflows.status_document import ConsoleStatus, LicenseStatus, ReplicaStatus

EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True)
class ManagerSeen:
    """What a manager says of its own controller and replica; `trouble` is why it could not be asked."""

    name: str
    ucp: ConsoleStatus | None = None
    dtr: ReplicaStatus | None = None
    trouble: str = ""


@dataclass(frozen=True)
class ConsolesSeen:
    """All of it. `license` is None where there is none, or it could not be asked for (`license_trouble`)."""

    managers: tuple[ManagerSeen, ...] = ()
    license: LicenseStatus | None = None
    license_trouble: str = ""

    def of(self, name: str) -> ManagerSeen:
        """A manager's own."""
        return next((seen for seen in self.managers if seen.name == name), ManagerSeen(name))


def see_consoles(cluster: Cluster, found: Sequence[Instance]) -> ConsolesSeen:
    """Ask every manager that runs, all at once."""
    if not cluster.config.ucp.enabled:
        return ConsolesSeen()
    running = [item for item in found if item.state == "running" and item.public_ip and item.private_ip]
    outcomes = on_each(running, lambda instance: _see(cluster, instance))
    seen = []
    for outcome in outcomes:
        if isinstance(outcome.error, (SshError, CommandFailed, TimedOut)):
            seen.append(ManagerSeen(outcome.node.name, trouble=outcome.error.message))
        elif outcome.error is not None:
            raise outcome.error
        elif outcome.result is not None:
            seen.append(outcome.result)
    healthy = {item.name for item in seen if item.ucp and item.ucp.healthy}
    asked = next((instance for instance in running if instance.name in healthy), None)
    if asked is None:
        return ConsolesSeen(tuple(seen))
    try:
        return ConsolesSeen(tuple(seen), _license(cluster, asked))
    except DockereeError as error:
        return ConsolesSeen(tuple(seen), license_trouble=error.message)


def console_problems(seen: ConsolesSeen) -> list[str]:
    """What keeps UCP and DTR from being well, a manager at a time."""
    problems = []
    for manager in seen.managers:
        if manager.trouble:
            problems.append(f"{manager.name} could not be asked for UCP: {manager.trouble}")
        for label, console in (("UCP", manager.ucp), ("DTR", manager.dtr)):
            if console and not console.healthy:
                problems.append(f"{label} on {manager.name} is not well: {console.message}")
            elif console and console.expires_at and _left(console.expires_at) <= timedelta():
                problems.append(f"{label}'s certificate on {manager.name} has expired ({console.expires_at})")
    return problems


def console_warnings(cluster: Cluster, seen: ConsolesSeen) -> list[str]:
    """What to look at before it becomes a problem."""
    warnings = []
    for manager in seen.managers:
        for label, console in (("UCP", manager.ucp), ("DTR", manager.dtr)):
            if console and console.expires_at and timedelta() < _left(console.expires_at) <= EXPIRES_SOON:
                warnings.append(f"{label}'s certificate on {manager.name} expires {console.expires_at}")
    if seen.license_trouble:
        warnings.append(f"UCP's licence could not be asked for: {seen.license_trouble}")
    elif seen.license is None and cluster.config.ucp.license_file and any(m.ucp for m in seen.managers):
        warnings.append("UCP has no licence, although ucp.license_file is set; give it: dockeree up")
    elif seen.license and seen.license.expires_at and _left(seen.license.expires_at) <= EXPIRES_SOON:
        warnings.append(f"UCP's licence expires {seen.license.expires_at}")
    return warnings


def _see(cluster: Cluster, instance: Instance) -> ManagerSeen:
    remote = cluster.remote(name=instance.name, host=instance.public_ip or "", instance_id=instance.id)
    address = instance.private_ip or ""
    answer = ping(remote, address)
    healthy = answer.status == 200
    expires_at = _expiry(remote, address, ucp.PORT) if answer.status != http.UNREACHABLE else None
    console = ConsoleStatus(healthy, "" if healthy else str(answer), expires_at)
    has_replica = cluster.config.has_dtr and cluster.config.dtr.on == "managers"
    return ManagerSeen(instance.name, console, _replica(remote, address) if has_replica else None)


def _replica(remote: Remote, address: str) -> ReplicaStatus:
    replicas = list(dtr.parse_replicas(remote.run(dtr.CONTAINERS, changes=False).stdout))
    if not replicas:
        return ReplicaStatus(None, False, "there is no replica")
    target = f"{address}:{DTR_TARGET_PORT}"
    answer = http.call(remote, Request(f"https://{target}/_ping"), seconds=10)
    healthy = answer.status == 200 and dtr.is_healthy(answer.body)
    expires_at = _expiry(remote, address, DTR_TARGET_PORT) if answer.status != http.UNREACHABLE else None
    return ReplicaStatus(replicas[0], healthy, "" if healthy else str(answer), expires_at)


def _expiry(remote: Remote, address: str, port: int) -> str | None:
    """When the certificate that is served there expires, ISO 8601; None where it cannot be read."""
    result = remote.run(tls.served_certificate_command(address, port), check=False, changes=False)
    if result.exit_status != 0:
        return None
    return read_certificates(f"{address}:{port}", result.stdout.encode())[0].not_after


def _license(cluster: Cluster, instance: Instance) -> LicenseStatus | None:
    remote = cluster.remote(name=instance.name, host=instance.public_ip or "", instance_id=instance.id)
    info = read_info(remote)
    manager = Manager(instance, remote, info.swarm.node_id, info.hostname)
    found = read_license(manager, log_in(manager, password_of(cluster)))
    if not found:
        return None
    tier, expires_at = found.get("tier"), found.get("expiration")
    return LicenseStatus(str(found["key_id"]), str(tier) if tier else None, str(expires_at) if expires_at else None)


def _left(moment: str) -> timedelta:
    """How long until a moment in ISO 8601; a day more where it cannot be read, which is then no alarm."""
    try:
        parsed = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    except ValueError:
        return EXPIRES_SOON + timedelta(days=1)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - datetime.now(UTC)
