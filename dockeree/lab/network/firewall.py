"""Security groups and address translation as nftables rulesets. Pure: a snapshot in, text out.

A VPC's router sees every packet between two interfaces once, in its forward hook. There the sender's groups (egress)
are asked first, then the receiver's (ingress):

    forward -> out_N (the sender's set of groups) -> out_GROUP -> ingress -> in_N (the receiver's) -> in_GROUP -> accept

An answer to an accepted packet passes (groups are stateful); a rule taken away cuts new connections and lets tracked
ones go on, as on EC2.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError, collapse_addresses

from dockeree.lab.network.addresses import METADATA_ADDRESS, vpc_resolver
from dockeree.lab.world import Interface, Rule, Snapshot, Vpc

TABLE = "lab"
_PROTOCOLS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp"}


def _identifier(resource_id: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in resource_id)


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"  {head} {{", *(f"    {line}" for line in lines), "  }"]


def _elements(elements: Iterable[str]) -> list[str]:
    listed = sorted(set(elements))
    return [f"elements = {{ {', '.join(listed)} }}"] if listed else []


def _ipv4_networks(cidrs: Iterable[str]) -> list[str]:
    """The IPv4 ones of `cidrs`, overlaps merged (a set of intervals refuses them)."""
    networks = []
    for cidr in cidrs:
        try:
            networks.append(IPv4Network(cidr, strict=False))
        except (AddressValueError, NetmaskValueError, ValueError):
            continue  # An IPv6 range: the lab's VPCs have IPv4 only, so it matches nothing.
    return [str(network) for network in collapse_addresses(networks)]


def _protocol_match(rule: Rule) -> str:
    """The part of a rule that asks for protocol and ports; EC2 keeps ICMP's type and code in the two ports."""
    if rule.protocol == "-1":
        return ""
    protocol = _PROTOCOLS.get(rule.protocol, rule.protocol)
    first, last = rule.from_port, rule.to_port
    if protocol == "icmp":
        kind = "" if first is None or first < 0 else f" icmp type {first}"
        code = "" if not kind or last is None or last < 0 else f" icmp code {last}"
        return f"meta l4proto icmp{kind}{code}"
    if protocol not in ("tcp", "udp") or first is None or first < 0:
        return f"meta l4proto {protocol}"
    return f"{protocol} dport {first}" if last in (None, first) else f"{protocol} dport {first}-{last}"


def _rule_lines(rule: Rule, peer: str, verdict: str, groups: frozenset[str]) -> list[str]:
    """`peer` is saddr or daddr. One line for the CIDRs, one for each group of this VPC."""
    match = _protocol_match(rule)
    lines = []
    networks = _ipv4_networks(rule.cidrs)
    if networks == ["0.0.0.0/0"]:
        lines.append(f"{match} {verdict}")
    elif networks:
        lines.append(f"{match} ip {peer} {{ {', '.join(networks)} }} {verdict}")
    lines += [
        f"{match} ip {peer} @members_{_identifier(group)} {verdict}" for group in rule.group_ids if group in groups
    ]
    return [line.strip() for line in lines]


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
                verdict = f"goto listeners_{_identifier(interface.id)}" if serves else "drop"
                incoming[interface.private_ip] = verdict
        return [
            *_block(
                "map incoming",
                [
                    "type ipv4_addr : verdict",
                    *_elements(f"{address} : {verdict}" for address, verdict in incoming.items()),
                ],
            ),
            *_block(
                "map outgoing",
                [
                    "type ipv4_addr : verdict",
                    *_elements(f"{address} : {verdict}" for address, verdict in outgoing.items()),
                ],
            ),
        ]

    def _sets(self) -> list[str]:
        lines = [
            *_block("set without_power", ["type ipv4_addr", *_elements(self.off)]),
            *_block("set routed", ["type ipv4_addr", "flags interval", *_elements(_ipv4_networks(self.routed))]),
        ]
        interfaces = self._interfaces()
        for group in self.groups:
            members = [i.private_ip for i in interfaces if group.id in i.group_ids]
            lines += _block(f"set members_{_identifier(group.id)}", ["type ipv4_addr", *_elements(members)])
        return lines

    def _group_chains(self) -> list[str]:
        lines: list[str] = []
        for group in self.groups:
            name = _identifier(group.id)
            into = [line for r in group.ingress for line in _rule_lines(r, "saddr", "accept", self.group_ids)]
            out = [line for r in group.egress for line in _rule_lines(r, "daddr", "goto ingress", self.group_ids)]
            lines += _block(f"chain in_{name}", into) + _block(f"chain out_{name}", out)
        return lines

    def _combination_chains(self) -> list[str]:
        lines: list[str] = []
        for groups, number in self.combinations.items():
            if not groups:  # A network load balancer made without groups lets everything pass.
                lines += _block(f"chain in_{number}", ["accept"])
                lines += _block(f"chain out_{number}", ["goto ingress"])
                continue
            known = [_identifier(group) for group in groups if group in self.group_ids]
            lines += _block(f"chain in_{number}", [*(f"jump in_{name}" for name in known), "drop"])
            lines += _block(f"chain out_{number}", [*(f"jump out_{name}" for name in known), "drop"])
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
                lines += _block(
                    f"chain listeners_{_identifier(interface.id)}",
                    [f"tcp dport {{ {ports} }} goto in_{number}", "drop"],
                )
        return lines

    def _base_chains(self) -> list[str]:
        return [
            *_block("chain ingress", ['oifname "gw" goto leave', "ip daddr vmap @incoming", "drop"]),
            *_block("chain leave", ["ip saddr @routed accept", "drop"]),
            *_block("chain enter", ["ip daddr @routed goto ingress", "drop"]),
            *_block(
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
            *_block(
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
        lines = [
            f"table ip {TABLE}",
            f"delete table ip {TABLE}",
            f"table ip {TABLE} {{",
            *self._sets(),
            *maps,
            *self._group_chains(),
            *self._combination_chains(),
            *self._listener_chains(),
            *self._base_chains(),
            "}",
        ]
        return "\n".join(lines) + "\n"


def vpc_ruleset(snapshot: Snapshot, vpc: Vpc, without_power: frozenset[str] = frozenset()) -> str:
    """The ruleset of a VPC's router, to be loaded as one transaction.

    `without_power` are instances (by id) that are `running` for EC2 and answer nothing all the same.
    """
    return _VpcRuleset(snapshot, vpc, without_power).text()


def gateway_ruleset(mapping: dict[str, str]) -> str:
    """The ruleset of an Internet gateway: `mapping` of public to private addresses, one to one.

    Translation is done on both sides of a packet that turns round in the gateway: from one instance to another's
    public address. It arrives with its sender's public address as source.
    """
    to_private = [f"{public} : {private}" for public, private in mapping.items()]
    to_public = [f"{private} : {public}" for public, private in mapping.items()]
    pairs = [f"{public} . {private}" for public, private in mapping.items()]
    lines = [
        f"table ip {TABLE}",
        f"delete table ip {TABLE}",
        f"table ip {TABLE} {{",
        *_block("map to_private", ["type ipv4_addr : ipv4_addr", *_elements(to_private)]),
        *_block("map to_public", ["type ipv4_addr : ipv4_addr", *_elements(to_public)]),
        *_block("set mapped", ["type ipv4_addr", *_elements(mapping.values())]),
        *_block("set pairs", ["type ipv4_addr . ipv4_addr", *_elements(pairs)]),
        *_block(
            "chain prerouting",
            ["type nat hook prerouting priority dstnat;", "dnat to ip daddr map @to_private"],
        ),
        *_block(
            "chain postrouting",
            ["type nat hook postrouting priority srcnat;", "snat to ip saddr map @to_public"],
        ),
        *_block(
            "chain forward",
            [
                "type filter hook forward priority filter; policy drop;",
                "ct direction reply accept",
                "ct state invalid drop",
                "ct state related accept",
                # A tracked connection goes on being translated after its mapping has gone: stop it here.
                'oifname "vpc" ct original ip daddr . ip daddr != @pairs drop',
                'iifname "vpc" ip saddr != @mapped drop',
                "accept",
            ],
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"
