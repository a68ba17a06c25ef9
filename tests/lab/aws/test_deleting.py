"""What EC2 refuses to delete, and that nothing stays of what it deletes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def vpc(ec2: Any) -> str:
    return str(ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"])


@pytest.fixture
def subnet(ec2: Any, vpc: str) -> str:
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.32.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": True})
    return str(made)


def make_group(ec2: Any, vpc: str, name: str) -> str:
    return str(ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])


def launch(ec2: Any, eventually: Any, subnet: str, groups: list[str]) -> str:
    image = ec2.describe_images()["Images"][0]["ImageId"]
    (instance,) = ec2.run_instances(
        ImageId=image, InstanceType="t3.large", MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=groups
    )["Instances"]
    wait(ec2, eventually, instance["InstanceId"], "running")
    return str(instance["InstanceId"])


def wait(ec2: Any, eventually: Any, instance: str, state: str) -> None:
    eventually(
        lambda: (
            ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"] == state
        )
    )


@pytest.mark.parametrize("time_scale", [0.02])
def test_an_instance_holds_its_subnet_and_group_until_it_is_gone(
    ec2: Any, vpc: str, subnet: str, eventually: Any
) -> None:
    group = make_group(ec2, vpc, "nodes")
    instance = launch(ec2, eventually, subnet, [group])
    assert refusal(lambda: ec2.delete_subnet(SubnetId=subnet)) == "DependencyViolation"
    assert refusal(lambda: ec2.delete_security_group(GroupId=group)) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[instance])
    assert refusal(lambda: ec2.delete_subnet(SubnetId=subnet)) == "DependencyViolation"
    assert refusal(lambda: ec2.delete_security_group(GroupId=group)) == "DependencyViolation"
    wait(ec2, eventually, instance, "terminated")
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)


def test_an_interface_holds_its_subnet_and_group(ec2: Any, vpc: str, subnet: str) -> None:
    group = make_group(ec2, vpc, "nodes")
    interface = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]
    assert interface["PrivateIpAddress"] == "10.32.0.4"
    assert refusal(lambda: ec2.delete_subnet(SubnetId=subnet)) == "DependencyViolation"
    assert refusal(lambda: ec2.delete_security_group(GroupId=group)) == "DependencyViolation"
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet)


def test_a_group_named_by_another_groups_rule(ec2: Any, vpc: str) -> None:
    named, naming = make_group(ec2, vpc, "named"), make_group(ec2, vpc, "naming")
    permission = [{"IpProtocol": "tcp", "FromPort": 2377, "ToPort": 2377, "UserIdGroupPairs": [{"GroupId": named}]}]
    ec2.authorize_security_group_ingress(GroupId=naming, IpPermissions=permission)
    ec2.authorize_security_group_ingress(GroupId=named, IpPermissions=permission)
    assert refusal(lambda: ec2.delete_security_group(GroupId=named)) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=naming, IpPermissions=permission)
    ec2.delete_security_group(GroupId=named)


def test_the_default_group_cannot_be_deleted_and_goes_with_its_vpc(ec2: Any, vpc: str) -> None:
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    (default,) = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    assert refusal(lambda: ec2.delete_security_group(GroupId=default["GroupId"])) == "CannotDelete"
    ec2.delete_vpc(VpcId=vpc)
    assert ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"] == []
    assert ec2.describe_route_tables(Filters=of_vpc)["RouteTables"] == []
    assert ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"] == []


def test_the_main_route_table_cannot_be_deleted(ec2: Any, vpc: str) -> None:
    (main,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    assert refusal(lambda: ec2.delete_route_table(RouteTableId=main["RouteTableId"])) == "DependencyViolation"


def test_an_associated_route_table(ec2: Any, vpc: str, subnet: str) -> None:
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    assert refusal(lambda: ec2.delete_route_table(RouteTableId=table)) == "DependencyViolation"
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route_table(RouteTableId=table)


def test_a_gateway_while_public_addresses_are_mapped(ec2: Any, vpc: str, subnet: str, eventually: Any) -> None:
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    instance = launch(ec2, eventually, subnet, [make_group(ec2, vpc, "nodes")])
    detach = lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)  # noqa: E731
    assert refusal(detach) == "DependencyViolation"
    assert refusal(lambda: ec2.delete_internet_gateway(InternetGatewayId=gateway)) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, eventually, instance, "terminated")
    detach()
    ec2.delete_internet_gateway(InternetGatewayId=gateway)


@pytest.mark.parametrize(
    "fill",
    [
        lambda ec2, vpc: ec2.create_subnet(VpcId=vpc, CidrBlock="10.32.0.0/24"),
        lambda ec2, vpc: make_group(ec2, vpc, "nodes"),
        lambda ec2, vpc: ec2.create_route_table(VpcId=vpc),
        lambda ec2, vpc: ec2.attach_internet_gateway(
            VpcId=vpc, InternetGatewayId=ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ),
    ],
)
def test_a_vpc_with_anything_in_it(ec2: Any, vpc: str, fill: Any) -> None:
    fill(ec2, vpc)
    assert refusal(lambda: ec2.delete_vpc(VpcId=vpc)) == "DependencyViolation"


def test_an_attached_interface_cannot_be_deleted(ec2: Any, vpc: str, subnet: str, eventually: Any) -> None:
    launch(ec2, eventually, subnet, [make_group(ec2, vpc, "nodes")])
    (interface,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    interface_id = interface["NetworkInterfaceId"]
    assert refusal(lambda: ec2.delete_network_interface(NetworkInterfaceId=interface_id)) == "InvalidParameterValue"


def test_tags_go_with_what_they_were_on(ec2: Any, vpc: str, subnet: str) -> None:
    group = make_group(ec2, vpc, "nodes")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    pair = ec2.create_key_pair(KeyName="demo", KeyType="ed25519")["KeyPairId"]
    ec2.create_tags(Resources=[vpc, subnet, group, gateway, table, pair], Tags=[{"Key": "a", "Value": "b"}])
    assert len(ec2.describe_tags()["Tags"]) == 6
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_key_pair(KeyName="demo")
    ec2.delete_vpc(VpcId=vpc)
    assert ec2.describe_tags()["Tags"] == []


@pytest.mark.parametrize(
    ("resource_id", "expected"),
    [
        ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("vpc-0123456789abcdef0", "InvalidVpcID.NotFound"),
        ("subnet-0123456789abcdef0", "InvalidSubnetID.NotFound"),
        ("sg-0123456789abcdef0", "InvalidGroup.NotFound"),
        ("vol-0123456789abcdef0", "InvalidVolume.NotFound"),
        ("key-0123456789abcdef0", "InvalidKeyPair.NotFound"),
        ("eipalloc-0123456789abcdef0", "InvalidAllocationID.NotFound"),
    ],
)
def test_tags_on_an_unknown_id(ec2: Any, resource_id: str, expected: str) -> None:
    assert refusal(lambda: ec2.create_tags(Resources=[resource_id], Tags=[{"Key": "a", "Value": "b"}])) == expected


def test_tags_of_awss_own(ec2: Any, vpc: str) -> None:
    own = [{"Key": "aws:autoscaling:groupName", "Value": "mine"}]
    assert refusal(lambda: ec2.create_tags(Resources=[vpc], Tags=own)) == "InvalidParameterValue"


def test_the_vpc_quota(ec2: Any) -> None:
    for number in range(4):  # the region was born with one
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    assert refusal(lambda: ec2.create_vpc(CidrBlock="10.9.0.0/16")) == "VpcLimitExceeded"
