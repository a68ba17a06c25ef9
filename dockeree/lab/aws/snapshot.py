"""Reads moto's models into the lab's plan of the world (dockeree/lab/world.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from moto.ec2.models import ec2_backends

from dockeree.lab.aws.balancers import snapshot_balancers
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.route53 import snapshot_private_names
from dockeree.lab.aws.targets import snapshot_target_groups
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import InstanceNetwork, Interface, PrivateName, Rule, SecurityGroup, Snapshot, Subnet, Vpc

EVERYWHERE = "0.0.0.0/0"
WITH_NODE = ("pending", "running", "stopping", "stopped", "shutting-down")
"""States of an instance that has a node, or is about to."""


def read_snapshot(lab: Lab) -> Snapshot:
    """The network as every region's API has been told. Call it while holding `lab.lock`.

    VPCs that nobody uses are left out: each region is born with a default VPC.
    """
    backends = list(ec2_backends[ACCOUNT_ID].values())
    balancers = snapshot_balancers(lab)
    balanced = {balancer.vpc_id for balancer in balancers}
    used = [(backend, vpc_id) for backend in backends for vpc_id in _used_vpcs(backend, balanced)]
    return Snapshot(
        vpcs=tuple(_vpc(backend, vpc_id) for backend, vpc_id in used),
        subnets=tuple(subnet for backend, vpc_id in used for subnet in _subnets(backend, vpc_id)),
        security_groups=tuple(group for backend, vpc_id in used for group in _groups(backend, vpc_id)),
        instances=tuple(node for backend in backends for node in _instances(backend)),
        balancers=balancers,
        target_groups=snapshot_target_groups(lab),
        private_names=tuple(_seen_names(backends, snapshot_private_names(lab))),
    )


def _seen_names(backends: list[Any], names: Iterable[PrivateName]) -> Iterator[PrivateName]:
    """Private zones answer in VPCs that have both enableDnsHostnames (off in a new VPC) and enableDnsSupport."""
    answering = {
        vpc.id
        for backend in backends
        for vpc in backend.vpcs.values()
        if _is_on(vpc.enable_dns_hostnames) and _is_on(vpc.enable_dns_support)
    }
    for name in names:
        vpc_ids = tuple(vpc_id for vpc_id in name.vpc_ids if vpc_id in answering)
        if vpc_ids:
            yield replace(name, vpc_ids=vpc_ids)


def _is_on(attribute: Any) -> bool:
    return str(attribute).lower() == "true"


def _used_vpcs(backend: Any, balanced: set[str]) -> Iterator[str]:
    with_node = {instance.vpc_id for instance in backend.all_instances() if instance.state in WITH_NODE}
    with_gateway = {gateway.vpc.id for gateway in backend.internet_gateways.values() if gateway.vpc}
    for vpc_id in backend.vpcs:
        if vpc_id in with_node | with_gateway | balanced:
            yield vpc_id


def _vpc(backend: Any, vpc_id: str) -> Vpc:
    return Vpc(vpc_id, backend.vpcs[vpc_id].cidr_block, _gateway_of(backend, vpc_id) is not None)


def _gateway_of(backend: Any, vpc_id: str) -> Any:
    attached = [gateway for gateway in backend.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id]
    return attached[0] if attached else None


def _subnets(backend: Any, vpc_id: str) -> list[Subnet]:
    return [
        Subnet(subnet.id, vpc_id, subnet.cidr_block, subnet.availability_zone, _routes_to_internet(backend, subnet))
        for in_zone in backend.subnets.values()
        for subnet in in_zone.values()
        if subnet.vpc_id == vpc_id
    ]


def _routes_to_internet(backend: Any, subnet: Any) -> bool:
    tables = [table for table in backend.route_tables.values() if table.vpc_id == subnet.vpc_id]
    own = [table for table in tables if subnet.id in table._associations.values()]
    main = [table for table in tables if table.main_association_id is not None]
    gateway = _gateway_of(backend, subnet.vpc_id)
    return any(
        route.destination_cidr_block == EVERYWHERE and route.gateway is not None and route.gateway is gateway
        for table in (own or main)[:1]
        for route in table._routes.values()
    )


def _groups(backend: Any, vpc_id: str) -> list[SecurityGroup]:
    return [
        SecurityGroup(group.id, vpc_id, _rules(group.ingress_rules), _rules(group.egress_rules))
        for group in backend.groups[vpc_id].values()
    ]


def _rules(rules: Iterable[Any]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            protocol=str(rule.ip_protocol),
            from_port=rule.from_port,
            to_port=rule.to_port,
            cidrs=(rule.ip_range["CidrIp"],) if rule.ip_range.get("CidrIp") else (),
            group_ids=(rule.source_group["GroupId"],) if rule.source_group.get("GroupId") else (),
        )
        for rule in rules
    )


def _instances(backend: Any) -> list[InstanceNetwork]:
    return [
        InstanceNetwork(
            instance_id=instance.id,
            interface=instance_interface(instance),
            hostname=hostname(instance),
            zone=str(instance.placement.zone),
            running=instance.state != "stopped",
        )
        for instance in backend.all_instances()
        if instance.state in WITH_NODE
    ]


def hostname(instance: Any) -> str:
    """ip-10-32-0-5: the first label of its private name."""
    return str(instance.private_dns_name).partition(".")[0]


def instance_interface(instance: Any) -> Interface:
    """The primary interface of an instance that has one."""
    nic = instance.nics[0]
    return Interface(
        id=nic.id,
        owner=instance.id,
        subnet_id=nic.subnet.id,
        private_ip=nic.private_ip_address,
        public_ip=nic.public_ip,
        group_ids=tuple(sorted(group.id for group in nic.group_set)),
        mac=nic.mac_address,
    )
