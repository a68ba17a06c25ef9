"""The same request with the same token, sent twice, makes one thing (launches have theirs in test_launching.py)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_a_route_table_is_made_once(ec2: Any) -> None:
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    tables = [ec2.create_route_table(VpcId=vpc_id, ClientToken=token)["RouteTable"] for token in ("a", "a", "b")]
    assert tables[0]["RouteTableId"] == tables[1]["RouteTableId"] != tables[2]["RouteTableId"]
    listed = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]
    assert len(listed) == 3  # two, and the VPC's main one


def test_a_token_is_for_one_request(ec2: Any) -> None:
    vpc_ids = [ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"] for cidr in ("10.8.0.0/16", "10.9.0.0/16")]
    ec2.create_route_table(VpcId=vpc_ids[0], ClientToken="a")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.create_route_table(VpcId=vpc_ids[1], ClientToken="a")
