"""A batch of record changes in a hosted zone: all of it, or nothing (InvalidChangeBatch)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.route53.exceptions import InvalidActionValue, Route53ClientError
from moto.route53.models import RecordSet

FindBalancer = Callable[[str], Any | None]


def apply(zone: Any, changes: list[dict[str, Any]], find_balancer: FindBalancer) -> list[Any]:
    """The zone's records after `changes`. The zone itself is left as it is.

    Raises InvalidChangeBatch where any of the changes cannot be made.
    """
    records = list(zone.rrsets)
    for change in changes:
        wanted = change["ResourceRecordSet"]
        record = _record(zone, wanted, find_balancer)
        existing = next((other for other in records if _key(other) == _key(record)), None)
        if change["Action"] == "CREATE":
            if existing is not None:
                raise _invalid(
                    f"Tried to create resource record set [name='{record.name}', type='{record.type}'] "
                    "but it already exists"
                )
        elif change["Action"] == "DELETE":
            _check_deleted(existing, record)
        elif change["Action"] != "UPSERT":
            raise InvalidActionValue(change["Action"])
        records = [other for other in records if other is not existing]
        if change["Action"] != "DELETE":
            _check_alone(records, record)
            records.append(record)
    return records


def _invalid(message: str) -> Route53ClientError:
    return Route53ClientError("InvalidChangeBatch", f"[{message}]")


def _key(record: Any) -> tuple[str, str, str | None]:
    return record.name, record.type, record.set_identifier


def _record(zone: Any, wanted: dict[str, Any], find_balancer: FindBalancer) -> Any:
    name = wanted["Name"].lower()
    name = name if name.endswith(".") else f"{name}."
    if name != zone.name and not name.endswith(f".{zone.name}"):
        raise _invalid(f"RRSet with DNS name {name} is not permitted in zone {zone.name}")
    if wanted["Type"] == "CNAME" and name == zone.name:
        raise _invalid(f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone.name}")
    alias, values = wanted.get("AliasTarget"), wanted.get("ResourceRecords")
    if bool(alias) == bool(values) or bool(alias) == ("TTL" in wanted):
        raise _invalid(
            "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], "
            f"but found another in Change with [Name={name}, Type={wanted['Type']}]"
        )
    if alias:
        _check_alias(alias, find_balancer)
    texts = [value["Value"] for value in values or []]
    if wanted["Type"] == "A":
        for text in texts:
            _check_address(text)
    return RecordSet({**wanted, "Name": name, "ResourceRecords": texts})


def _check_alias(alias: dict[str, Any], find_balancer: FindBalancer) -> None:
    balancer = find_balancer(alias["DNSName"])
    in_zone = balancer is not None and balancer.canonical_hosted_zone_id == alias["HostedZoneId"]
    if ".elb." in alias["DNSName"] and not in_zone:
        raise _invalid(
            f"Tried to create an alias that targets {alias['DNSName']}, type A in zone {alias['HostedZoneId']}, "
            "but the alias target name does not lie within the target zone"
        )


def _check_address(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError as error:
        raise _invalid(
            f"Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address' encountered with '{text}'"
        ) from error


def _check_deleted(existing: Any, record: Any) -> None:
    described = f"[name='{record.name}', type='{record.type}']"
    if existing is None:
        raise _invalid(f"Tried to delete resource record set {described} but it was not found")
    if record.type in ("NS", "SOA") and record.name.count(".") == existing.name.count(".") and existing.type == "SOA":
        raise _invalid(f"A HostedZone must contain exactly one SOA record: {described}")
    same = (
        sorted(existing.records or []) == sorted(record.records or [])
        and str(existing.ttl) == str(record.ttl)
        and (existing.alias_target or None) == (record.alias_target or None)
    )
    if not same:
        raise _invalid(
            f"Tried to delete resource record set {described} but the values provided do not match the current values"
        )


def _check_alone(records: list[Any], record: Any) -> None:
    """A name with a CNAME has no other record."""
    at_name = [other for other in records if other.name == record.name and other.type != record.type]
    if at_name and (record.type == "CNAME" or any(other.type == "CNAME" for other in at_name)):
        raise _invalid(
            f"RRSet of type {record.type} with DNS name {record.name} is not permitted because a conflicting RRSet of "
            "type CNAME with the same DNS name already exists"
        )
