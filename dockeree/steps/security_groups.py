"""The security groups of managers, workers and the three balancers (which ports, to whom: ports.py)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dockeree.aws import security_groups
from dockeree.config import Config
from dockeree.steps.addresses import resolved_admin_cidrs
from dockeree.steps.found import owner_of, vpc_of, waits_of
from dockeree.steps.networking import CreateVpc
from dockeree.steps.ports import wanted_rules
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

DESCRIPTIONS = {
    "managers": "Swarm managers",
    "workers": "Swarm workers",
    "ucp": "Load balancer of UCP",
    "dtr": "Load balancer of DTR",
    "apps": "Load balancer of the applications",
}


class CreateSecurityGroups(Step):
    """Five groups whose rules name each other. A missing rule is put back, a foreign one is left and named."""

    title = "Create the security groups"
    undo_title = "Delete the security groups"
    group = "network"
    after = (CreateVpc,)

    def run(self, cluster: Cluster) -> bool:
        groups, changed = _ensure_groups(cluster)
        config = cluster.config
        rules = wanted_rules(
            groups,
            admin_cidrs=resolved_admin_cidrs(config.admin_cidrs),
            ssh_port=ssh_port(config),
            apps_ports=config.apps.ports,
        )
        for role, group_id in groups.items():
            done = security_groups.ensure_rules(
                cluster.aws,
                owner_of(cluster),
                group_id=group_id,
                role=role,
                wanted=rules[role],
                waits=waits_of(cluster),
            )
            changed |= bool(done.added or done.removed)
            for rule in done.foreign:
                cluster.report.warn(f"security group {cluster.name}-{role} has a rule that is not dockeree's: {rule}")
        return changed

    def undo(self, cluster: Cluster) -> bool:
        return security_groups.delete_groups(cluster.aws, owner_of(cluster), waits_of(cluster))


def _ensure_groups(cluster: Cluster) -> tuple[dict[str, str], bool]:
    owner, vpc = owner_of(cluster), vpc_of(cluster)
    existing = security_groups.find_groups(cluster.aws, owner)
    groups: dict[str, str] = {}
    any_changed = False
    for role, description in DESCRIPTIONS.items():
        groups[role], changed = security_groups.ensure_group(
            cluster.aws, owner, vpc_id=vpc.id, role=role, description=description, existing=existing.get(role)
        )
        cluster.state.put(f"security-group-{role}", groups[role])
        any_changed |= changed
    return groups, any_changed


def ssh_port(config: Config) -> int:
    """sshd's port on the nodes; the environment's DOCKEREE_SSH_PORT wins, as it does where nodes are dialled."""
    given = os.environ.get("DOCKEREE_SSH_PORT", "")
    return int(given) if given.isdigit() else config.ssh.port
