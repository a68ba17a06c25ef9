"""Availability zones: those that can hold a cluster."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dockeree.aws.tags import filters

if TYPE_CHECKING:
    from dockeree.aws.session import Aws


def find_zones(aws: Aws) -> list[str]:
    """The region's zones of type `availability-zone` that are available and opted in (no local or wavelength ones)."""
    answer = aws.ec2.describe_availability_zones(
        Filters=filters(
            {
                "zone-type": "availability-zone",
                "state": "available",
                "opt-in-status": ["opt-in-not-required", "opted-in"],
            }
        )
    )
    return sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"])


def find_offerings(aws: Aws, instance_types: Collection[str]) -> dict[str, set[str]]:
    """In which zones each instance type is offered; a type that the region does not have is in none."""
    pages = aws.ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=filters({"instance-type": sorted(set(instance_types))})
    )
    offerings: dict[str, set[str]] = {instance_type: set() for instance_type in instance_types}
    for page in pages:
        for offering in page["InstanceTypeOfferings"]:
            offerings[str(offering["InstanceType"])].add(offering["Location"])
    return offerings
