"""Pages of Describe calls, and zones that a tool must not take."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(call: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def groups(ec2: Any) -> list[str]:
    vpc = ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_security_group(GroupName=f"group-{number}", Description="one of many", VpcId=vpc)["GroupId"]
        for number in range(12)
    ]


def test_pages_hold_what_was_asked(ec2: Any, groups: list[str]) -> None:
    request: dict[str, Any] = {"Filters": [{"Name": "group-name", "Values": ["group-*"]}], "MaxResults": 5}
    sizes, seen = [], []
    while True:
        page = ec2.describe_security_groups(**request)
        sizes.append(len(page["SecurityGroups"]))
        seen += [group["GroupId"] for group in page["SecurityGroups"]]
        if not page.get("NextToken"):
            break
        request["NextToken"] = page["NextToken"]
    assert sizes == [5, 5, 2]
    assert sorted(seen) == sorted(groups)


def test_the_sdks_paginator_sees_everything(ec2: Any, groups: list[str]) -> None:
    pages = ec2.get_paginator("describe_security_groups").paginate(PaginationConfig={"PageSize": 5})
    assert {group["GroupId"] for page in pages for group in page["SecurityGroups"]} >= set(groups)


@pytest.mark.parametrize(
    "operation", ["describe_instances", "describe_vpcs", "describe_security_groups", "describe_subnets"]
)
@pytest.mark.parametrize("limit", [1, 4, 1001])
def test_limits_of_max_results(ec2: Any, operation: str, limit: int) -> None:
    assert refusal(lambda: getattr(ec2, operation)(MaxResults=limit)) == "InvalidParameterValue"


def test_a_token_of_nobodys(ec2: Any) -> None:
    assert refusal(lambda: ec2.describe_vpcs(NextToken="made-up")) == "InvalidNextToken"


def test_pages_of_instances_count_instances(ec2: Any) -> None:
    image = ec2.describe_images()["Images"][0]["ImageId"]
    launched = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=8, MaxCount=8)["Instances"]
    first = ec2.describe_instances(MaxResults=5)
    second = ec2.describe_instances(MaxResults=5, NextToken=first["NextToken"])
    seen = [
        one["InstanceId"] for page in (first, second) for entry in page["Reservations"] for one in entry["Instances"]
    ]
    assert [sum(len(entry["Instances"]) for entry in page["Reservations"]) for page in (first, second)] == [5, 3]
    assert sorted(seen) == sorted(one["InstanceId"] for one in launched)
    assert refusal(lambda: ec2.describe_instances(InstanceIds=seen, MaxResults=5)) == "InvalidParameterCombination"


def test_local_zones_that_are_opted_in_are_listed(ec2: Any) -> None:
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    kinds = {(zone["ZoneType"], zone["OptInStatus"]) for zone in zones}
    assert kinds == {("availability-zone", "opt-in-not-required"), ("local-zone", "opted-in")}


def test_zones_that_are_not_opted_in_are_listed_on_demand(ec2: Any) -> None:
    zones = ec2.describe_availability_zones(AllAvailabilityZones=True)["AvailabilityZones"]
    assert ("wavelength-zone", "not-opted-in") in {(zone["ZoneType"], zone["OptInStatus"]) for zone in zones}


def test_zones_are_filtered(ec2: Any) -> None:
    filters = [
        {"Name": "zone-type", "Values": ["availability-zone"]},
        {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
    ]
    zones = ec2.describe_availability_zones(Filters=filters, AllAvailabilityZones=True)["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == [f"us-east-1{letter}" for letter in "abcdef"]
    assert zones[0]["RegionName"] == "us-east-1"


def test_a_region_with_two_zones(api: Any) -> None:
    filters = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    zones = api.client("ec2", region="us-west-1").describe_availability_zones(Filters=filters)["AvailabilityZones"]
    assert len(zones) == 2
