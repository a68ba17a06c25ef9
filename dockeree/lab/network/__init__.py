"""The lab's network on one Linux machine: VPCs, security groups, public addresses, names and balancers, for real.

    snapshot -> plan (what there must be) -> links (namespaces, cables, routes, firewall rulesets)
             -> names -> resolver;  metadata_server;  targets, health, proxy -> balancers

A packet's way, from a node to another node's public address:

    node A | A's VPC router: A's egress | gateway: B's public address becomes B's private one,
           A's private address becomes A's public one | VPC router: B's ingress | node B
"""

from dockeree.lab.network.cleanup import remove_network
from dockeree.lab.network.wiring import MachineWiring

__all__ = ["MachineWiring", "remove_network"]
