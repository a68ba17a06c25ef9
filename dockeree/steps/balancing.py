"""What the three balancers do, as data: listeners, the target groups behind them, and how targets are asked."""

from __future__ import annotations

from dataclasses import dataclass

from dockeree.aws.target_groups import HealthCheck, TargetGroupSpec
from dockeree.config import Config
from dockeree.steps.ports import DTR_PORT, DTR_TARGET_PORT, UCP_PORTS

IDLE_TIMEOUT_SECONDS = 3600
"""`docker exec`, `docker logs -f` and big pushes sit silent on a connection for long; AWS cuts it after 350 s by
default, and DTR's documentation asks for more than 10 minutes. (60 to 6000 are allowed.)"""

CONSOLE_DEREGISTRATION_SECONDS = 60
APPS_DEREGISTRATION_SECONDS = 60
"""A worker that leaves is drained by the swarm first; AWS's 300 s would only make each scale-in that much longer."""

UCP_CHECK = HealthCheck(protocol="HTTPS", port="443", path="/_ping")
"""Also for Kubernetes' port: UCP's own answer tells whether a manager is well, on 443 alone."""
DTR_CHECK = HealthCheck(protocol="HTTPS", port=str(DTR_TARGET_PORT), path="/_ping")
APPS_CHECK = HealthCheck(protocol="TCP")


@dataclass(frozen=True)
class ListenerSpec:
    """A balancer's port and the target group behind it."""

    role: str
    port: int
    target_group: TargetGroupSpec


def listeners(config: Config) -> list[ListenerSpec]:
    """Every listener of the three balancers."""
    return [
        *(_console("ucp", port, port, UCP_CHECK) for port in UCP_PORTS),
        _console("dtr", DTR_PORT, DTR_TARGET_PORT, DTR_CHECK),
        *(_application(port, config.apps.preserve_client_ip) for port in config.apps.ports),
    ]


def _console(role: str, port: int, target_port: int, check: HealthCheck) -> ListenerSpec:
    """Client IP preservation is off: a replica that calls its console by the balancer may be sent to itself, and with
    preservation on such a connection never comes about."""
    attributes = _attributes(preserve_client_ip=False, deregistration_seconds=CONSOLE_DEREGISTRATION_SECONDS)
    return ListenerSpec(role, port, TargetGroupSpec(f"{role}-{port}", role, target_port, check, attributes))


def _application(port: int, preserve_client_ip: bool) -> ListenerSpec:
    attributes = _attributes(preserve_client_ip, APPS_DEREGISTRATION_SECONDS)
    return ListenerSpec("apps", port, TargetGroupSpec(f"apps-{port}", "apps", port, APPS_CHECK, attributes))


def _attributes(preserve_client_ip: bool, deregistration_seconds: int) -> tuple[tuple[str, str], ...]:
    return (
        ("preserve_client_ip.enabled", "true" if preserve_client_ip else "false"),
        ("deregistration_delay.timeout_seconds", str(deregistration_seconds)),
    )
