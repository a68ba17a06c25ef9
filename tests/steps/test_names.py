"""Names: what nodes and people find the consoles by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import load_balancers
from dockeree.config import Dns
from dockeree.context import Cluster
from dockeree.steps.found import owner_of
from dockeree.steps.runner import run_steps, undo_steps
from dockeree.workflows.up import CLOUD, summarize, up


def records(cloud: Cloud, zone_id: str) -> dict[str, Any]:
    answer = cloud.api.client("route53").list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    return {item["Name"].rstrip("."): item for item in answer if item["Type"] not in {"NS", "SOA"}}


def zones(cloud: Cloud) -> dict[str, str]:
    answer = cloud.api.client("route53").list_hosted_zones()["HostedZones"]
    return {zone["Name"].rstrip("."): zone["Id"].rsplit("/", 1)[-1] for zone in answer}


def values(record: Any) -> set[str]:
    return {item["Value"] for item in record["ResourceRecords"]}


def test_nodes_find_the_consoles_at_private_addresses(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, CLOUD)
    found = records(cloud, zones(cloud)["demo.dockeree.internal"])
    assert sorted(found) == ["dtr.demo.dockeree.internal", "ucp.demo.dockeree.internal"]
    balancers = load_balancers.find_balancers(cluster.aws, owner_of(cluster))
    for role in ("ucp", "dtr"):
        addresses = values(found[f"{role}.demo.dockeree.internal"])
        assert addresses == set(load_balancers.private_addresses(cluster.aws, balancers[role]))
        assert len(addresses) == 3
        assert all(address.startswith("10.32.") for address in addresses)


def test_own_domains_are_private_zones_and_records_to_make(cloud: Cloud) -> None:
    config: dict[str, Any] = {"ucp": {"domain": "ucp.example.com"}, "dtr": {"domain": "dtr.example.com"}}
    summary = up(cloud.cluster(**config), CLOUD)
    assert set(zones(cloud)) == {"demo.dockeree.internal", "ucp.example.com", "dtr.example.com"}
    assert sorted(records(cloud, zones(cloud)["ucp.example.com"])) == ["ucp.example.com"]
    assert summary.urls["ucp"] == "https://ucp.example.com"
    assert [text.split()[:2] for text in summary.records_to_make] == [
        ["ucp.example.com.", "CNAME"],
        ["dtr.example.com.", "CNAME"],
    ]
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(**config), CLOUD))) == []


@pytest.fixture
def public_zone(cloud: Cloud) -> str:
    answer = cloud.api.client("route53").create_hosted_zone(Name="example.com", CallerReference="of the operator")
    zone_id = str(answer["HostedZone"]["Id"].rsplit("/", 1)[-1])
    record = {
        "Name": "www.example.com",
        "Type": "A",
        "TTL": 300,
        "ResourceRecords": [{"Value": "203.0.113.80"}],
    }
    cloud.api.client("route53").change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    return zone_id


def with_public_zone(cloud: Cloud, zone_id: str) -> Cluster:
    """A cluster whose `dns.hosted_zone_id` is the lab's, whose ids need not begin with a Z as AWS's do."""
    cluster = cloud.cluster(ucp={"domain": "ucp.example.com"})
    dns = Dns.model_construct(hosted_zone_id=zone_id)
    return replace(cluster, config=cluster.config.model_copy(update={"dns": dns}))


def test_public_records_are_made_and_taken_back_and_others_left(cloud: Cloud, public_zone: str) -> None:
    cluster = with_public_zone(cloud, public_zone)
    result = run_steps(cluster, CLOUD)
    assert summarize(cluster, result).records_to_make == ()
    found = records(cloud, public_zone)
    assert sorted(found) == ["ucp.example.com", "www.example.com"]
    balancer = load_balancers.find_balancers(cluster.aws, owner_of(cluster))["ucp"]
    target = found["ucp.example.com"]["AliasTarget"]
    assert target["DNSName"].rstrip(".").lower() == balancer.dns_name.lower()
    assert target["HostedZoneId"] == balancer.zone_id
    assert changing(cloud.calls(lambda: run_steps(with_public_zone(cloud, public_zone), CLOUD))) == []
    undo_steps(cluster, CLOUD)
    assert sorted(records(cloud, public_zone)) == ["www.example.com"]
    assert set(zones(cloud)) == {"example.com"}


def test_a_zone_deleted_by_hand_is_made_anew(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, CLOUD)
    zone_id = zones(cloud)["demo.dockeree.internal"]
    route53 = cloud.api.client("route53")
    changes = [{"Action": "DELETE", "ResourceRecordSet": record} for record in records(cloud, zone_id).values()]
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})
    route53.delete_hosted_zone(Id=zone_id)
    run_steps(cloud.cluster(), CLOUD)
    assert len(records(cloud, zones(cloud)["demo.dockeree.internal"])) == 2
