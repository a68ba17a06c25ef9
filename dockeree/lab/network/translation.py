"""One-to-one address translation as the ruleset of an Internet gateway. Pure: a mapping in, text for nftables out."""

from __future__ import annotations

from dockeree.lab.network.nft import block, elements, whole_table


def gateway_ruleset(mapping: dict[str, str]) -> str:
    """The ruleset of an Internet gateway: `mapping` of public to private addresses, one to one.

    Translation is done on both sides of a packet that turns round in the gateway: from one instance to another's
    public address. It arrives with its sender's public address as source.
    """
    to_private = [f"{public} : {private}" for public, private in mapping.items()]
    to_public = [f"{private} : {public}" for public, private in mapping.items()]
    pairs = [f"{public} . {private}" for public, private in mapping.items()]
    parts = [
        *block("map to_private", ["type ipv4_addr : ipv4_addr", *elements(to_private)]),
        *block("map to_public", ["type ipv4_addr : ipv4_addr", *elements(to_public)]),
        *block("set mapped", ["type ipv4_addr", *elements(mapping.values())]),
        *block("set pairs", ["type ipv4_addr . ipv4_addr", *elements(pairs)]),
        *block(
            "chain prerouting",
            ["type nat hook prerouting priority dstnat;", "dnat to ip daddr map @to_private"],
        ),
        *block(
            "chain postrouting",
            ["type nat hook postrouting priority srcnat;", "snat to ip saddr map @to_public"],
        ),
        *block(
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
    ]
    return whole_table(parts)
