"""What the network's parts are called, and the addresses that belong to the lab itself.

Namespaces are named `TAG-…`, so that a lab's whole network is found by its tag alone:

    TAG-net   the router between the host and every VPC: the lab's Internet
    TAG-vX    the router of VPC X: security groups, resolver and metadata service
    TAG-gX    the Internet gateway of VPC X: 1:1 address translation
    TAG-nX    instance X
    TAG-bX    balancer X

Of the lab's public range 198.18.SLOT.0/24 the addresses up to .19 are the lab's own; the API hands out the others.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network

METADATA_ADDRESS = "169.254.169.254"

GATEWAY_LINK_VPC = "169.254.100.1"
GATEWAY_LINK_INSIDE = "169.254.100.2"
"""The two ends of the link between a VPC's router and its gateway. Every VPC uses the same two."""
ROUTER_LINK_ROUTER = "169.254.101.1"
ROUTER_LINK_GATEWAY = "169.254.101.2"
"""The two ends of the link between the lab's router and a gateway. Every gateway uses the same two."""

_LINK_NAME_LENGTH = 15
"""Linux keeps interface names in 16 bytes, the last of them zero."""


def _end_of(resource_id: str) -> str:
    """The telling end of an AWS id or ARN: what comes after its kind."""
    return resource_id.replace("/", "-").rsplit("-", 1)[-1]


def _short_end_of(resource_id: str) -> str:
    """The same, short enough for an interface name with one letter before it: 14 of an id's 17 random digits."""
    return _end_of(resource_id)[-(_LINK_NAME_LENGTH - 1) :]


def mac_address(interface_id: str) -> str:
    """The MAC address of a network interface: the same for ever for one interface id, locally administered."""
    digest = hashlib.sha256(interface_id.encode()).digest()[:5]
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest))


def router_namespace(tag: str) -> str:
    """The namespace of the lab's router."""
    return f"{tag}-net"


def vpc_namespace(tag: str, vpc_id: str) -> str:
    """The namespace of a VPC's router."""
    return f"{tag}-v{_end_of(vpc_id)}"


def gateway_namespace(tag: str, vpc_id: str) -> str:
    """The namespace of the Internet gateway attached to a VPC."""
    return f"{tag}-g{_end_of(vpc_id)}"


def instance_namespace(tag: str, instance_id: str) -> str:
    """The namespace of an instance's node."""
    return f"{tag}-n{_end_of(instance_id)}"


def balancer_namespace(tag: str, arn: str) -> str:
    """The namespace of a load balancer."""
    return f"{tag}-b{_end_of(arn)}"


def host_link(tag: str) -> str:
    """The one interface of a lab in the host's own namespace."""
    return f"{tag}-up"


def port_link(interface_id: str) -> str:
    """The VPC router's end of the cable to a network interface."""
    return f"e{_short_end_of(interface_id)}"


def gateway_link(vpc_id: str) -> str:
    """The lab router's end of the cable to a VPC's gateway."""
    return f"g{_short_end_of(vpc_id)}"


def router_address(public_network: str) -> str:
    """The lab router's address on the cable to the host."""
    return str(IPv4Network(public_network)[1])


def operator_address(public_network: str) -> str:
    """The host's address, as nodes see the operator."""
    return str(IPv4Network(public_network)[2])


def service_address(public_network: str) -> str:
    """Where AWS's own services answer, as nodes see them: the API, the registry, the package repository."""
    return str(IPv4Network(public_network)[10])


def vpc_resolver(vpc_cidr: str) -> str:
    """The resolver that AWS puts into every VPC: base address + 2."""
    return str(IPv4Network(vpc_cidr)[2])


def subnet_gateway(subnet_cidr: str) -> str:
    """The router's address in a subnet: base address + 1."""
    return str(IPv4Network(subnet_cidr)[1])


def balancer_table(private_ip: str) -> int:
    """The routing table for packets that leave a balancer from one of its addresses."""
    return 1000 + (int(IPv4Address(private_ip)) & 0xFFFF)
