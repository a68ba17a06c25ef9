"""Health checks of simulated targets: what a balancer's check would get, and how many of them in a row."""

from __future__ import annotations

from dataclasses import dataclass

from dockeree.lab.nodes.simulated import catalogue
from dockeree.lab.nodes.simulated.docker.documents import running_tasks
from dockeree.lab.nodes.simulated.machine import Machine, Site
from dockeree.lab.nodes.simulated.swarm.model import MANAGEMENT_PORT, Service
from dockeree.lab.world import HealthCheck, Interface, Target, TargetHealth

GOSSIP_PORT, DATA_PORT = 7946, 4789
INITIAL = TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
REASONS = {
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.ResponseCodeMismatch": "Health checks failed with these codes: [404]",
}


@dataclass
class Checks:
    """The checks of one target so far."""

    state: str = "initial"
    reason: str = ""
    passed_in_row: int = 0
    failed_in_row: int = 0
    due_at: float = 0.0

    def note(self, reason: str, check: HealthCheck) -> None:
        """Count one check; `reason` is empty when it passed."""
        self.passed_in_row = 0 if reason else self.passed_in_row + 1
        self.failed_in_row = self.failed_in_row + 1 if reason else 0
        if self.passed_in_row >= check.healthy_threshold:
            self.state, self.reason = "healthy", ""
        elif self.failed_in_row >= check.unhealthy_threshold:
            self.state, self.reason = "unhealthy", reason

    def health(self) -> TargetHealth:
        """As DescribeTargetHealth tells it."""
        if self.state == "initial":
            return INITIAL
        return TargetHealth(self.state, self.reason, REASONS.get(self.reason, ""))


def failure(site: Site, interfaces: tuple[Interface, ...], target: Target, check: HealthCheck) -> str:
    """Why a check made now would fail, as EC2's reason code; empty when it would pass."""
    port = target.port if check.port is None else check.port
    machine = site.machines.get(target.instance_id)
    passes = any(site.reachability.from_interface(face, target.instance_id, "tcp", port) for face in interfaces)
    if machine is None or not machine.is_on or not passes:
        # Packets that nobody answers, whether a rule drops them or the host is dead.
        return "Target.Timeout" if check.protocol != "TCP" else "Target.FailedHealthChecks"
    scheme = answers(site, machine, port)
    if scheme is None:
        return "Target.FailedHealthChecks"
    if check.protocol == "TCP":
        return ""
    if scheme != check.protocol.lower():
        return "Target.FailedHealthChecks"
    return ""


def answers(site: Site, machine: Machine, port: int) -> catalogue.Scheme | None:
    """What answers on a node's port: sshd, the swarm's managers, what services publish. None: nothing."""
    if not machine.is_booted:
        return None
    if port == 22:
        return "tcp"
    membership = machine.engine.membership
    member = membership.member if membership else None
    if not machine.engine.runs or membership is None or membership.swarm is None or member is None:
        return None
    if port == GOSSIP_PORT or (port == MANAGEMENT_PORT and member.is_manager):
        return "tcp"
    for service, _ in running_tasks(machine):
        scheme = _published(service, port, "host")
        if scheme is not None:
            return scheme
    for service in membership.swarm.services.values():
        scheme = _published(service, port, "ingress")
        if scheme is not None and _mesh_reaches_a_task(site, machine, service):
            return scheme
    return None


def _published(service: Service, port: int, mode: str) -> catalogue.Scheme | None:
    for published in service.ports:
        if (published.published, published.mode, published.protocol) == (port, mode, "tcp"):
            return catalogue.serves(service.image, published.target)
    return None


def _mesh_reaches_a_task(site: Site, machine: Machine, service: Service) -> bool:
    """The routing mesh carries a connection over VXLAN to a node with a task; both ways must be open for that."""
    membership = machine.engine.membership
    swarm = membership.swarm if membership else None
    for task in swarm.tasks.values() if swarm else ():
        member = swarm.members.get(task.member_id or "") if swarm else None
        if task.service_id != service.id or not task.is_running or member is None:
            continue
        if member.instance_id == machine.id:
            return True
        ways = ((machine.id, member.instance_id), (member.instance_id, machine.id))
        ports = (("udp", DATA_PORT), ("tcp", GOSSIP_PORT), ("udp", GOSSIP_PORT))
        if site.engine_runs(member.instance_id) and all(site.reaches(*way, *port) for way in ways for port in ports):
            return True
    return False
