"""The names that each controller's certificate gets: a label on every manager's node, read by UCP's agent there.

`--san` of the installer reaches the certificate of the manager it runs on alone; a balancer hands a client to any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.node import swarm, ucp
from dockeree.ssh.remote import Remote
from dockeree.steps.consoles import connected_managers, names_of, swarm_leader
from dockeree.steps.load_balancers import CreateLoadBalancers
from dockeree.steps.step import Step
from dockeree.steps.swarm import JoinManagers

if TYPE_CHECKING:
    from dockeree.context import Cluster


class LabelManagers(Step):
    """Label every manager's node with UCP's names. Names that somebody else added stay."""

    title = "Tell the managers UCP's names"
    group = "ucp"
    after = (JoinManagers, CreateLoadBalancers)

    def run(self, cluster: Cluster) -> bool:
        managers = connected_managers(cluster)
        orders = swarm_leader(cluster, managers).remote
        labels = read_labels(orders, [manager.node_id for manager in managers])
        changed = False
        for manager in managers:
            present = [name for name in labels[manager.node_id].get(ucp.SANS_LABEL, "").split(",") if name]
            wanted = list(dict.fromkeys([*names_of(cluster, "ucp"), *present]))
            if set(wanted) != set(present):
                orders.run(ucp.label_command(manager.node_id, ucp.SANS_LABEL, ucp.join_sans(wanted)))
                changed = True
        return changed


def read_labels(orders: Remote, node_ids: list[str]) -> dict[str, dict[str, str]]:
    """Node id -> labels. Raises CommandFailed."""
    return ucp.parse_labels(orders.run(swarm.node_inspect_command(node_ids), changes=False).stdout)
