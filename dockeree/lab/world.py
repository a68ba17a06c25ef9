"""The lab's plan of the world: what the API has been told, as plain values, and who makes it real.

The API (lab/aws) writes moto's models. After each change, `lab/aws/snapshot.py` reads them into a `Snapshot`, and the
parts below make the machine look like it:

- a `NodeDriver` turns EC2 instances into nodes (lab/nodes/machines, lab/nodes/simulated);
- a `Wiring` turns VPCs, groups, addresses, names and balancers into network (lab/network, lab/nodes/simulated).

Everything here is immutable and comparable, so that "has it changed" is `==`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True)
class Rule:
    """One permission of a security group. `protocol` is tcp, udp, icmp, a number as text, or -1 for all.

    `from_port` and `to_port` are None where the protocol has no ports. Peers are CIDRs and group ids.
    """

    protocol: str
    from_port: int | None
    to_port: int | None
    cidrs: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecurityGroup:
    """A stateful firewall around network interfaces; nothing is allowed that no rule allows."""

    id: str
    vpc_id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True)
class Vpc:
    """A network of its own. Its resolver is at the base address + 2."""

    id: str
    cidr: str
    has_internet_gateway: bool


@dataclass(frozen=True)
class Subnet:
    """A part of a VPC in one zone. `routes_to_internet`: its route table sends 0.0.0.0/0 to the attached gateway."""

    id: str
    vpc_id: str
    cidr: str
    zone: str
    routes_to_internet: bool


@dataclass(frozen=True)
class Interface:
    """A network interface: of an instance, or of a balancer in one subnet.

    `public_ip` is on the gateway, never on the interface (1:1 NAT); None where there is none.
    """

    id: str
    owner: str
    """The instance id, or the balancer's ARN."""
    subnet_id: str
    private_ip: str
    public_ip: str | None
    group_ids: tuple[str, ...]
    mac: str | None = None
    """As the API and the metadata tell it; None leaves it to the network."""


@dataclass(frozen=True)
class HealthCheck:
    """How a target group asks its targets. `port` None means the traffic port."""

    protocol: Literal["TCP", "HTTP", "HTTPS"]
    port: int | None
    path: str
    interval_seconds: int
    timeout_seconds: int
    healthy_threshold: int
    unhealthy_threshold: int
    success_codes: str = "200-399"


@dataclass(frozen=True)
class Target:
    """A registered target, an instance and its port. `draining` while its deregistration delay runs."""

    instance_id: str
    port: int
    draining: bool = False


@dataclass(frozen=True)
class TargetGroup:
    """Who answers for a listener."""

    arn: str
    protocol: str
    health_check: HealthCheck
    targets: tuple[Target, ...]
    preserve_client_ip: bool


@dataclass(frozen=True)
class Listener:
    """A balancer's open port and the target group behind it."""

    arn: str
    port: int
    protocol: str
    target_group_arn: str
    idle_timeout_seconds: int = 350


@dataclass(frozen=True)
class Balancer:
    """A network load balancer: a TCP proxy with one interface a subnet."""

    arn: str
    name: str
    dns_name: str
    vpc_id: str
    internet_facing: bool
    cross_zone: bool
    active: bool
    interfaces: tuple[Interface, ...]
    listeners: tuple[Listener, ...]


@dataclass(frozen=True)
class PrivateName:
    """A record of a Route 53 private zone, seen from the zone's VPCs alone. `type` A or CNAME (an alias is an A whose
    values are the balancer's private addresses)."""

    vpc_ids: tuple[str, ...]
    name: str
    type: Literal["A", "CNAME"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class InstanceNetwork:
    """What the network needs to know of an instance that has a node: its interface, its name, its zone."""

    instance_id: str
    interface: Interface
    hostname: str
    """Without domain: ip-10-32-0-5."""
    zone: str
    running: bool


@dataclass(frozen=True)
class Snapshot:
    """The whole network that the API has been told of."""

    vpcs: tuple[Vpc, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    instances: tuple[InstanceNetwork, ...] = ()
    balancers: tuple[Balancer, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    private_names: tuple[PrivateName, ...] = ()


@dataclass(frozen=True)
class NodeSpec:
    """What a node is made from: RunInstances' parameters as EC2 resolved them."""

    instance_id: str
    image_id: str
    image_variant: Literal["baked", "bare"]
    instance_type: str
    zone: str
    subnet_id: str
    vpc_id: str
    private_ip: str
    public_ip: str | None
    hostname: str
    user_data: bytes
    """As given (not base64), perhaps gzip."""
    authorized_key: str | None
    """OpenSSH public key of the key pair."""
    root_volume_gib: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Metadata:
    """What the instance metadata service tells one instance, read afresh at each request."""

    instance_id: str
    image_id: str
    instance_type: str
    region: str
    zone: str
    account_id: str
    private_ip: str
    public_ip: str | None
    hostname: str
    mac: str
    subnet_cidr: str
    vpc_cidr: str
    vpc_id: str
    subnet_id: str
    security_groups: tuple[str, ...]
    authorized_key: str | None
    key_name: str | None
    user_data: bytes
    tokens_required: bool
    """HttpTokens: required. IMDSv1 requests are then 401."""
    hop_limit: int
    """HttpPutResponseHopLimit: the TTL of the answer to PUT /latest/api/token."""
    enabled: bool
    instance_tags: Mapping[str, str]
    """Only where InstanceMetadataTags is enabled, else empty."""
    profile_arn: str | None
    role_name: str | None
    lifecycle_state: str | None = None
    """The Auto Scaling target lifecycle state, for a member of a group."""


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of an instance profile's role. `expiration` is ISO 8601, UTC."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: str


class Region(Protocol):
    """What the network and the nodes may ask the API's side."""

    def metadata_by_address(self, vpc_id: str, private_ip: str) -> Metadata | None:
        """The metadata of the instance at an address of a VPC, None where there is no such instance."""
        ...

    def role_credentials(self, instance_id: str) -> Credentials | None:
        """Fresh credentials of the instance's role, None without a profile."""
        ...


class NodeDriver(Protocol):
    """Makes nodes of instances. Every call blocks until done; calls for different nodes come from different threads.

    Raises LabError with a reason that belongs on the screen.
    """

    name: str
    """`machines` or `simulated`."""

    def launch(self, spec: NodeSpec) -> None:
        """Create the node's disk and power it on. Returns when it is powered on, not when it has booted."""
        ...

    def power_on(self, spec: NodeSpec) -> None:
        """Boot a stopped node from its own disk; `spec` carries the new public address."""
        ...

    def shut_down(self, instance_id: str) -> None:
        """Press the power button and wait until the node is off (by force after a while, as EC2 does)."""
        ...

    def reboot(self, instance_id: str) -> None:
        """Reboot in place: same disk, same addresses."""
        ...

    def power_cut(self, instance_id: str) -> None:
        """Cut the power. The instance stays `running` for EC2 (a hung host): nothing answers any more."""
        ...

    def destroy(self, instance_id: str) -> None:
        """Power off and delete the disk. An unknown or already destroyed node is fine."""
        ...

    def is_on(self, instance_id: str) -> bool:
        """Whether the node has power. False after it shut itself down."""
        ...

    def console_output(self, instance_id: str) -> str:
        """What the node wrote to its serial console, from its last boot."""
        ...

    def close(self) -> None:
        """Destroy every node and everything this driver made."""
        ...


@dataclass(frozen=True)
class TargetHealth:
    """Health as a balancer sees it. `state`: initial, healthy, unhealthy, unused, draining; `reason` EC2's code
    (Elb.InitialHealthChecking, Target.FailedHealthChecks, Target.Timeout, Target.ResponseCodeMismatch, ...)."""

    state: str
    reason: str = ""
    description: str = ""


class Wiring(Protocol):
    """Makes the network of a snapshot real, and keeps it so."""

    def apply(self, snapshot: Snapshot) -> None:
        """Make the machine's network look like `snapshot`. Called by one thread, with the latest snapshot each time."""
        ...

    def target_health(self, target_group_arn: str, target: Target) -> TargetHealth:
        """What the balancers' checks last said of a target. `unused` where no listener uses the group."""
        ...

    def close(self) -> None:
        """Take the whole network away."""
        ...


class LabError(Exception):
    """Something on the lab's side failed, with a reason that belongs on the screen."""
