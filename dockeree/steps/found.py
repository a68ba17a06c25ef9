"""What a step needs of what earlier steps made: asked of AWS by the cluster's tags, never of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import networking, security_groups
from dockeree.aws.networking import Subnet, Vpc
from dockeree.aws.tags import Owner, not_found
from dockeree.aws.waits import Waits

if TYPE_CHECKING:
    from dockeree.context import Cluster


def owner_of(cluster: Cluster) -> Owner:
    """The cluster as the owner of its resources."""
    return Owner(cluster.name, cluster.id, tuple(sorted(cluster.config.tags.items())))


def waits_of(cluster: Cluster) -> Waits:
    """How this step waits: by the cluster's clock, until Ctrl-C, telling what is awaited."""
    return Waits(cluster.clock, cluster.check_interrupted, cluster.detail)


def vpc_of(cluster: Cluster) -> Vpc:
    """The cluster's VPC. Raises AwsError when it is not there."""
    vpc = networking.find_vpc(cluster.aws, owner_of(cluster))
    if vpc is None:
        raise not_found(f"the VPC of {cluster.name}")
    return vpc


def subnets_of(cluster: Cluster) -> list[Subnet]:
    """The three subnets, in the order of their letters. Raises AwsError when one is not there."""
    subnets = networking.find_subnets(cluster.aws, owner_of(cluster))
    if [subnet.letter for subnet in subnets] != list(networking.LETTERS):
        raise not_found(f"one of the three subnets of {cluster.name}")
    return subnets


def group_ids_of(cluster: Cluster) -> dict[str, str]:
    """The security groups' ids by role. Raises AwsError when one is not there."""
    groups = security_groups.find_groups(cluster.aws, owner_of(cluster))
    missing = [role for role in ("managers", "workers", "ucp", "dtr", "apps") if role not in groups]
    if missing:
        raise not_found(f"the security group {', '.join(missing)} of {cluster.name}")
    return groups
