"""What managers and workers are launched with, from the configuration and what earlier steps decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import parameters, roles
from dockeree.aws.instances import LaunchSpec
from dockeree.aws.tags import not_found
from dockeree.node import boot
from dockeree.steps.found import group_ids_of, owner_of
from dockeree.steps.images import IMAGE_DECISION, ROOT_DEVICE_DECISION

if TYPE_CHECKING:
    from dockeree.context import Cluster

MANAGER_HOP_LIMIT = 2
"""Containers on a bridge network are one hop further away: on managers some use the instance's role."""
WORKER_HOP_LIMIT = 1
"""No container on a worker may ask for the worker's credentials."""


def manager_spec(cluster: Cluster) -> LaunchSpec:
    """What each of the three managers is launched with."""
    size = cluster.config.managers
    return _spec(cluster, "manager", size.instance_type, size.volume_gib, MANAGER_HOP_LIMIT)


def worker_spec(cluster: Cluster) -> LaunchSpec:
    """What the workers' launch template holds."""
    size = cluster.config.workers
    return _spec(cluster, "worker", size.instance_type, size.volume_gib, WORKER_HOP_LIMIT)


def _spec(
    cluster: Cluster, node_role: roles.NodeRole, instance_type: str, volume_gib: int, hop_limit: int
) -> LaunchSpec:
    owner = owner_of(cluster)
    image_id = cluster.state.decision(IMAGE_DECISION)
    root_device = cluster.state.decision(ROOT_DEVICE_DECISION)
    if not image_id or not root_device:
        raise not_found(f"the decision on the image of {cluster.name}")
    return LaunchSpec(
        image_id=image_id,
        root_device=root_device,
        instance_type=instance_type,
        volume_gib=volume_gib,
        key_name=owner.fixed_name,
        group_ids=(group_ids_of(cluster)[f"{node_role}s"],),
        profile_name=roles.role_name(owner, node_role),
        user_data=boot.user_data(
            role=node_role,
            cluster_name=cluster.name,
            cluster_id=cluster.id,
            region=cluster.aws.region,
            engine=cluster.config.engine,
            join_parameter=parameters.worker_join_name(cluster.name),
            trust_parameter=parameters.registry_trust_name(cluster.name, "worker") if cluster.config.has_dtr else "",
        ),
        hop_limit=hop_limit,
    )
