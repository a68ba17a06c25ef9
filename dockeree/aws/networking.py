"""VPC, internet gateway and subnets: the network that a cluster stands in (its routes are in routes.py).

All of them are found by their tags. EC2 has no client tokens for VPCs, subnets and gateways, so each `ensure_` asks
first, and an answer that is lost is no reason to make a second VPC or gateway (creating.py); a subnet's addresses
protect it from being made twice (`InvalidSubnet.Conflict`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dockeree.aws.creating import create_once
from dockeree.aws.deleting import delete_when_free
from dockeree.aws.tags import ROLE_TAG, Owner, as_dict, only
from dockeree.aws.waits import Waits, is_not_found

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

VPC_ROLE = "vpc"
GATEWAY_ROLE = "internet-gateway"
LETTERS = ("a", "b", "c")
"""The first, second and third zone of a cluster, whatever AWS calls them."""
SUBNET_ROLES = tuple(f"subnet-{letter}" for letter in LETTERS)

Gateway = tuple[str, tuple[str, ...]]
"""An internet gateway's id, and the VPCs that it is attached to."""


@dataclass(frozen=True)
class Vpc:
    """A VPC and its address range."""

    id: str
    cidr: str


@dataclass(frozen=True)
class Subnet:
    """A subnet. `letter` (a, b, c) is its place among the cluster's zones."""

    id: str
    vpc_id: str
    letter: str
    zone: str
    cidr: str
    gives_public_addresses: bool


def subnet_cidrs(vpc_cidr: str) -> tuple[str, str, str]:
    """Three of the VPC's four quarters; the last one stays free."""
    quarters = list(ipaddress.ip_network(vpc_cidr).subnets(prefixlen_diff=2))
    return str(quarters[0]), str(quarters[1]), str(quarters[2])


def find_vpcs(aws: Aws, owner: Owner) -> list[Vpc]:
    """Every VPC with the cluster's tags; more than one only after a creation that went wrong."""
    pages = aws.ec2.get_paginator("describe_vpcs").paginate(Filters=owner.filters())
    return [Vpc(vpc["VpcId"], vpc["CidrBlock"]) for page in pages for vpc in page["Vpcs"]]


def find_vpc(aws: Aws, owner: Owner) -> Vpc | None:
    """The cluster's VPC. Raises AwsError when there are two."""
    found = find_vpcs(aws, owner)
    return only(found, f"VPC of {owner.cluster}", (vpc.id for vpc in found))


def ensure_vpc(aws: Aws, owner: Owner, cidr: str, waits: Waits) -> tuple[Vpc, bool]:
    """The cluster's VPC with DNS support and DNS hostnames on; and whether anything was changed.

    DNS hostnames are off in a new VPC; without them private hosted zones do not resolve in it.
    """
    vpc, changed = find_vpc(aws, owner), False
    if vpc is None:
        find = partial(find_vpc, aws, owner)
        vpc, changed = create_once(partial(_create_vpc, aws, owner, cidr), find, waits, awaited="a new VPC"), True
    made = vpc

    def support_is_on() -> bool:
        return aws.ec2.describe_vpc_attribute(VpcId=made.id, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"]

    if not waits.retry(support_is_on, is_not_found, awaited=f"VPC {made.id}"):
        aws.ec2.modify_vpc_attribute(VpcId=made.id, EnableDnsSupport={"Value": True})
        changed = True
    hostnames = aws.ec2.describe_vpc_attribute(VpcId=made.id, Attribute="enableDnsHostnames")
    if not hostnames["EnableDnsHostnames"]["Value"]:
        aws.ec2.modify_vpc_attribute(VpcId=made.id, EnableDnsHostnames={"Value": True})
        changed = True
    return made, changed


def _create_vpc(aws: Aws, owner: Owner, cidr: str) -> Vpc:
    tags = owner.tag_specifications(VPC_ROLE, "vpc")
    answer = aws.ec2_once.create_vpc(CidrBlock=cidr, TagSpecifications=tags)["Vpc"]
    return Vpc(answer["VpcId"], answer["CidrBlock"])


def delete_vpcs(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Delete the cluster's VPC (all, if there are several); its default group and main route table go with it."""
    found = find_vpcs(aws, owner)
    for vpc in found:
        delete = partial(aws.ec2.delete_vpc, VpcId=vpc.id)
        delete_when_free(aws, waits, delete, what=f"VPC {vpc.id}", vpc_id=vpc.id)
    return bool(found)


def find_internet_gateways(aws: Aws, owner: Owner) -> list[Gateway]:
    """Each of the cluster's gateways: its id and the VPCs it is attached to."""
    pages = aws.ec2.get_paginator("describe_internet_gateways").paginate(Filters=owner.filters())
    return [
        (gateway["InternetGatewayId"], tuple(attachment["VpcId"] for attachment in gateway.get("Attachments", ())))
        for page in pages
        for gateway in page["InternetGateways"]
    ]


def _find_internet_gateway(aws: Aws, owner: Owner) -> Gateway | None:
    found = find_internet_gateways(aws, owner)
    return only(found, f"internet gateway of {owner.cluster}", (gateway_id for gateway_id, _ in found))


def _create_internet_gateway(aws: Aws, owner: Owner) -> Gateway:
    tags = owner.tag_specifications(GATEWAY_ROLE, "internet-gateway")
    answer = aws.ec2_once.create_internet_gateway(TagSpecifications=tags)
    return answer["InternetGateway"]["InternetGatewayId"], ()


def ensure_internet_gateway(aws: Aws, owner: Owner, vpc_id: str, waits: Waits) -> tuple[str, bool]:
    """The cluster's gateway, attached to its VPC: its id, and whether anything was changed."""
    gateway = _find_internet_gateway(aws, owner)
    if gateway is not None and vpc_id in gateway[1]:
        return gateway[0], False
    if gateway is None:
        create, find = partial(_create_internet_gateway, aws, owner), partial(_find_internet_gateway, aws, owner)
        gateway = create_once(create, find, waits, awaited="a new internet gateway")
    gateway_id = gateway[0]

    def attach() -> None:
        aws.ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)

    waits.retry(attach, is_not_found, awaited=f"internet gateway {gateway_id}")
    return gateway_id, True


def delete_internet_gateways(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Detach and delete the cluster's gateway. Detaching waits until no public address is mapped through it."""
    found = find_internet_gateways(aws, owner)
    for gateway_id, vpc_ids in found:
        what = f"internet gateway {gateway_id}"
        for vpc_id in vpc_ids:
            detach = partial(aws.ec2.detach_internet_gateway, InternetGatewayId=gateway_id, VpcId=vpc_id)
            delete_when_free(aws, waits, detach, what=what, vpc_id=vpc_id, gone_codes=("Gateway.NotAttached",))
        delete_when_free(aws, waits, partial(aws.ec2.delete_internet_gateway, InternetGatewayId=gateway_id), what=what)
    return bool(found)


def find_subnets(aws: Aws, owner: Owner) -> list[Subnet]:
    """The cluster's subnets in the order of their letters."""
    pages = aws.ec2.get_paginator("describe_subnets").paginate(Filters=owner.filters())
    found = [
        Subnet(
            id=subnet["SubnetId"],
            vpc_id=subnet["VpcId"],
            letter=as_dict(subnet.get("Tags")).get(ROLE_TAG, "").removeprefix("subnet-"),
            zone=subnet["AvailabilityZone"],
            cidr=subnet["CidrBlock"],
            gives_public_addresses=subnet["MapPublicIpOnLaunch"],
        )
        for page in pages
        for subnet in page["Subnets"]
    ]
    return sorted(found, key=lambda subnet: subnet.letter)


def ensure_subnet(
    aws: Aws, owner: Owner, *, vpc_id: str, letter: str, zone: str, cidr: str, existing: Subnet | None, waits: Waits
) -> tuple[Subnet, bool]:
    """One subnet that gives public addresses; `existing` is what find_subnets found for `letter`."""
    subnet, changed = existing, False
    if subnet is None:
        answer = aws.ec2.create_subnet(
            VpcId=vpc_id,
            CidrBlock=cidr,
            AvailabilityZone=zone,
            TagSpecifications=owner.tag_specifications(f"subnet-{letter}", "subnet"),
        )["Subnet"]
        subnet, changed = Subnet(answer["SubnetId"], vpc_id, letter, zone, cidr, False), True
    if not subnet.gives_public_addresses:
        subnet_id = subnet.id

        def give_public_addresses() -> None:
            aws.ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})

        waits.retry(give_public_addresses, is_not_found, awaited=f"subnet {subnet_id}")
        changed = True
    return subnet, changed


def delete_subnets(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Delete the cluster's subnets, each as soon as no interface is left in it."""
    found = find_subnets(aws, owner)
    for subnet in found:
        delete = partial(aws.ec2.delete_subnet, SubnetId=subnet.id)
        delete_when_free(aws, waits, delete, what=f"subnet {subnet.id}", vpc_id=subnet.vpc_id)
    return bool(found)
