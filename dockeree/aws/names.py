"""Route 53: private zones that the nodes see, and records in a public zone of the operator's.

Route 53 tags nothing in the creating call: a zone's comment says whose it is from the first moment, tags come after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

ZONE_ROLE = "private-zone"
TTL_SECONDS = 60


@dataclass(frozen=True)
class Zone:
    """A hosted zone: its id (without `/hostedzone/`) and its name (without the last dot)."""

    id: str
    name: str


@dataclass(frozen=True)
class Record:
    """A record: A records with addresses in `values`, or an alias to a balancer (`values` is then its name alone)."""

    name: str
    type: str
    values: tuple[str, ...]
    alias_zone_id: str | None = None


def comment(owner: Owner) -> str:
    """What tells the cluster's zones from all others."""
    return f"dockeree cluster {owner.cluster} {owner.id}"


def find_zones(aws: Aws, owner: Owner) -> list[Zone]:
    """The cluster's private zones."""
    pages = aws.route53.get_paginator("list_hosted_zones").paginate()
    return sorted(
        (
            Zone(_bare_id(zone["Id"]), _bare(zone["Name"]))
            for page in pages
            for zone in page["HostedZones"]
            if zone.get("Config", {}).get("Comment") == comment(owner)
        ),
        key=lambda zone: zone.name,
    )


def find_public_zone(aws: Aws, zone_id: str) -> Zone | None:
    """A public hosted zone of the account, None when there is none of this id."""
    try:
        answer = aws.route53.get_hosted_zone(Id=zone_id)["HostedZone"]
    except AwsError as error:
        if is_not_found(error):
            return None
        raise
    is_private = answer.get("Config", {}).get("PrivateZone", False)
    return None if is_private else Zone(_bare_id(answer["Id"]), _bare(answer["Name"]))


def create_zone(aws: Aws, owner: Owner, name: str, *, vpc_id: str, token: str) -> Zone:
    """Create a private zone seen from the VPC. `token` is the caller reference: the same never makes two zones."""
    answer = aws.route53.create_hosted_zone(
        Name=name,
        VPC={"VPCRegion": aws.region, "VPCId": vpc_id},  # type: ignore[typeddict-item]
        CallerReference=token,
        HostedZoneConfig={"Comment": comment(owner), "PrivateZone": True},
    )
    return Zone(_bare_id(answer["HostedZone"]["Id"]), _bare(answer["HostedZone"]["Name"]))


def ensure_zone_tags(aws: Aws, owner: Owner, zone: Zone) -> bool:
    """The cluster's tags on a zone; whether anything was changed."""
    answer = aws.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone.id)
    present = {tag["Key"]: tag.get("Value", "") for tag in answer["ResourceTagSet"]["Tags"]}
    if owner.owns(present):
        return False
    aws.route53.change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=zone.id, AddTags=owner.tag_list(ZONE_ROLE)
    )
    return True


def find_records(aws: Aws, zone_id: str) -> list[Record]:
    """The records of a zone, without its own NS and SOA."""
    pages = aws.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    return [
        _record(answer)
        for page in pages
        for answer in page["ResourceRecordSets"]
        if answer["Type"] not in {"NS", "SOA"}
    ]


def ensure_records(aws: Aws, zone_id: str, wanted: Sequence[Record]) -> bool:
    """These records in the zone, in one change; whether anything was changed. Other records are left alone."""
    present = set(find_records(aws, zone_id))
    missing = [record for record in wanted if record not in present]
    if missing:
        _change(aws, zone_id, "UPSERT", missing)
    return bool(missing)


def delete_records(aws: Aws, zone_id: str, records: Sequence[Record]) -> None:
    """Delete records just found in the zone."""
    if records:
        _change(aws, zone_id, "DELETE", records)


def delete_zones(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Delete the cluster's private zones with their records; True when there was any."""
    zones = find_zones(aws, owner)
    for zone in zones:

        def delete(zone: Zone = zone) -> None:
            try:
                _delete_everything_in(aws, zone.id)
                aws.route53.delete_hosted_zone(Id=zone.id)
            except AwsError as error:
                if not is_not_found(error):
                    raise

        waits.retry(
            delete,
            lambda error: error.code in {"PriorRequestNotComplete", "HostedZoneNotEmpty", "InvalidChangeBatch"},
            awaited=f"deleting the zone {zone.name}",
            timeout_seconds=120.0,
        )
    return bool(zones)


def _delete_everything_in(aws: Aws, zone_id: str) -> None:
    """Delete every record as it stands, also one that somebody else made: a zone must be empty to be deleted."""
    pages = aws.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    record_sets = [item for page in pages for item in page["ResourceRecordSets"] if item["Type"] not in {"NS", "SOA"}]
    changes: list[Any] = [{"Action": "DELETE", "ResourceRecordSet": item} for item in record_sets]
    if changes:
        aws.route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})


def _change(aws: Aws, zone_id: str, action: str, records: Sequence[Record]) -> None:
    changes: list[Any] = [{"Action": action, "ResourceRecordSet": _record_set(record)} for record in records]
    aws.route53.change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch={"Comment": "dockeree", "Changes": changes}
    )


def _record_set(record: Record) -> dict[str, Any]:
    if record.alias_zone_id:
        target = {
            "HostedZoneId": record.alias_zone_id,
            "DNSName": record.values[0],
            "EvaluateTargetHealth": False,
        }
        return {"Name": record.name, "Type": record.type, "AliasTarget": target}
    values = [{"Value": value} for value in record.values]
    return {"Name": record.name, "Type": record.type, "TTL": TTL_SECONDS, "ResourceRecords": values}


def _record(answer: Any) -> Record:
    if "AliasTarget" in answer:
        target = answer["AliasTarget"]
        return Record(_bare(answer["Name"]), answer["Type"], (_bare(target["DNSName"]),), target["HostedZoneId"])
    values = tuple(sorted(item["Value"] for item in answer.get("ResourceRecords", ())))
    return Record(_bare(answer["Name"]), answer["Type"], values)


def _bare(name: str) -> str:
    return name.rstrip(".").lower()


def _bare_id(zone_id: str) -> str:
    return zone_id.rsplit("/", 1)[-1]
