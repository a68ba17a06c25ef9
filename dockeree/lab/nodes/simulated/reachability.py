"""Security groups between nodes: whether a connection would pass, read from the snapshot and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace

from dockeree.lab.world import Interface, Rule, SecurityGroup, Snapshot


class Reachability:
    """Answers for the snapshot that was applied last. What the snapshot does not know is not reachable."""

    def __init__(self) -> None:
        self._groups: dict[str, SecurityGroup] = {}
        self._interfaces: dict[str, Interface] = {}
        self._vpcs: dict[str, str] = {}
        self._public_subnets: set[str] = set()
        self.has_snapshot = False

    def apply(self, snapshot: Snapshot) -> None:
        """Use `snapshot` from now on."""
        subnets = {subnet.id: subnet for subnet in snapshot.subnets}
        self._groups = {group.id: group for group in snapshot.security_groups}
        self._interfaces = {instance.instance_id: instance.interface for instance in snapshot.instances}
        self._vpcs = {
            instance.instance_id: subnets[instance.interface.subnet_id].vpc_id
            for instance in snapshot.instances
            if instance.interface.subnet_id in subnets
        }
        gateways = {vpc.id for vpc in snapshot.vpcs if vpc.has_internet_gateway}
        self._public_subnets = {
            subnet.id for subnet in snapshot.subnets if subnet.routes_to_internet and subnet.vpc_id in gateways
        }
        self.has_snapshot = True

    def between(self, source: str, destination: str, protocol: str, port: int) -> bool:
        """Whether instance `source` may open `port` of instance `destination` by its private address."""
        one, other = self._interfaces.get(source), self._interfaces.get(destination)
        if one is None or other is None or self._vpcs.get(source) != self._vpcs.get(destination):
            return False
        return self._lets_out(one, other, protocol, port) and self.admits(other, one, protocol, port)

    def by_public_address(self, source: str, destination: str, protocol: str, port: int) -> bool:
        """Whether `source` may open `port` of `destination` by its public address.

        The gateway gives such a packet the sender's public address as source, so no rule that names a group fits.
        """
        one, other = self._interfaces.get(source), self._interfaces.get(destination)
        if one is None or other is None or not one.public_ip or not other.public_ip:
            return False
        outside_one = replace(one, private_ip=one.public_ip, group_ids=())
        outside_other = replace(other, private_ip=other.public_ip, group_ids=())
        return self._lets_out(one, outside_other, protocol, port) and self.admits(other, outside_one, protocol, port)

    def from_interface(self, source: Interface, instance_id: str, protocol: str, port: int) -> bool:
        """Whether a balancer's interface may open `port` of an instance."""
        destination = self._interfaces.get(instance_id)
        if destination is None:
            return False
        # A balancer without security groups (never given any) has no rules of its own to obey.
        lets_out = not source.group_ids or self._lets_out(source, destination, protocol, port)
        return lets_out and self.admits(destination, source, protocol, port)

    def admits(self, destination: Interface, source: Interface, protocol: str, port: int) -> bool:
        """Whether `destination`'s groups let `source` in by its private address."""
        return any(
            allows(rule, protocol, port) and _names(rule, source) for rule in self._rules(destination, is_ingress=True)
        )

    def admits_operator(self, instance_id: str, port: int) -> bool:
        """Whether anyone outside may open `port`.

        On loopback the operator's own address is not the one that a rule would name, so any CIDR will do; a missing
        rule, gateway or route shows all the same.
        """
        interface = self._interfaces.get(instance_id)
        if not self.has_snapshot or interface is None:
            return not self.has_snapshot
        return interface.subnet_id in self._public_subnets and any(
            allows(rule, "tcp", port) and rule.cidrs for rule in self._rules(interface, is_ingress=True)
        )

    def _lets_out(self, source: Interface, destination: Interface, protocol: str, port: int) -> bool:
        return any(
            allows(rule, protocol, port) and _names(rule, destination) for rule in self._rules(source, is_ingress=False)
        )

    def _rules(self, interface: Interface, *, is_ingress: bool) -> Iterable[Rule]:
        for group_id in interface.group_ids:
            group = self._groups.get(group_id)
            if group is not None:
                yield from group.ingress if is_ingress else group.egress


def allows(rule: Rule, protocol: str, port: int) -> bool:
    """Whether a rule is about this protocol and port."""
    numbers = {"6": "tcp", "17": "udp", "1": "icmp"}
    if rule.protocol == "-1":
        return True
    if numbers.get(rule.protocol, rule.protocol) != protocol:
        return False
    return rule.from_port is None or rule.to_port is None or rule.from_port <= port <= rule.to_port


def _names(rule: Rule, peer: Interface) -> bool:
    address = ipaddress.ip_address(peer.private_ip)
    return bool(set(rule.group_ids) & set(peer.group_ids)) or any(
        address in ipaddress.ip_network(cidr, strict=False) for cidr in rule.cidrs if ":" not in cidr
    )
