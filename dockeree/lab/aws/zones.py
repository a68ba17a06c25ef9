"""Zones beside the region's availability zones: a tool that does not look at their type or opt-in meets them here.

DescribeAvailabilityZones lists local zones that the account has opted in to; with `AllAvailabilityZones` it lists those
that it has not, too. Here each region has one of both kinds; neither offers instance types of everyday use.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.availability_zones_and_regions import AvailabilityZonesAndRegions

from dockeree.lab.aws.core import Lab

_KINDS = (
    # suffix, id suffix, type, opt-in status
    ("lab-1a", "lab1-az1", "local-zone", "opted-in"),
    ("wl1-lab-wlz-1", "wl1-lab-wlz1", "wavelength-zone", "not-opted-in"),
    ("lab-2a", "lab2-az1", "local-zone", "not-opted-in"),
)


def install(lab: Lab) -> None:
    """Answer DescribeAvailabilityZones with the other kinds of zones too."""

    @lab.extend(AvailabilityZonesAndRegions, "describe_availability_zones")
    def describe(_original: Any, response: Any) -> ActionResult:
        backend, filters = response.ec2_backend, response._filters_from_querystring()
        everything = response._get_param("AllAvailabilityZones", False)
        names, ids = response._get_param("ZoneNames", []), response._get_param("ZoneIds", [])
        zones = [_zone(zone, backend) for zone in backend.describe_availability_zones()]
        zones += [_other(backend, *kind) for kind in _KINDS if everything or kind[3] == "opted-in"]
        for name in names:
            if all(zone.zone_name != name for zone in zones):
                raise EC2ClientError("InvalidParameterValue", f"Invalid availability zone: [{name}]")
        chosen = [
            zone
            for zone in zones
            if _passes(filters, zone) and (not names or zone.zone_name in names) and (not ids or zone.zone_id in ids)
        ]
        return ActionResult({"AvailabilityZones": chosen})


def _zone(zone: Any, backend: Any) -> Any:
    return SimpleNamespace(
        zone_name=zone.name,
        zone_id=zone.zone_id,
        zone_type="availability-zone",
        state="available",
        opt_in_status="opt-in-not-required",
        region_name=backend.region_name,
        group_name=f"{backend.region_name}-zg-1",
        network_border_group=backend.region_name,
        messages=[],
    )


def _other(backend: Any, suffix: str, id_suffix: str, kind: str, opted_in: str) -> Any:
    group = f"{backend.region_name}-{suffix[:-1].rstrip('-')}"
    parent = backend.describe_availability_zones()[0]
    return SimpleNamespace(
        zone_name=f"{backend.region_name}-{suffix}",
        zone_id=f"{parent.zone_id.partition('-')[0]}-{id_suffix}",
        zone_type=kind,
        state="available",
        opt_in_status=opted_in,
        region_name=backend.region_name,
        group_name=group,
        network_border_group=group,
        parent_zone_name=parent.name,
        parent_zone_id=parent.zone_id,
        messages=[],
    )


def _passes(filters: dict[str, Any], zone: Any) -> bool:
    attributes = {
        "zone-name": zone.zone_name,
        "zone-id": zone.zone_id,
        "zone-type": zone.zone_type,
        "state": zone.state,
        "opt-in-status": zone.opt_in_status,
        "region-name": zone.region_name,
        "group-name": zone.group_name,
        "message": "",
    }
    for name, values in filters.items():
        if name not in attributes:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
        if attributes[name] not in values:
            return False
    return True
