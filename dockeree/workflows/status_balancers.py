"""The balancers' part of `dockeree status`: how many targets answer, and when that is a problem.

Targets of the applications' balancer only inform until a service is published on one of its ports; those of a console
that the configuration does not have, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dockeree.aws import load_balancers, target_groups
from dockeree.aws.tags import Owner
from dockeree.config import Config
from dockeree.context import Cluster
from dockeree.node.services import PublishedPort
from dockeree.steps.names import installed_consoles
from dockeree.workflows.status_document import LoadBalancerStatus


@dataclass(frozen=True)
class BalancerSeen:
    """A balancer and the health of its targets: listening port -> instance id -> (state, reason)."""

    balancer: load_balancers.LoadBalancer
    health: dict[int, dict[str, tuple[str, str]]]


def see_balancers(cluster: Cluster, owner: Owner) -> list[BalancerSeen]:
    found = load_balancers.find_balancers(cluster.aws, owner)
    seen = []
    for role in load_balancers.BALANCER_ROLES:
        if (balancer := found.get(role)) is None:
            continue
        listeners = load_balancers.find_listeners(cluster.aws, balancer.arn).values()
        health = {
            listener.port: {
                target.instance_id: (target.state, target.reason)
                for target in target_groups.target_health(cluster.aws, listener.target_group_arn)
                if target.state != "draining"
            }
            for listener in listeners
        }
        seen.append(BalancerSeen(balancer, health))
    return seen


def balancer_status(config: Config, seen: BalancerSeen) -> LoadBalancerStatus:
    """Counts instances: a console's by its port 443, the applications' by any port that answers."""
    role, dns_name = seen.balancer.role, seen.balancer.dns_name
    ports = list(seen.health) if role == "apps" else [port for port in seen.health if port == 443]
    total = {instance_id for port in ports for instance_id in seen.health[port]}
    healthy = {
        instance_id for port in ports for instance_id, (state, _) in seen.health[port].items() if state == "healthy"
    }
    return LoadBalancerStatus(role, dns_name, _url(config, role, dns_name, seen.health), len(healthy), len(total))


def _url(config: Config, role: str, dns_name: str, ports: Iterable[int]) -> str:
    if role != "apps":
        own_domain = config.ucp.domain if role == "ucp" else config.dtr.domain
        return f"https://{own_domain or dns_name}"
    if 80 in ports:
        return f"http://{dns_name}"
    return f"https://{dns_name}" if 443 in ports else f"{dns_name}:{min(ports, default=80)}"


def balancer_problems(
    cluster: Cluster, balancers: Sequence[BalancerSeen], published: Sequence[PublishedPort], ready_workers: int
) -> list[str]:
    missing = [role for role in load_balancers.BALANCER_ROLES if role not in {seen.balancer.role for seen in balancers}]
    problems = [f"{role}: there is no balancer" for role in missing]
    for seen in balancers:
        if seen.balancer.state not in ("active", "provisioning"):
            problems.append(f"{seen.balancer.role}: its balancer is {seen.balancer.state}")
        if seen.balancer.role == "apps":
            for port in published:
                problems += _published_problems(port, seen.health.get(port.port), ready_workers)
        elif seen.balancer.role in installed_consoles(cluster):
            problems += _console_problems(seen)
    return problems


def _console_problems(seen: BalancerSeen) -> list[str]:
    """Behind a console's balancer every manager is to answer, on each of its ports."""
    problems = []
    for port, health in sorted(seen.health.items()):
        healthy = sum(state == "healthy" for state, _ in health.values())
        if healthy < len(health) or not health:
            words = f": {_reasons(health)}" if health else ""
            problems.append(f"{seen.balancer.role}:{port}: {healthy} of {len(health)} managers answer{words}")
    return problems


def _published_problems(
    port: PublishedPort, health: dict[str, tuple[str, str]] | None, ready_workers: int
) -> list[str]:
    """A service is published on a port of the applications' balancer: its targets no longer only inform."""
    if health is None:
        return []
    healthy = sum(state == "healthy" for state, _ in health.values())
    wanted = ready_workers if port.on_every_node else 1
    if healthy >= min(wanted, len(health)):
        return []
    return [f"apps:{port.port}: {healthy} of {len(health)} workers answer for {port.service}: {_reasons(health)}"]


def _reasons(health: dict[str, tuple[str, str]]) -> str:
    """Why targets are not healthy, each reason once."""
    words = {f"{state} ({reason})" if reason else state for state, reason in health.values() if state != "healthy"}
    return ", ".join(sorted(words))
