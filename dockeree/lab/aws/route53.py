"""Route 53: zones and records as AWS keeps them, and the names that a private zone gives to its VPCs."""

from __future__ import annotations

import secrets
import time
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.route53.exceptions import InvalidInput, Route53ClientError
from moto.route53.models import FakeZone, Route53Backend, reverse_domain_name, route53_backends
from moto.route53.responses import Route53

from dockeree.lab.aws import record_changes
from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import PrivateName

INSYNC_SECONDS = 30.0
"""From a change to INSYNC (AWS: under a minute)."""


class Changes:
    """The changes so far, and when each is everywhere."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._done_at: dict[str, float] = {}
        self._submitted: dict[str, Any] = {}

    def submit(self) -> dict[str, Any]:
        """A new change, PENDING, as ChangeInfo."""
        change_id = f"C{secrets.token_hex(10).upper()}"
        self._done_at[change_id] = time.monotonic() + self._lab.scaled(INSYNC_SECONDS)
        self._submitted[change_id] = utcnow()
        return self.describe(change_id, pending=True)

    def describe(self, change_id: str, pending: bool = False) -> dict[str, Any]:
        """ChangeInfo of a change. Raises NoSuchChange."""
        change_id = change_id.rpartition("/")[2]
        if change_id not in self._done_at:
            raise Route53ClientError("NoSuchChange", f"Could not find resource with ID: {change_id}")
        in_sync = not pending and time.monotonic() >= self._done_at[change_id]
        return {
            "Id": f"/change/{change_id}",
            "Status": "INSYNC" if in_sync else "PENDING",
            "SubmittedAt": self._submitted[change_id],
        }


def _check_new_zone(backend: Any, name: str, caller_reference: str, vpc_id: str | None, region: str | None) -> None:
    for zone in backend.zones.values():
        if zone.caller_reference == caller_reference:
            raise Route53ClientError(
                "HostedZoneAlreadyExists",
                f"A hosted zone has already been created with the specified caller reference: {caller_reference}",
            )
    if vpc_id is not None:
        _check_vpc(backend, name, vpc_id, region)


def _check_vpc(backend: Any, name: str, vpc_id: str, region: str | None) -> None:
    if not region or vpc_id not in ec2_backends[ACCOUNT_ID][region].vpcs:
        raise Route53ClientError(
            "InvalidVPCId", f"The VPC: {vpc_id} in region {region} that you provided does not exist"
        )
    if any(zone.name == name and any(vpc["vpc_id"] == vpc_id for vpc in zone.vpcs) for zone in backend.zones.values()):
        raise Route53ClientError(
            "ConflictingDomainExists",
            f"The VPC {vpc_id} in region {region} has already been associated with another hosted zone of this name",
        )


def _install_zones(lab: Lab) -> None:
    @lab.extend(Route53Backend, "create_hosted_zone")
    def create_hosted_zone(original: Any, backend: Any, name: str, private_zone: bool, **more: Any) -> Any:
        name = name.lower()
        if private_zone and not more.get("vpcid"):
            raise InvalidInput("When you're creating a private hosted zone, you must specify a VPC")
        with lab.lock:
            _check_new_zone(backend, name, more["caller_reference"], more.get("vpcid"), more.get("vpcregion"))
            zone = original(backend, name, private_zone=private_zone, **more)
        lab.changed()
        return zone

    @lab.extend(Route53Backend, "associate_vpc_with_hosted_zone")
    def associate(original: Any, backend: Any, zone_id: str, vpcid: str, vpcregion: str) -> Any:
        _check_vpc(backend, backend.get_hosted_zone(zone_id).name, vpcid, vpcregion)
        zone = original(backend, zone_id, vpcid, vpcregion)
        lab.changed()
        return zone

    @lab.extend(Route53Backend, "disassociate_vpc_from_hosted_zone")
    def disassociate(original: Any, backend: Any, zone_id: str, vpcid: str) -> Any:
        zone = original(backend, zone_id, vpcid)
        lab.changed()
        return zone

    @lab.extend(Route53Backend, "delete_hosted_zone")
    def delete_hosted_zone(original: Any, backend: Any, id_: str) -> Any:
        zone = original(backend, id_)
        backend.resource_tags.pop(zone.resource_id, None)
        lab.changed()
        return zone

    @lab.extend(Route53Backend, "change_resource_record_sets")
    def change_resource_record_sets(_original: Any, backend: Any, zoneid: str, change_list: Any) -> None:
        with lab.lock:
            zone = backend.get_hosted_zone(zoneid)
            zone.rrsets = record_changes.apply(zone, change_list, balancer_of)
        lab.changed()


def _install_answers(lab: Lab) -> None:
    def with_change(name: str) -> None:
        @lab.extend(Route53, name)
        def answer(original: Any, response: Any) -> ActionResult:
            result = original(response)
            comment = result.result["ChangeInfo"].get("Comment")
            result.result["ChangeInfo"] = {**lab.part(Changes).submit(), "Comment": comment}
            return result

    @lab.extend(Route53, "create_hosted_zone")
    def create_hosted_zone(original: Any, response: Any) -> ActionResult:
        if response._get_param("VPC.VPCId"):
            # On AWS the VPC alone makes a zone private.
            response.params.setdefault("HostedZoneConfig", {})["PrivateZone"] = True
        return original(response)

    for name in (
        "create_hosted_zone",
        "delete_hosted_zone",
        "associate_vpc_with_hosted_zone",
        "disassociate_vpc_from_hosted_zone",
        "change_resource_record_sets",
    ):
        with_change(name)

    @lab.extend(Route53, "get_change")
    def get_change(_original: Any, response: Any) -> ActionResult:
        return ActionResult({"ChangeInfo": lab.part(Changes).describe(response._get_param("Id"))})

    @lab.extend(Route53, "list_hosted_zones_by_name")
    def list_hosted_zones_by_name(_original: Any, response: Any) -> ActionResult:
        return ActionResult(_zones_by_name(response))


def _zones_by_name(response: Any) -> dict[str, Any]:
    """Zones in the order of their reversed labels, from `DNSName` on: the first may well be another than that one."""
    start = response._get_param("DNSName")
    limit = response._get_int_param("MaxItems", 100)
    zones = sorted(response.backend.zones.values(), key=lambda zone: (reverse_domain_name(zone.name), zone.resource_id))
    if start:
        zones = [zone for zone in zones if reverse_domain_name(zone.name) >= reverse_domain_name(start.lower())]
    following = zones[limit] if len(zones) > limit else None
    return {
        "DNSName": start,
        "HostedZones": zones[:limit],
        "IsTruncated": following is not None,
        "NextDNSName": following.name if following else None,
        "NextHostedZoneId": following.resource_id if following else None,
        "MaxItems": limit,
    }


def install(lab: Lab) -> None:
    """Lay Route 53's behaviours over moto."""
    _install_zones(lab)
    _install_answers(lab)


def balancer_of(dns_name: str) -> Any | None:
    """The load balancer that an alias names (with or without `dualstack.`), None where there is none."""
    wanted = dns_name.lower().rstrip(".").removeprefix("dualstack.")
    balancers = (b for backend in elbv2_backends[ACCOUNT_ID].values() for b in backend.load_balancers.values())
    return next((balancer for balancer in balancers if balancer.dns_name.lower() == wanted), None)


def snapshot_private_names(lab: Lab) -> tuple[PrivateName, ...]:
    """The A and CNAME records of the account's private zones, each with the VPCs that see it.

    An alias to a balancer answers what the balancer's own name does: public addresses where it faces the Internet.
    """
    with lab.lock:
        zones = [zone for zone in route53_backends[ACCOUNT_ID]["aws"].zones.values() if zone.private_zone]
        return tuple(name for zone in zones for name in _names(zone))


def _names(zone: FakeZone) -> list[PrivateName]:
    vpc_ids = tuple(vpc["vpc_id"] for vpc in zone.vpcs)
    names = []
    for record in zone.rrsets:
        if record.type not in ("A", "CNAME"):
            continue
        values = _alias_values(record.alias_target["DNSName"]) if record.alias_target else tuple(record.records)
        if values:
            names.append(
                PrivateName(vpc_ids, record.name.rstrip("."), record.type, tuple(v.rstrip(".") for v in values))
            )
    return names


def _alias_values(dns_name: str) -> tuple[str, ...]:
    balancer = balancer_of(dns_name)
    if balancer is None:
        return ()
    return tuple(interface.public_ip or interface.private_ip_address for interface in balancer.interfaces)
