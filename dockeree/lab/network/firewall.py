"""Security groups as the ruleset of a VPC's router. Pure: a snapshot in, text for nftables out.

A VPC's router sees every packet between two interfaces once, in its forward hook. There the sender's groups (egress)
are asked first, then the receiver's (ingress):

    forward -> out_N (the sender's set of groups) -> out_GROUP -> ingress -> in_N (the receiver's) -> in_GROUP -> accept

An answer to an accepted packet passes (groups are stateful); a rule taken away cuts new connections and lets tracked
ones go on, as on EC2.
"""

from __future__ import annotations

from dockeree.lab.network.addresses import METADATA_ADDRESS, vpc_resolver
from dockeree.lab.network.nft import block, elements, identifier, ipv4_networks, rule_lines, whole_table
from dockeree.lab.world import Interface, Snapshot, Vpc


class _VpcRuleset:
    """Collects one VPC's sets, maps and chains."""

    def __init__(self, snapshot: Snapshot, vpc: Vpc, without_power: frozenset[str]) -> None:
        subnets = {subnet.id: subnet for subnet in snapshot.subnets if subnet.vpc_id == vpc.id}
        self.vpc = vpc
        self.groups = [group for group in snapshot.security_groups if group.vpc_id == vpc.id]
        self.group_ids = frozenset(group.id for group in self.groups)
        self.routed = [subnet.cidr for subnet in subnets.values() if subnet.routes_to_internet]
        self.instances = [i for i in snapshot.instances if i.interface.subnet_id in subnets]
        self.balancers = [balancer for balancer in snapshot.balancers if balancer.vpc_id == vpc.id]
        self.off = [i.interface.private_ip for i in self.instances if not i.running or i.instance_id in without_power]
        self.combinations: dict[tuple[str, ...], int] = {}

    def _interfaces(self) -> list[Interface]:
        return [i.interface for i in self.instances] + [e for b in self.balancers for e in b.interfaces]

    def _combination(self, interface: Interface) -> int:
        """The number of an interface's set of groups: interfaces with the same groups share chains."""
        groups = tuple(sorted(set(interface.group_ids)))
        return self.combinations.setdefault(groups, len(self.combinations))

    def _verdict_maps(self) -> list[str]:
        incoming = {i.interface.private_ip: f"goto in_{self._combination(i.interface)}" for i in self.instances}
        outgoing = {i.private_ip: f"goto out_{self._combination(i)}" for i in self._interfaces()}
        for balancer in self.balancers:
            serves = balancer.active and balancer.listeners
            for interface in balancer.interfaces:
                verdict = f"goto listeners_{identifier(interface.id)}" if serves else "drop"
                incoming[interface.private_ip] = verdict
        return [
            *block(
                "map incoming",
                [
                    "type ipv4_addr : verdict",
                    *elements(f"{address} : {verdict}" for address, verdict in incoming.items()),
                ],
            ),
            *block(
                "map outgoing",
                [
                    "type ipv4_addr : verdict",
                    *elements(f"{address} : {verdict}" for address, verdict in outgoing.items()),
                ],
            ),
        ]

    def _sets(self) -> list[str]:
        lines = [
            *block("set without_power", ["type ipv4_addr", *elements(self.off)]),
            *block("set routed", ["type ipv4_addr", "flags interval", *elements(ipv4_networks(self.routed))]),
        ]
        interfaces = self._interfaces()
        for group in self.groups:
            members = [i.private_ip for i in interfaces if group.id in i.group_ids]
            lines += block(f"set members_{identifier(group.id)}", ["type ipv4_addr", *elements(members)])
        return lines

    def _group_chains(self) -> list[str]:
        lines: list[str] = []
        for group in self.groups:
            name = identifier(group.id)
            into = [line for r in group.ingress for line in rule_lines(r, "saddr", "accept", self.group_ids)]
            out = [line for r in group.egress for line in rule_lines(r, "daddr", "goto ingress", self.group_ids)]
            lines += block(f"chain in_{name}", into) + block(f"chain out_{name}", out)
        return lines

    def _combination_chains(self) -> list[str]:
        lines: list[str] = []
        for groups, number in self.combinations.items():
            if not groups:  # A network load balancer made without groups lets everything pass.
                lines += block(f"chain in_{number}", ["accept"])
                lines += block(f"chain out_{number}", ["goto ingress"])
                continue
            known = [identifier(group) for group in groups if group in self.group_ids]
            lines += block(f"chain in_{number}", [*(f"jump in_{name}" for name in known), "drop"])
            lines += block(f"chain out_{number}", [*(f"jump out_{name}" for name in known), "drop"])
        return lines

    def _listener_chains(self) -> list[str]:
        """A network load balancer leaves a packet to a port without a listener unanswered."""
        lines: list[str] = []
        for balancer in self.balancers:
            if not balancer.active or not balancer.listeners:
                continue
            ports = ", ".join(str(port) for port in sorted({entry.port for entry in balancer.listeners}))
            for interface in balancer.interfaces:
                number = self._combination(interface)
                lines += block(
                    f"chain listeners_{identifier(interface.id)}",
                    [f"tcp dport {{ {ports} }} goto in_{number}", "drop"],
                )
        return lines

    def _base_chains(self) -> list[str]:
        return [
            *block("chain ingress", ['oifname "gw" goto leave', "ip daddr vmap @incoming", "drop"]),
            *block("chain leave", ["ip saddr @routed accept", "drop"]),
            *block("chain enter", ["ip daddr @routed goto ingress", "drop"]),
            *block(
                "chain forward",
                [
                    "type filter hook forward priority filter; policy drop;",
                    "ip saddr @without_power drop",
                    "ip daddr @without_power drop",
                    "ct state established,related accept",
                    "ct state invalid drop",
                    'iifname "gw" goto enter',
                    "ip saddr vmap @outgoing",
                ],
            ),
            *block(
                "chain input",
                [
                    "type filter hook input priority filter; policy drop;",
                    "ip saddr @without_power drop",
                    'iifname "lo" accept',
                    'iifname "gw" drop',
                    # Neither the resolver nor the metadata service is subject to security groups.
                    f"ip daddr {vpc_resolver(self.vpc.cidr)} meta l4proto {{ tcp, udp }} th dport 53 accept",
                    f"ip daddr {METADATA_ADDRESS} tcp dport 80 accept",
                    "icmp type destination-unreachable accept",
                ],
            ),
        ]

    def text(self) -> str:
        maps = self._verdict_maps()  # First: it numbers the combinations that the chains below are made for.
        return whole_table(
            [
                *self._sets(),
                *maps,
                *self._group_chains(),
                *self._combination_chains(),
                *self._listener_chains(),
                *self._base_chains(),
            ]
        )


def vpc_ruleset(snapshot: Snapshot, vpc: Vpc, without_power: frozenset[str] = frozenset()) -> str:
    """The ruleset of a VPC's router, to be loaded as one transaction.

    `without_power` are instances (by id) that are `running` for EC2 and answer nothing all the same.
    """
    return _VpcRuleset(snapshot, vpc, without_power).text()
