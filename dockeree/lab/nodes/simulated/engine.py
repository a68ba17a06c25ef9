"""The Docker Engine of one node: whether it runs, its images, networks, volumes and its place in a swarm."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from dockeree.lab.nodes.simulated.pace import utc_now
from dockeree.lab.nodes.simulated.swarm.identity import new_id
from dockeree.lab.nodes.simulated.swarm.model import Availability, Member, Role, SwarmState

VERSION = "28.2.2"
API_VERSION = "1.50"


@dataclass
class Image:
    """A pulled image."""

    name: str
    tag: str
    id: str
    pulled_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True)
class PendingJoin:
    """A `swarm join` that timed out and goes on in the background."""

    token: str
    remote_addresses: tuple[str, ...]
    advertise_address: str = ""
    availability: Availability = "active"


@dataclass
class Membership:
    """The node's own knowledge of its swarm. `swarm` is None while its first join is still pending."""

    swarm: SwarmState | None
    member_id: str = ""
    pending: PendingJoin | None = None

    @property
    def member(self) -> Member | None:
        """This node as the swarm lists it; None when it was removed there."""
        return self.swarm.members.get(self.member_id) if self.swarm else None

    @property
    def role(self) -> Role:
        """What this node is in its swarm."""
        member = self.member
        return member.role if member else "worker"


@dataclass
class Engine:
    """One node's engine."""

    is_installed: bool = False
    runs: bool = False
    id: str = field(default_factory=new_id)
    images: dict[str, Image] = field(default_factory=dict)
    """By `name:tag`."""
    membership: Membership | None = None
    local_networks: dict[str, str] = field(
        default_factory=lambda: {"bridge": new_id(), "host": new_id(), "none": new_id()}
    )
    volumes: dict[str, datetime] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything, as after `rm -rf /var/lib/docker`."""
        self.images.clear()
        self.volumes.clear()
        self.membership = None
