"""Which ports are open, to whom: the lists of UCP's and DTR's documentation as rules between the cluster's groups.

Nodes keep AWS's "everything outwards"; balancers may reach their targets' ports and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from dockeree.aws.security_groups import Rule

SSH_PORT = 22
UCP_PORTS = (443, 6443)
"""UCP's console and API, and Kubernetes' API server."""
DTR_PORT = 443
DTR_TARGET_PORT = 4443
"""DTR stands on the managers beside UCP, which has 443 (`--replica-https-port`)."""
DTR_HTTP_PORT = 4080
"""`--replica-http-port`: it sends whoever calls it to the other one, and no group lets anybody in."""

NODE_TCP_PORTS = (179, 7946, 10250, 12376)
"""Between all nodes: Calico's BGP, swarm's gossip, kubelet, UCP's TLS proxy to the engine."""
NODE_UDP_PORTS = (4789, 7946)
"""Between all nodes: overlay networks (VXLAN), swarm's gossip."""
NODE_PROTOCOLS = ("4", "50")
"""Between all nodes: IP-in-IP (Calico) and ESP (encrypted overlay networks). They have no ports."""
MANAGER_TCP_PORTS = ((2376, 2377), (12379, 12388), (12390, 12390))
"""From every node to managers: UCP's swarm port and swarm's control; UCP's etcd, certificate authorities, auth store,
auth API and worker, metrics, internal API; 12390 is MKE's from 3.3 on."""
INTERNET = "0.0.0.0/0"


def wanted_rules(
    groups: Mapping[str, str], *, admin_cidrs: Sequence[str], ssh_port: int, apps_ports: Sequence[int]
) -> dict[str, set[Rule]]:
    """The rules of each group, by role. `groups` are the groups' ids by role (managers, workers, ucp, dtr, apps)."""
    nodes = [groups["managers"], groups["workers"]]
    admins_and_nodes = [*admin_cidrs, *nodes]
    """Nodes reach the consoles' names at the balancers' private addresses, so they come from their own groups."""
    ssh = _rules("ingress", "tcp", [(ssh_port, ssh_port)], admin_cidrs)
    return {
        "managers": {
            *ssh,
            *_between_nodes(nodes),
            *_rules("ingress", "tcp", MANAGER_TCP_PORTS, nodes),
            *_rules("ingress", "tcp", _single(UCP_PORTS), [groups["ucp"]]),
            *_rules("ingress", "tcp", _single([DTR_TARGET_PORT]), [groups["dtr"]]),
        },
        "workers": {
            *ssh,
            *_between_nodes(nodes),
            *_rules("ingress", "tcp", _single(apps_ports), [groups["apps"]]),
        },
        "ucp": {
            *_rules("ingress", "tcp", _single(UCP_PORTS), admins_and_nodes),
            *_rules("egress", "tcp", _single(UCP_PORTS), [groups["managers"]]),
        },
        "dtr": {
            *_rules("ingress", "tcp", _single([DTR_PORT]), admins_and_nodes),
            *_rules("egress", "tcp", _single([DTR_TARGET_PORT]), [groups["managers"]]),
        },
        "apps": {
            *_rules("ingress", "tcp", _single(apps_ports), [INTERNET]),
            *_rules("egress", "tcp", _single(apps_ports), [groups["workers"]]),
        },
    }


def _between_nodes(nodes: Sequence[str]) -> list[Rule]:
    return [
        *_rules("ingress", "tcp", _single(NODE_TCP_PORTS), nodes),
        *_rules("ingress", "udp", _single(NODE_UDP_PORTS), nodes),
        *(Rule("ingress", protocol, None, None, peer) for protocol in NODE_PROTOCOLS for peer in nodes),
    ]


def _single(ports: Iterable[int]) -> list[tuple[int, int]]:
    return [(port, port) for port in ports]


def _rules(
    direction: Literal["ingress", "egress"], protocol: str, ranges: Iterable[tuple[int, int]], peers: Iterable[str]
) -> list[Rule]:
    peers = list(peers)
    return [Rule(direction, protocol, first, last, peer) for first, last in ranges for peer in peers]
