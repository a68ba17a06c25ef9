"""What `dockeree status` answers: the cluster as values, and the document of `-o json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

FORMAT_VERSION = 1


@dataclass(frozen=True)
class SwarmMember:
    """A node as the swarm's managers see it. `state` is docker's word in lower case: ready, down, unknown;
    `missing` where the swarm does not know the node, `unreachable` for a manager that others cannot reach."""

    state: str
    availability: str
    leader: bool = False

    @property
    def is_healthy(self) -> bool:
        """Whether the node takes work."""
        return self.state == "ready" and self.availability == "active"


MISSING = SwarmMember("missing", "-")


@dataclass(frozen=True)
class ConsoleStatus:
    """A manager's own controller of UCP. `message` is what it says when it is not well; `expires_at` (ISO 8601) is its
    certificate's end, None where it could not be read."""

    healthy: bool
    message: str = ""
    expires_at: str | None = None


@dataclass(frozen=True)
class ReplicaStatus:
    """DTR's replica on a manager. `replica_id` is None where there is none; the rest is as a controller's."""

    replica_id: str | None
    healthy: bool
    message: str = ""
    expires_at: str | None = None


@dataclass(frozen=True)
class LicenseStatus:
    """UCP's licence, as far as it tells itself."""

    key_id: str
    tier: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True)
class ManagerStatus:
    """One manager, by its role `manager-a` to `manager-c`. `ucp` and `dtr` are None where it is to have none."""

    name: str
    instance_id: str
    availability_zone: str
    private_ip: str
    public_ip: str
    swarm: SwarmMember
    ucp: ConsoleStatus | None = None
    dtr: ReplicaStatus | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether everything on it is well."""
        return self.swarm.is_healthy and all(part.healthy for part in (self.ucp, self.dtr) if part is not None)


@dataclass(frozen=True)
class WorkerStatus:
    """One member of the workers' group."""

    name: str
    instance_id: str
    availability_zone: str
    private_ip: str
    swarm: SwarmMember

    @property
    def is_healthy(self) -> bool:
        """Whether it takes work."""
        return self.swarm.is_healthy


@dataclass(frozen=True)
class LoadBalancerStatus:
    """A balancer and how many of its targets its health checks find healthy."""

    name: str
    dns_name: str
    url: str
    healthy: int
    total: int


@dataclass(frozen=True)
class BackupStatus:
    """A backup of the root CAs. `same_trust`: they are those that the cluster has now; None where it does not say."""

    id: str
    created_at: str
    same_trust: bool | None


@dataclass(frozen=True)
class Status:
    """The whole cluster. `problems` says in words what keeps it from being healthy, worst first."""

    cluster: str
    region: str
    managers: tuple[ManagerStatus, ...]
    workers: tuple[WorkerStatus, ...]
    load_balancers: tuple[LoadBalancerStatus, ...]
    problems: tuple[str, ...]
    ghosts: tuple[str, ...] = ()
    """Hostnames in the swarm that no instance of the cluster has."""
    latest_backup: BackupStatus | None = None
    license: LicenseStatus | None = None
    warnings: tuple[str, ...] = ()
    """What to look at, although the cluster is healthy."""

    @property
    def healthy(self) -> bool:
        """Whether nothing is to be done."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The document of `status -o json`; keys are only ever added."""
        return {
            "format_version": FORMAT_VERSION,
            "cluster": self.cluster,
            "region": self.region,
            "healthy": self.healthy,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "managers": [
                {
                    "name": manager.name,
                    "instance_id": manager.instance_id,
                    "availability_zone": manager.availability_zone,
                    "private_ip": manager.private_ip,
                    "public_ip": manager.public_ip or None,
                    "swarm": {
                        "state": manager.swarm.state,
                        "availability": manager.swarm.availability,
                        "leader": manager.swarm.leader,
                    },
                    "ucp": asdict(manager.ucp) if manager.ucp else None,
                    "dtr": asdict(manager.dtr) if manager.dtr else None,
                }
                for manager in self.managers
            ],
            "workers": [
                {
                    "name": worker.name,
                    "instance_id": worker.instance_id,
                    "availability_zone": worker.availability_zone,
                    "private_ip": worker.private_ip,
                    "swarm": {"state": worker.swarm.state, "availability": worker.swarm.availability},
                }
                for worker in self.workers
            ],
            "load_balancers": {
                balancer.name: {
                    "dns_name": balancer.dns_name,
                    "url": balancer.url,
                    "healthy": balancer.healthy,
                    "total": balancer.total,
                }
                for balancer in self.load_balancers
            },
            "license": asdict(self.license) if self.license else None,
            "backups": {"latest": asdict(self.latest_backup) if self.latest_backup else None},
        }
