"""Route 53: private zones, atomic batches, changes that take their time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dockeree.lab.aws.route53 import snapshot_private_names
from dockeree.lab.world import PrivateName


@pytest.fixture
def route53(api: Any) -> Any:
    return api.client("route53")


@pytest.fixture
def private_zone(route53: Any, site: Any) -> str:
    """The id of `demo.dockeree.internal`, associated with the site's VPC."""
    return str(
        route53.create_hosted_zone(
            Name="demo.dockeree.internal",
            CallerReference="first",
            VPC={"VPCRegion": "us-east-1", "VPCId": site.vpc_id},
            HostedZoneConfig={"Comment": "of the cluster demo", "PrivateZone": True},
        )["HostedZone"]["Id"]
    )


@pytest.fixture
def change(route53: Any) -> Callable[..., dict[str, Any]]:
    def change(zone_id: str, *changes: dict[str, Any]) -> dict[str, Any]:
        batch = {"Changes": list(changes)}
        return dict(route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)["ChangeInfo"])

    return change


def record(action: str, name: str, *values: str, kind: str = "A", ttl: int = 60) -> dict[str, Any]:
    records = [{"Value": value} for value in values]
    return {
        "Action": action,
        "ResourceRecordSet": {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": records},
    }


def alias(action: str, name: str, balancer: dict[str, Any]) -> dict[str, Any]:
    target = {
        "DNSName": balancer["DNSName"],
        "HostedZoneId": balancer["CanonicalHostedZoneId"],
        "EvaluateTargetHealth": False,
    }
    return {"Action": action, "ResourceRecordSet": {"Name": name, "Type": "A", "AliasTarget": target}}


def _records(route53: Any, zone_id: str) -> dict[tuple[str, str], list[str]]:
    listed = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    return {
        (entry["Name"], entry["Type"]): [value["Value"] for value in entry.get("ResourceRecords", [])]
        for entry in listed
        if entry["Type"] not in ("NS", "SOA")
    }


def test_names_of_a_private_zone_are_its_vpcs_alone(api, site, private_zone, change):
    change(private_zone, record("CREATE", "ucp.demo.dockeree.internal", "10.32.0.9", "10.32.1.9"))
    change(private_zone, record("CREATE", "DTR.demo.dockeree.internal.", "ucp.demo.dockeree.internal.", kind="CNAME"))
    assert snapshot_private_names(api.lab) == (
        PrivateName((site.vpc_id,), "ucp.demo.dockeree.internal", "A", ("10.32.0.9", "10.32.1.9")),
        PrivateName((site.vpc_id,), "dtr.demo.dockeree.internal", "CNAME", ("ucp.demo.dockeree.internal",)),
    )


def test_public_zones_are_no_private_names(api, route53, change):
    zone_id = route53.create_hosted_zone(Name="example.com", CallerReference="public")["HostedZone"]["Id"]
    change(zone_id, record("CREATE", "ucp.example.com", "198.51.100.7"))
    assert _records(route53, zone_id) == {("ucp.example.com.", "A"): ["198.51.100.7"]}
    assert snapshot_private_names(api.lab) == ()


def test_an_alias_answers_what_the_balancer_answers(api, private_zone, change, make_balancer):
    facing, internal = make_balancer("facing"), make_balancer("internal", Scheme="internal")
    change(
        private_zone,
        alias("CREATE", "facing.demo.dockeree.internal", facing),
        alias("CREATE", "internal.demo.dockeree.internal", internal),
    )
    values = {name.name.partition(".")[0]: name.values for name in snapshot_private_names(api.lab)}
    assert all(value.startswith("198.18.") for value in values["facing"])
    assert [value.rpartition(".")[0] for value in values["internal"]] == ["10.32.0", "10.32.1", "10.32.2"]


def test_an_alias_into_the_wrong_zone_is_refused(private_zone, change, make_balancer, refused):
    balancer = {**make_balancer(), "CanonicalHostedZoneId": "Z0000000000000"}
    with refused("InvalidChangeBatch"):
        change(private_zone, alias("CREATE", "apps.demo.dockeree.internal", balancer))


def test_batches_are_atomic(route53, private_zone, change, refused):
    change(private_zone, record("CREATE", "a.demo.dockeree.internal", "10.0.0.1"))
    for bad in (
        record("CREATE", "a.demo.dockeree.internal", "10.0.0.2"),
        record("DELETE", "unknown.demo.dockeree.internal", "10.0.0.1"),
        record("DELETE", "a.demo.dockeree.internal", "10.0.0.9"),
        record("DELETE", "a.demo.dockeree.internal", "10.0.0.1", ttl=61),
        record("CREATE", "a.example.com", "10.0.0.1"),
        record("CREATE", "c.demo.dockeree.internal", "no-address"),
        record("CREATE", "demo.dockeree.internal", "a.demo.dockeree.internal", kind="CNAME"),
        record("CREATE", "a.demo.dockeree.internal", "b.demo.dockeree.internal", kind="CNAME"),
    ):
        with refused("InvalidChangeBatch"):
            change(private_zone, record("CREATE", "b.demo.dockeree.internal", "10.0.0.3"), bad)
        assert _records(route53, private_zone) == {("a.demo.dockeree.internal.", "A"): ["10.0.0.1"]}


def test_upsert_and_delete(route53, private_zone, change):
    change(private_zone, record("UPSERT", "a.demo.dockeree.internal", "10.0.0.1"))
    change(private_zone, record("UPSERT", "a.demo.dockeree.internal", "10.0.0.2"))
    assert _records(route53, private_zone) == {("a.demo.dockeree.internal.", "A"): ["10.0.0.2"]}
    change(private_zone, record("DELETE", "a.demo.dockeree.internal", "10.0.0.2"))
    assert _records(route53, private_zone) == {}


@pytest.mark.parametrize("time_scale", [0.01])
def test_changes_are_pending_then_in_sync(route53, private_zone, change, eventually, refused):
    info = change(private_zone, record("CREATE", "a.demo.dockeree.internal", "10.0.0.1"))
    assert info["Status"] == "PENDING"
    assert route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "PENDING"
    eventually(lambda: route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC")
    with refused("NoSuchChange"):
        route53.get_change(Id="/change/C00000000000")


def test_a_zone_with_records_cannot_be_deleted(api, route53, private_zone, change, refused):
    change(private_zone, record("CREATE", "a.demo.dockeree.internal", "10.0.0.1"))
    with refused("HostedZoneNotEmpty"):
        route53.delete_hosted_zone(Id=private_zone)
    change(private_zone, record("DELETE", "a.demo.dockeree.internal", "10.0.0.1"))
    assert route53.delete_hosted_zone(Id=private_zone)["ChangeInfo"]["Status"] == "PENDING"
    with refused("NoSuchHostedZone"):
        route53.get_hosted_zone(Id=private_zone)


def test_caller_reference_makes_one_zone(site, route53, private_zone, refused):
    with refused("HostedZoneAlreadyExists"):
        route53.create_hosted_zone(Name="other.internal", CallerReference="first")


def test_one_private_zone_of_a_name_in_a_vpc(site, route53, private_zone, refused):
    vpc = {"VPCRegion": "us-east-1", "VPCId": site.vpc_id}
    with refused("ConflictingDomainExists"):
        route53.create_hosted_zone(Name="demo.dockeree.internal", CallerReference="second", VPC=vpc)
    with refused("InvalidVPCId"):
        route53.create_hosted_zone(
            Name="other.internal", CallerReference="third", VPC={**vpc, "VPCId": "vpc-0123456789abcdef0"}
        )


def test_the_vpc_makes_a_zone_private(site, route53):
    zone = route53.create_hosted_zone(
        Name="other.internal", CallerReference="other", VPC={"VPCRegion": "us-east-1", "VPCId": site.vpc_id}
    )
    assert zone["HostedZone"]["Config"]["PrivateZone"]
    assert zone["VPC"]["VPCId"] == site.vpc_id


def test_comment_and_tags(route53, private_zone):
    assert route53.get_hosted_zone(Id=private_zone)["HostedZone"]["Config"]["Comment"] == "of the cluster demo"
    bare_id = private_zone.rpartition("/")[2]
    tags = [{"Key": "dockeree:cluster", "Value": "demo"}]
    route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=bare_id, AddTags=tags)
    listed = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=bare_id)
    assert listed["ResourceTagSet"]["Tags"] == tags


def test_zones_by_name_begin_at_the_name(route53):
    for name in ("b.example.com", "a.example.com", "example.org"):
        route53.create_hosted_zone(Name=name, CallerReference=name)
    listed = route53.list_hosted_zones_by_name(DNSName="b.example.com")["HostedZones"]
    assert [zone["Name"] for zone in listed] == ["b.example.com.", "example.org."]
    page = route53.list_hosted_zones_by_name(MaxItems="2")
    assert page["IsTruncated"]
    assert page["NextDNSName"] == "example.org."
