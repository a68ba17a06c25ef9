"""What the managers of a swarm keep in their raft store: members, services, tasks, networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from dockeree.lab.nodes.simulated.pace import Pace, utc_now
from dockeree.lab.nodes.simulated.swarm.identity import RootCa, new_id, new_root_ca, new_token

Role = Literal["worker", "manager"]
Availability = Literal["active", "pause", "drain"]
Status = Literal["ready", "down", "unknown"]
MANAGEMENT_PORT = 2377


class Fabric(Protocol):
    """What a swarm sees of the world: which engines run, and who reaches whom."""

    pace: Pace

    def engine_runs(self, instance_id: str) -> bool:
        """Whether the node has power and its engine runs."""
        ...

    def reaches(self, source: str, destination: str, protocol: str, port: int) -> bool:
        """Whether the security groups let instance `source` open `port` of instance `destination`."""
        ...


@dataclass
class Member:
    """A node of the swarm."""

    id: str
    instance_id: str
    hostname: str
    address: str
    """The advertised address, without port."""
    role: Role
    engine_version: str
    last_seen: float
    """Monotonic time of the last heartbeat."""
    raft_id: int
    availability: Availability = "active"
    status: Status = "ready"
    has_left: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
    version: int = 0

    @property
    def is_manager(self) -> bool:
        """Whether it is a member of the raft."""
        return self.role == "manager"


@dataclass(frozen=True)
class PublishedPort:
    """`--publish published=80,target=80,mode=host`. `published` 0 lets the swarm choose one (ingress only)."""

    target: int
    published: int
    protocol: str = "tcp"
    mode: Literal["ingress", "host"] = "ingress"


@dataclass
class Service:
    """A service: what shall run, where, and how often. `replicas` None is a global service."""

    id: str
    name: str
    image: str
    replicas: int | None
    constraints: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    generation: int = 0
    """Raised by each update of what its tasks are made from."""
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
    version: int = 0

    @property
    def is_global(self) -> bool:
        """One task on each node that fits."""
        return self.replicas is None


@dataclass
class Task:
    """One container of a service. `state` is where it is, `desired` where it shall go."""

    id: str
    service_id: str
    slot: int
    """0 for a task of a global service."""
    member_id: str | None
    image: str
    generation: int
    due_at: float
    """Monotonic time at which `state` becomes `desired`."""
    state: str = "preparing"
    desired: str = "running"
    error: str = ""
    created_at: datetime = field(default_factory=utc_now)
    state_at: datetime = field(default_factory=utc_now)

    @property
    def is_wanted(self) -> bool:
        """Whether it counts for its service."""
        return self.desired == "running"

    @property
    def is_running(self) -> bool:
        """Whether its container answers, as far as the swarm knows."""
        return self.state == "running"

    def move(self, state: str, error: str = "") -> None:
        """Enter a state now."""
        self.state, self.error, self.state_at = state, error, utc_now()


@dataclass
class Network:
    """An overlay network."""

    id: str
    name: str
    subnet: str
    attachable: bool = False
    ingress: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)


@dataclass
class SwarmState:
    """The raft store of one swarm, which all its managers share."""

    fabric: Fabric
    address_pools: tuple[str, ...] = ("10.0.0.0/8",)
    subnet_size: int = 24
    data_path_port: int = 4789
    id: str = field(default_factory=new_id)
    ca: RootCa = field(default_factory=new_root_ca)
    tokens: dict[Role, str] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    leader_id: str | None = None
    leaderless_since: float = 0.0
    registered_at: float = 0.0
    """Until then, members other than the leader are Unknown: they register with a new leader."""
    autolock: bool = False
    task_history_limit: int = 5
    certificate_hours: int = 2160
    heartbeat_seconds: int = 5
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
    version: int = 10
    raft_ids: int = 0

    def __post_init__(self) -> None:
        self.tokens = {"worker": new_token(self.ca), "manager": new_token(self.ca)}

    @property
    def managers(self) -> list[Member]:
        """The raft's members, in the order in which they joined it."""
        return sorted((m for m in self.members.values() if m.is_manager), key=lambda member: member.raft_id)

    @property
    def leader(self) -> Member | None:
        """The leading manager, None while there is none."""
        return self.members.get(self.leader_id) if self.leader_id else None

    def next_version(self) -> int:
        """The next index of the raft log: what `Version.Index` shows."""
        self.version += 1
        return self.version

    def touch(self, thing: Member | Service) -> None:
        """Note that a thing was changed now."""
        thing.version, thing.updated_at = self.next_version(), utc_now()
