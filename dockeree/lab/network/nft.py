"""Pieces of nftables' language: names, blocks, elements, and an EC2 rule as statements. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError, collapse_addresses

from dockeree.lab.world import Rule

TABLE = "lab"
_PROTOCOLS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp"}


def identifier(resource_id: str) -> str:
    """An id as nftables takes it for a name."""
    return "".join(letter if letter.isalnum() else "_" for letter in resource_id)


def block(head: str, lines: Iterable[str]) -> list[str]:
    """A set, map or chain with its lines."""
    return [f"  {head} {{", *(f"    {line}" for line in lines), "  }"]


def elements(members: Iterable[str]) -> list[str]:
    """The line that names the members of a set or map: none for none, which nftables wants so."""
    listed = sorted(set(members))
    return [f"elements = {{ {', '.join(listed)} }}"] if listed else []


def whole_table(parts: Iterable[str]) -> str:
    """A file that replaces the lab's table by one of these parts, as one transaction."""
    head = [f"table ip {TABLE}", f"delete table ip {TABLE}", f"table ip {TABLE} {{"]
    return "\n".join([*head, *parts, "}"]) + "\n"


def ipv4_networks(cidrs: Iterable[str]) -> list[str]:
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


def rule_lines(rule: Rule, peer: str, verdict: str, groups: frozenset[str]) -> list[str]:
    """An EC2 rule as statements that end in `verdict`: one for its CIDRs, one for each group of this VPC.

    `peer` is saddr or daddr.
    """
    match = _protocol_match(rule)
    lines = []
    networks = ipv4_networks(rule.cidrs)
    if networks == ["0.0.0.0/0"]:
        lines.append(f"{match} {verdict}")
    elif networks:
        lines.append(f"{match} ip {peer} {{ {', '.join(networks)} }} {verdict}")
    lines += [
        f"{match} ip {peer} @members_{identifier(group)} {verdict}" for group in rule.group_ids if group in groups
    ]
    return [line.strip() for line in lines]
