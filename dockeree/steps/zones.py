"""The three availability zones of a cluster, decided once: a, b and c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws import networking, zones
from dockeree.errors import AwsError
from dockeree.steps.found import owner_of

if TYPE_CHECKING:
    from dockeree.context import Cluster

ZONES = 3
"""Three managers keep their quorum when one zone is lost; with two zones they do not."""


def choose_zones(cluster: Cluster) -> tuple[str, ...]:
    """The zones of the cluster's subnets where there are any, then the configured ones, then the first that do.

    Raises AwsError when the region has fewer than three zones that offer both instance types.
    """
    chosen: dict[str, str] = {}
    if cluster.id:
        chosen = {subnet.letter: subnet.zone for subnet in networking.find_subnets(cluster.aws, owner_of(cluster))}
    if len(chosen) == ZONES:
        return tuple(chosen[letter] for letter in networking.LETTERS)
    usable = usable_zones(cluster)
    wanted = cluster.config.availability_zones or tuple(usable)
    if unusable := [zone for zone in wanted if zone not in usable]:
        raise AwsError(_unusable(cluster, unusable), f"Zones that offer both: {', '.join(usable) or 'none'}.")
    free = [zone for zone in wanted if zone not in chosen.values()]
    if len(free) + len(chosen) < ZONES:
        raise AwsError(
            f"{cluster.aws.region} has {len(usable)} availability zones that offer both "
            f"{cluster.config.managers.instance_type} and {cluster.config.workers.instance_type} "
            f"({', '.join(usable) or 'none'}); a cluster needs {ZONES}",
            "Choose another region, or other instance types.",
        )
    return tuple(chosen.get(letter) or free.pop(0) for letter in networking.LETTERS)


def usable_zones(cluster: Cluster) -> list[str]:
    """The region's ordinary, opted-in zones that offer both the managers' and the workers' instance type."""
    types = {cluster.config.managers.instance_type, cluster.config.workers.instance_type}
    offerings = zones.find_offerings(cluster.aws, types)
    return [zone for zone in zones.find_zones(cluster.aws) if all(zone in offerings[name] for name in types)]


def _unusable(cluster: Cluster, unusable: list[str]) -> str:
    return (
        f"availability_zones: {', '.join(unusable)} cannot hold {cluster.config.managers.instance_type} and "
        f"{cluster.config.workers.instance_type} in {cluster.aws.region}"
    )
