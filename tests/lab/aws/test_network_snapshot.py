"""What the network is told, and what nodes may ask: the snapshot, its applier, metadata, credentials."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dockeree.lab.aws.applier import Applier
from dockeree.lab.aws.region import LabRegion
from dockeree.lab.world import LabError, Rule, Snapshot

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


@pytest.fixture
def network(ec2: Any) -> dict[str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.32.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)["GroupId"]
    return {"vpc": vpc, "subnet": subnet, "gateway": gateway, "group": group}


def launch(ec2: Any, network: dict[str, str], **asked: Any) -> str:
    request = {
        "ImageId": ec2.describe_images()["Images"][0]["ImageId"],
        "InstanceType": "t3.large",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": network["subnet"],
        "SecurityGroupIds": [network["group"]],
    } | asked
    return str(ec2.run_instances(**request)["Instances"][0]["InstanceId"])


def test_vpcs_that_nobody_uses_are_left_out(api: Any, ec2: Any) -> None:
    ec2.describe_vpcs()
    api.lab.part(Applier).wait_applied()
    assert api.wiring.last == Snapshot()


def test_a_route_to_the_gateway_makes_a_subnet_public(
    api: Any, ec2: Any, network: dict[str, str], eventually: Any
) -> None:
    eventually(lambda: api.wiring.last.subnets)
    assert (api.wiring.last.vpcs[0].cidr, api.wiring.last.vpcs[0].has_internet_gateway) == ("10.32.0.0/16", True)
    assert api.wiring.last.subnets[0].routes_to_internet is False
    table = ec2.create_route_table(VpcId=network["vpc"])["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=network["gateway"])
    ec2.associate_route_table(RouteTableId=table, SubnetId=network["subnet"])
    eventually(lambda: api.wiring.last.subnets[0].routes_to_internet)


def test_rules_of_groups(api: Any, ec2: Any, network: dict[str, str], eventually: Any) -> None:
    ec2.authorize_security_group_ingress(
        GroupId=network["group"],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "198.51.100.7/32"}]},
            {
                "IpProtocol": "udp",
                "FromPort": 4789,
                "ToPort": 4789,
                "UserIdGroupPairs": [{"GroupId": network["group"]}],
            },
        ],
    )

    def rules() -> Any:
        found = [group for group in api.wiring.last.security_groups if group.id == network["group"]]
        return found[0] if found and found[0].ingress else None

    group = eventually(rules)
    assert group.ingress == (
        Rule("tcp", 22, 22, cidrs=("198.51.100.7/32",)),
        Rule("udp", 4789, 4789, group_ids=(network["group"],)),
    )
    assert group.egress == (Rule("-1", None, None, cidrs=("0.0.0.0/0",)),)


def test_private_names_need_the_vpcs_dns_hostnames(api: Any, ec2: Any, network: Any, eventually: Any) -> None:
    route53 = api.client("route53")
    zone = route53.create_hosted_zone(
        Name="demo.dockeree.internal",
        CallerReference="once",
        HostedZoneConfig={"PrivateZone": True},
        VPC={"VPCRegion": "us-east-1", "VPCId": network["vpc"]},
    )["HostedZone"]["Id"]
    record = {"Name": "ucp.demo.dockeree.internal", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.32.0.9"}]}
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    api.lab.part(Applier).wait_applied()
    assert api.wiring.last.private_names == ()
    ec2.modify_vpc_attribute(VpcId=network["vpc"], EnableDnsHostnames={"Value": True})
    (name,) = eventually(lambda: api.wiring.last.private_names)
    assert (name.vpc_ids, name.type, name.values) == ((network["vpc"],), "A", ("10.32.0.9",))


def test_a_key_outlives_its_pair(api: Any, ec2: Any, network: Any) -> None:
    ec2.create_key_pair(KeyName="demo", KeyType="ed25519")
    launch(ec2, network, KeyName="demo")
    ec2.delete_key_pair(KeyName="demo")
    found = LabRegion(api.lab).metadata_by_address(network["vpc"], "10.32.0.4")
    assert found is not None
    assert found.key_name == "demo"
    assert found.authorized_key is not None
    assert found.authorized_key.startswith("ssh-ed25519 ")


def test_instances_are_in_the_network_until_they_are_gone(api: Any, ec2: Any, network: Any, eventually: Any) -> None:
    instance = launch(ec2, network)
    node = eventually(lambda: api.wiring.last.instances and api.wiring.last.instances[0])
    assert (node.instance_id, node.hostname, node.zone, node.running) == (instance, "ip-10-32-0-4", "us-east-1a", True)
    assert (node.interface.private_ip, node.interface.group_ids) == ("10.32.0.4", (network["group"],))
    ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: not api.wiring.last.instances)


def test_a_network_that_cannot_be_made_fails_the_launch(api: Any, ec2: Any, network: Any, eventually: Any) -> None:
    api.lab.part(Applier).wait_applied()

    def broken(snapshot: Snapshot) -> None:
        raise OSError("no more bridges")

    api.wiring.apply = broken
    instance = launch(ec2, network)
    gone = eventually(
        lambda: (
            (found := ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0])["State"][
                "Name"
            ]
            == "terminated"
            and found
        )
    )
    assert "no more bridges" in gone["StateReason"]["Message"]
    with pytest.raises(LabError, match="no more bridges"):
        api.lab.part(Applier).wait_applied()


def make_profile(api: Any) -> None:
    iam = api.client("iam")
    iam.create_role(RoleName="nodes", Path="/dockeree/", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(
        RoleName="nodes",
        PolicyName="own",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "arn:aws:ssm:*:*:parameter/ours/*"}
                ],
            }
        ),
    )
    iam.create_instance_profile(InstanceProfileName="nodes", Path="/dockeree/")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="nodes")


def launched(ec2: Any, network: Any, **asked: Any) -> str | None:
    try:
        return launch(ec2, network, **asked)
    except ClientError:
        return None


def test_metadata_of_an_instance(api: Any, ec2: Any, network: Any, eventually: Any) -> None:
    make_profile(api)
    instance = eventually(
        lambda: launched(
            ec2,
            network,
            IamInstanceProfile={"Name": "nodes"},
            UserData="#!/bin/sh\n",
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "demo"}]}],
        )
    )
    region = LabRegion(api.lab)
    found = region.metadata_by_address(network["vpc"], "10.32.0.4")
    assert found is not None
    assert (found.instance_id, found.region, found.zone, found.account_id) == (
        instance,
        "us-east-1",
        "us-east-1a",
        "123456789012",
    )
    assert (found.hostname, found.subnet_cidr, found.vpc_cidr) == (
        "ip-10-32-0-4.ec2.internal",
        "10.32.0.0/24",
        "10.32.0.0/16",
    )
    assert (found.user_data, found.tokens_required, found.hop_limit, found.enabled) == (b"#!/bin/sh\n", True, 2, True)
    assert (found.security_groups, found.instance_tags) == (("nodes",), {"Name": "demo"})
    assert (found.role_name, found.profile_arn) == (
        "nodes",
        "arn:aws:iam::123456789012:instance-profile/dockeree/nodes",
    )
    assert found.lifecycle_state is None
    assert region.metadata_by_address(network["vpc"], "10.32.0.99") is None
    assert region.metadata_by_address("vpc-0123456789abcdef0", "10.32.0.4") is None


def test_role_credentials_may_do_what_the_role_allows(api: Any, ec2: Any, network: Any, eventually: Any) -> None:
    make_profile(api)
    instance = eventually(lambda: launched(ec2, network, IamInstanceProfile={"Name": "nodes"}))
    region = LabRegion(api.lab)
    given = region.role_credentials(instance)
    assert given is not None
    assert given == region.role_credentials(instance)
    credentials = (given.access_key_id, given.secret_access_key, given.session_token)
    identity = api.client("sts", credentials=credentials).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::123456789012:assumed-role/nodes/{instance}"
    api.client("ssm").put_parameter(Name="/ours/join", Value="token", Type="String")
    assert api.client("ssm", credentials=credentials).get_parameter(Name="/ours/join")["Parameter"]["Value"] == "token"
    with pytest.raises(ClientError) as refused:
        api.client("ec2", credentials=credentials).describe_instances()
    assert refused.value.response["Error"]["Code"] == "UnauthorizedOperation"
    with pytest.raises(ClientError) as refused:
        api.client("ssm", credentials=credentials).put_parameter(Name="/ours/join", Value="other", Type="String")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_an_instance_without_a_profile_has_no_credentials(api: Any, ec2: Any, network: Any) -> None:
    assert LabRegion(api.lab).role_credentials(launch(ec2, network)) is None


def test_a_role_is_not_asked_for_a_dry_run_before_its_permission(
    api: Any, ec2: Any, network: Any, eventually: Any
) -> None:
    make_profile(api)
    instance = eventually(lambda: launched(ec2, network, IamInstanceProfile={"Name": "nodes"}))
    given = LabRegion(api.lab).role_credentials(instance)
    assert given is not None
    credentials = (given.access_key_id, given.secret_access_key, given.session_token)
    with pytest.raises(ClientError) as refused:
        api.client("ec2", credentials=credentials).create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    assert refused.value.response["Error"]["Code"] == "UnauthorizedOperation"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
