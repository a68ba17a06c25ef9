"""What the lab's network must consist of, worked out from a snapshot. Pure: plain values that compare with `==`."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from dockeree.lab.network import addresses
from dockeree.lab.network.firewall import vpc_ruleset
from dockeree.lab.network.translation import gateway_ruleset
from dockeree.lab.world import Interface, Snapshot, Subnet


@dataclass(frozen=True)
class Port:
    """A cable between a VPC's router and one interface of an instance or a balancer."""

    interface_id: str
    vpc_id: str
    namespace: str
    link: str
    """The interface's name inside its own namespace."""
    address: str
    prefix_length: int
    gateway: str
    mac: str
    source_routed: bool
    """A balancer's: it has one interface a subnet, and answers leave by the one they came in on."""


@dataclass(frozen=True)
class Plan:
    """Everything there must be, by key, and the rulesets as text."""

    vpcs: dict[str, str]
    """VPC id -> CIDR."""
    gateways: frozenset[str]
    """VPCs with an attached Internet gateway."""
    subnet_gateways: frozenset[tuple[str, str]]
    """(VPC id, the router's address in a subnet)."""
    ports: dict[str, Port]
    """Interface id -> port."""
    public_routes: dict[str, str]
    """Public address -> the VPC whose gateway translates it."""
    vpc_rulesets: dict[str, str]
    gateway_rulesets: dict[str, str]

    @property
    def balancer_namespaces(self) -> frozenset[str]:
        """The namespaces that hold the source-routed ports."""
        return frozenset(port.namespace for port in self.ports.values() if port.source_routed)


def _port(interface: Interface, subnet: Subnet, namespace: str, *, of_balancer: bool) -> Port:
    return Port(
        interface_id=interface.id,
        vpc_id=subnet.vpc_id,
        namespace=namespace,
        link=addresses.port_link(interface.id) if of_balancer else "eth0",
        address=interface.private_ip,
        prefix_length=32 if of_balancer else IPv4Network(subnet.cidr).prefixlen,
        gateway=addresses.subnet_gateway(subnet.cidr),
        mac=interface.mac or addresses.mac_address(interface.id),
        source_routed=of_balancer,
    )


def _ports(snapshot: Snapshot, tag: str, subnets: dict[str, Subnet]) -> dict[str, Port]:
    ports = {}
    for instance in snapshot.instances:
        namespace = addresses.instance_namespace(tag, instance.instance_id)
        interface = instance.interface
        ports[interface.id] = _port(interface, subnets[interface.subnet_id], namespace, of_balancer=False)
    for balancer in snapshot.balancers:
        namespace = addresses.balancer_namespace(tag, balancer.arn)
        for interface in balancer.interfaces:
            ports[interface.id] = _port(interface, subnets[interface.subnet_id], namespace, of_balancer=True)
    return ports


def _public_mappings(snapshot: Snapshot, subnets: dict[str, Subnet]) -> dict[str, dict[str, str]]:
    """VPC id -> public address -> private address."""
    interfaces = [instance.interface for instance in snapshot.instances if instance.running]
    interfaces += [interface for balancer in snapshot.balancers for interface in balancer.interfaces]
    mappings: dict[str, dict[str, str]] = {vpc.id: {} for vpc in snapshot.vpcs if vpc.has_internet_gateway}
    for interface in interfaces:
        mapping = mappings.get(subnets[interface.subnet_id].vpc_id)
        if interface.public_ip is not None and mapping is not None:
            mapping[interface.public_ip] = interface.private_ip
    return mappings


def make_plan(snapshot: Snapshot, tag: str, without_power: frozenset[str] = frozenset()) -> Plan:
    """Work out what `snapshot` needs. `without_power` are the instances whose power was cut."""
    subnets = {subnet.id: subnet for subnet in snapshot.subnets}
    mappings = _public_mappings(snapshot, subnets)
    return Plan(
        vpcs={vpc.id: vpc.cidr for vpc in snapshot.vpcs},
        gateways=frozenset(mappings),
        subnet_gateways=frozenset((s.vpc_id, addresses.subnet_gateway(s.cidr)) for s in snapshot.subnets),
        ports=_ports(snapshot, tag, subnets),
        public_routes={public: vpc_id for vpc_id, mapping in mappings.items() for public in mapping},
        vpc_rulesets={vpc.id: vpc_ruleset(snapshot, vpc, without_power) for vpc in snapshot.vpcs},
        gateway_rulesets={vpc_id: gateway_ruleset(mapping) for vpc_id, mapping in mappings.items()},
    )
