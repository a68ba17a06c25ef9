"""The three network load balancers: UCP, DTR and applications, in TCP pass-through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import instances, load_balancers, networking, target_groups
from dockeree.aws.load_balancers import BALANCER_ROLES
from dockeree.aws.tags import not_found
from dockeree.steps.balancing import IDLE_TIMEOUT_SECONDS, listeners
from dockeree.steps.found import group_ids_of, owner_of, subnets_of, vpc_of, waits_of
from dockeree.steps.instances import LaunchManagers
from dockeree.steps.networking import CreateInternetGateway, CreateSubnets, CreateVpc
from dockeree.steps.security_groups import CreateSecurityGroups
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster


class CreateTargetGroups(Step):
    """Who answers for each port: managers for the consoles, workers for the applications."""

    title = "Create the target groups"
    undo_title = "Delete the target groups"
    group = "balancers"
    after = (CreateVpc,)

    def run(self, cluster: Cluster) -> bool:
        owner, vpc_id = owner_of(cluster), vpc_of(cluster).id
        existing = target_groups.find_target_groups(cluster.aws, owner)
        any_changed = False
        for listener in listeners(cluster.config):
            spec = listener.target_group
            _, changed = target_groups.ensure_target_group(
                cluster.aws,
                owner,
                spec,
                vpc_id=vpc_id,
                existing=existing.get(spec.label),
                waits=waits_of(cluster),
            )
            any_changed |= changed
        return any_changed

    def undo(self, cluster: Cluster) -> bool:
        found = target_groups.find_target_groups(cluster.aws, owner_of(cluster))
        for group in found.values():
            target_groups.delete_target_group(cluster.aws, group, waits_of(cluster))
        return bool(found)


class CreateLoadBalancers(Step):
    """The balancers themselves, with their security groups from the first moment and cross-zone balancing on.

    Asked for early and awaited late (AwaitLoadBalancers): AWS takes minutes to provision them.
    """

    title = "Create three load balancers"
    undo_title = "Delete the load balancers"
    group = "balancers"
    after = (CreateInternetGateway, CreateSubnets, CreateSecurityGroups)

    def run(self, cluster: Cluster) -> bool:
        owner = owner_of(cluster)
        found = load_balancers.find_balancers(cluster.aws, owner)
        changed = len(found) < len(BALANCER_ROLES)
        if changed:
            groups, subnet_ids = group_ids_of(cluster), [subnet.id for subnet in subnets_of(cluster)]
            for role in BALANCER_ROLES:
                if role not in found:
                    found[role] = load_balancers.create_balancer(
                        cluster.aws,
                        owner,
                        role=role,
                        subnet_ids=subnet_ids,
                        group_id=groups[role],
                        waits=waits_of(cluster),
                    )
        for role, balancer in found.items():
            changed |= load_balancers.ensure_cross_zone(cluster.aws, balancer)
            cluster.state.put(f"balancer-{role}", balancer.arn)
        return changed

    def undo(self, cluster: Cluster) -> bool:
        owner = owner_of(cluster)
        vpc_ids = [vpc.id for vpc in networking.find_vpcs(cluster.aws, owner)]
        return load_balancers.delete_balancers(cluster.aws, owner, vpc_ids, waits_of(cluster))


class CreateListeners(Step):
    """The open ports. Ports that the configuration no longer names are closed; listeners of others are left."""

    title = "Open the balancers' ports"
    undo_title = "Close the balancers' ports"
    group = "balancers"
    after = (CreateLoadBalancers, CreateTargetGroups)

    def run(self, cluster: Cluster) -> bool:
        owner = owner_of(cluster)
        balancers = load_balancers.find_balancers(cluster.aws, owner)
        groups = target_groups.find_target_groups(cluster.aws, owner)
        wanted = listeners(cluster.config)
        changed = False
        for role in BALANCER_ROLES:
            if role not in balancers:
                raise not_found(f"the balancer {role} of {cluster.name}")
            existing = load_balancers.find_listeners(cluster.aws, balancers[role].arn)
            ports = {spec.port for spec in wanted if spec.role == role}
            changed |= _close_others(cluster, [item.arn for port, item in existing.items() if port not in ports])
            for spec in wanted:
                if spec.role != role:
                    continue
                if spec.target_group.label not in groups:
                    raise not_found(f"the target group {spec.target_group.label} of {cluster.name}")
                changed |= load_balancers.ensure_listener(
                    cluster.aws,
                    owner,
                    balancer=balancers[role],
                    port=spec.port,
                    target_group_arn=groups[spec.target_group.label].arn,
                    idle_timeout_seconds=IDLE_TIMEOUT_SECONDS,
                    existing=existing.get(spec.port),
                )
        return changed


class RegisterManagers(Step):
    """The managers answer for the consoles, by instance id, so that a new public address changes nothing."""

    title = "Put the managers behind the consoles' balancers"
    group = "balancers"
    after = (CreateTargetGroups, LaunchManagers)

    def run(self, cluster: Cluster) -> bool:
        owner = owner_of(cluster)
        managers = instances.find_managers(cluster.aws, owner)
        ids = [managers[role].id for role in sorted(managers)]
        groups = target_groups.find_target_groups(cluster.aws, owner)
        changed = False
        for spec in listeners(cluster.config):
            if spec.role == "apps":
                continue
            group = groups.get(spec.target_group.label)
            if group is None:
                raise not_found(f"the target group {spec.target_group.label} of {cluster.name}")
            changed |= target_groups.ensure_targets(cluster.aws, group.arn, ids, waits_of(cluster))
        return changed


class AwaitLoadBalancers(Step):
    """Wait for AWS to provision the balancers."""

    title = "Await the load balancers"
    undo_title = "Leave the load balancers"
    group = "balancers"
    after = (CreateListeners,)

    def run(self, cluster: Cluster) -> bool:
        load_balancers.wait_for_active(cluster.aws, owner_of(cluster), BALANCER_ROLES, waits_of(cluster))
        return False


def _close_others(cluster: Cluster, arns: list[str]) -> bool:
    ours = load_balancers.find_owned(cluster.aws, owner_of(cluster), arns)
    for arn in arns:
        if arn in ours:
            load_balancers.delete_listener(cluster.aws, arn)
        else:
            cluster.report.warn(f"a listener that is not dockeree's is left as it is: {arn}")
    return bool(ours)
