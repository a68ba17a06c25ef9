"""RunInstances as EC2 does it: what it refuses, what it answers, and the node that it makes."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4QZqXAvGDo2fZ1KTqWzT0bVQcDmxqvLqPSpwAo0Egg someone"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
PARAMETER_24 = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
PARAMETER_22 = "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id"


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def network(ec2: Any) -> dict[str, str]:
    """A VPC with a public subnet and a group."""
    vpc = ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.32.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)["GroupId"]
    return {"vpc": vpc, "subnet": subnet, "group": group, "gateway": gateway}


@pytest.fixture
def image(api: Any) -> str:
    return str(api.client("ssm").get_parameter(Name=PARAMETER_24)["Parameter"]["Value"])


@pytest.fixture
def launch(ec2: Any, network: dict[str, str], image: str) -> Any:
    """Run instances in the network; keyword arguments replace what they name."""

    def run(**asked: Any) -> list[dict[str, Any]]:
        request = {
            "ImageId": image,
            "InstanceType": "t3.large",
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": network["subnet"],
            "SecurityGroupIds": [network["group"]],
        } | asked
        return list(
            ec2.run_instances(**{key: value for key, value in request.items() if value is not None})["Instances"]
        )

    return run


def describe(ec2: Any, instance_id: str) -> dict[str, Any]:
    return dict(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])


def wait_for(eventually: Any, ec2: Any, instance_id: str, state: str) -> dict[str, Any]:
    return dict(eventually(lambda: (found := describe(ec2, instance_id))["State"]["Name"] == state and found))


def test_pending_without_public_address_then_running(api: Any, ec2: Any, launch: Any, eventually: Any) -> None:
    (instance,) = launch()
    assert instance["State"]["Name"] == "pending"
    assert "PublicIpAddress" not in instance
    assert instance["PrivateIpAddress"] == "10.32.0.4"
    assert instance["PrivateDnsName"] == "ip-10-32-0-4.ec2.internal"
    running = wait_for(eventually, ec2, instance["InstanceId"], "running")
    assert running["PublicIpAddress"] == "198.18.7.20"
    assert running["State"]["Code"] == 16


def test_the_network_exists_before_the_node_is_launched(api: Any, ec2: Any, launch: Any, eventually: Any) -> None:
    known: list[bool] = []
    api.driver.before_launch = lambda spec: known.append(
        any(node.instance_id == spec.instance_id and node.interface.public_ip for node in api.wiring.last.instances)
    )
    (instance,) = launch()
    wait_for(eventually, ec2, instance["InstanceId"], "running")
    assert known == [True]


def test_the_node_is_made_from_what_was_asked(api: Any, ec2: Any, network: Any, launch: Any, eventually: Any) -> None:
    ec2.import_key_pair(KeyName="demo", PublicKeyMaterial=PUBLIC_KEY.encode())
    user_data = gzip.compress(b"#!/bin/sh\n")
    (instance,) = launch(
        KeyName="demo",
        UserData=user_data,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 40, "VolumeType": "gp3", "Encrypted": True}}
        ],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "demo-manager-a"}]}],
    )
    wait_for(eventually, ec2, instance["InstanceId"], "running")
    spec = api.driver.specs[instance["InstanceId"]]
    assert spec.user_data == user_data
    assert spec.authorized_key == PUBLIC_KEY
    assert (spec.zone, spec.subnet_id, spec.vpc_id) == ("us-east-1a", network["subnet"], network["vpc"])
    assert (spec.private_ip, spec.public_ip, spec.hostname) == ("10.32.0.4", "198.18.7.20", "ip-10-32-0-4")
    assert (spec.image_variant, spec.root_volume_gib, spec.tags) == ("baked", 40, {"Name": "demo-manager-a"})


def test_a_node_that_cannot_boot_terminates_its_instance_with_the_reason(
    api: Any, ec2: Any, launch: Any, eventually: Any
) -> None:
    api.driver.fails["broken"] = "no space left on the lab's disk"
    (instance,) = launch(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "broken"}]}])
    gone = wait_for(eventually, ec2, instance["InstanceId"], "terminated")
    assert gone["StateReason"]["Code"] == "Server.InternalError"
    assert "no space left" in gone["StateReason"]["Message"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"UserData": "x" * (16 * 1024 + 1)}, "InvalidParameterValue"),
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "ubuntu"}, "InvalidAMIID.Malformed"),
        ({"KeyName": "nobodys"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"SubnetId": "subnet-x"}, "InvalidSubnetID.Malformed"),
        ({"InstanceType": "t3.enormous"}, "InvalidParameterValue"),
        ({"IamInstanceProfile": {"Name": "nobodys"}}, "InvalidParameterValue"),
        ({"MinCount": 2}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.32.0.2"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.33.0.9"}, "InvalidParameterValue"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 4}}]}, "InvalidBlockDeviceMapping"),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:mine", "Value": ""}]}]},
            "InvalidParameterValue",
        ),
    ],
)
def test_refusals(api: Any, ec2: Any, launch: Any, asked: dict[str, Any], expected: str) -> None:
    with pytest.raises(ClientError) as refused:
        launch(**asked)
    assert code(refused) == expected
    assert ec2.describe_instances()["Reservations"] == []


def test_user_data_of_16_kib_passes(launch: Any) -> None:
    assert launch(UserData="x" * (16 * 1024))


def test_a_group_of_another_vpc_is_refused(ec2: Any, launch: Any) -> None:
    other = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="other", Description="other", VpcId=other)["GroupId"]
    with pytest.raises(ClientError) as refused:
        launch(SecurityGroupIds=[group])
    assert code(refused) == "InvalidParameter"


def test_a_client_token_launches_once(ec2: Any, launch: Any) -> None:
    (first,) = launch(ClientToken="once")
    (second,) = launch(ClientToken="once")
    assert first["InstanceId"] == second["InstanceId"]
    assert len(ec2.describe_instances()["Reservations"]) == 1


def test_a_client_token_with_other_parameters_is_refused(launch: Any) -> None:
    launch(ClientToken="once")
    with pytest.raises(ClientError) as refused:
        launch(ClientToken="once", InstanceType="t3.xlarge")
    assert code(refused) == "IdempotentParameterMismatch"


def test_a_client_token_of_a_terminated_instance_is_refused(ec2: Any, launch: Any, eventually: Any) -> None:
    (instance,) = launch(ClientToken="once")
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    with pytest.raises(ClientError) as refused:
        launch(ClientToken="once")
    assert code(refused) == "IdempotentInstanceTerminated"


def make_profile(api: Any, name: str = "nodes") -> str:
    iam = api.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return str(arn)


@pytest.mark.parametrize("time_scale", [0.05])
def test_a_new_instance_profile_is_not_usable_at_once(api: Any, launch: Any, eventually: Any) -> None:
    make_profile(api)
    with pytest.raises(ClientError, match="Invalid IAM Instance Profile name") as refused:
        launch(IamInstanceProfile={"Name": "nodes"})
    assert code(refused) == "InvalidParameterValue"

    def launched() -> Any:
        try:
            return launch(IamInstanceProfile={"Name": "nodes"})
        except ClientError:
            return None

    eventually(launched)


def test_every_instance_of_a_launch_gets_the_profile(api: Any, ec2: Any, launch: Any, eventually: Any) -> None:
    arn = make_profile(api)
    eventually(lambda: not _refused(launch, IamInstanceProfile={"Arn": arn}, MinCount=2, MaxCount=2))
    found = [one for entry in ec2.describe_instances()["Reservations"] for one in entry["Instances"]]
    assert [one["IamInstanceProfile"]["Arn"] for one in found] == [arn, arn]
    profile = api.client("iam").get_instance_profile(InstanceProfileName="nodes")["InstanceProfile"]
    assert found[0]["IamInstanceProfile"]["Id"] == profile["InstanceProfileId"]


def _refused(launch: Any, **asked: Any) -> bool:
    try:
        launch(**asked)
    except ClientError:
        return True
    return False


def test_tags_stand_on_instance_volumes_and_interface(ec2: Any, launch: Any) -> None:
    tags = [{"Key": "dockeree:cluster", "Value": "demo"}]
    kinds = ("instance", "volume", "network-interface")
    (instance,) = launch(TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in kinds])
    found = describe(ec2, instance["InstanceId"])
    assert found["Tags"] == tags
    volume = found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Tags"] == tags
    interface = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]["TagSet"] == tags


def test_groups_stand_on_the_interface(ec2: Any, network: Any, launch: Any) -> None:
    (instance,) = launch()
    interface = ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    )["NetworkInterfaces"][0]
    assert [group["GroupId"] for group in interface["Groups"]] == [network["group"]]
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [network["group"]]


def test_a_launch_by_network_interface_keeps_groups_and_tags(
    ec2: Any, network: Any, launch: Any, eventually: Any
) -> None:
    (instance,) = launch(
        SubnetId=None,
        SecurityGroupIds=None,
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": network["subnet"],
                "Groups": [network["group"]],
                "AssociatePublicIpAddress": False,
            }
        ],
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    running = wait_for(eventually, ec2, instance["InstanceId"], "running")
    assert "PublicIpAddress" not in running
    assert [group["GroupId"] for group in running["SecurityGroups"]] == [network["group"]]
    (interface,) = ec2.describe_network_interfaces(Filters=[{"Name": "tag:a", "Values": ["b"]}])["NetworkInterfaces"]
    assert interface["Attachment"]["DeleteOnTermination"] is True


def test_dry_runs_do_nothing(ec2: Any, network: Any, launch: Any) -> None:
    calls = [
        lambda: launch(DryRun=True),
        lambda: ec2.create_vpc(CidrBlock="10.99.0.0/16", DryRun=True),
        lambda: ec2.create_subnet(VpcId=network["vpc"], CidrBlock="10.32.9.0/24", DryRun=True),
        lambda: ec2.create_route_table(VpcId=network["vpc"], DryRun=True),
        lambda: ec2.delete_subnet(SubnetId=network["subnet"], DryRun=True),
        lambda: ec2.delete_vpc(VpcId=network["vpc"], DryRun=True),
        lambda: ec2.create_security_group(GroupName="dry", Description="dry", VpcId=network["vpc"], DryRun=True),
    ]
    before = (
        len(ec2.describe_vpcs()["Vpcs"]),
        len(ec2.describe_subnets()["Subnets"]),
        len(ec2.describe_route_tables()["RouteTables"]),
    )
    for call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        assert code(refused) == "DryRunOperation"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert before == (
        len(ec2.describe_vpcs()["Vpcs"]),
        len(ec2.describe_subnets()["Subnets"]),
        len(ec2.describe_route_tables()["RouteTables"]),
    )


def test_the_root_volume_is_the_one_of_the_images_device_name(ec2: Any, image: str, launch: Any) -> None:
    (described,) = ec2.describe_images(ImageIds=[image])["Images"]
    assert (described["RootDeviceName"], described["OwnerId"], described["State"]) == (
        "/dev/sda1",
        "099720109477",
        "available",
    )
    (instance,) = launch(
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {"VolumeSize": 60, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ]
    )
    (mapping,) = describe(ec2, instance["InstanceId"])["BlockDeviceMappings"]
    (volume,) = ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"], volume["Iops"], volume["Throughput"]) == (
        60,
        "gp3",
        True,
        3000,
        125,
    )
    assert volume["Attachments"][0]["DeleteOnTermination"] is True
    assert volume["KmsKeyId"].startswith("arn:aws:kms:")


def test_another_device_name_is_a_second_disk(ec2: Any, launch: Any) -> None:
    (instance,) = launch(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 60}}])
    mappings = {one["DeviceName"]: one["Ebs"] for one in describe(ec2, instance["InstanceId"])["BlockDeviceMappings"]}
    sizes = {
        name: ec2.describe_volumes(VolumeIds=[ebs["VolumeId"]])["Volumes"][0]["Size"] for name, ebs in mappings.items()
    }
    assert sizes == {"/dev/sda1": 8, "/dev/xvda": 60}
    assert (mappings["/dev/sda1"]["DeleteOnTermination"], mappings["/dev/xvda"]["DeleteOnTermination"]) == (True, False)


def test_metadata_options_default_and_stay(ec2: Any, launch: Any) -> None:
    (plain,) = launch()
    options = describe(ec2, plain["InstanceId"])["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("optional", 1)
    (strict,) = launch(MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2})
    ec2.modify_instance_metadata_options(InstanceId=strict["InstanceId"], InstanceMetadataTags="enabled")
    options = describe(ec2, strict["InstanceId"])["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"], options["InstanceMetadataTags"]) == (
        "required",
        2,
        "enabled",
    )


def test_monitoring_is_kept(ec2: Any, launch: Any) -> None:
    (instance,) = launch(Monitoring={"Enabled": True})
    assert describe(ec2, instance["InstanceId"])["Monitoring"]["State"] == "enabled"


def test_max_count_is_launched(launch: Any) -> None:
    assert len(launch(MaxCount=3)) == 3


def test_the_vcpu_quota(api: Any, launch: Any) -> None:
    quota = api.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
    assert quota["Value"] == 64
    launch(InstanceType="m5.8xlarge")
    assert len(launch(InstanceType="m5.4xlarge", MaxCount=5)) == 2
    with pytest.raises(ClientError) as refused:
        launch(InstanceType="t3.large")
    assert code(refused) == "VcpuLimitExceeded"


def test_a_zone_without_capacity(api: Any, ec2: Any, network: Any, launch: Any) -> None:
    other = ec2.create_subnet(VpcId=network["vpc"], CidrBlock="10.32.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    api.control("POST", "/lab/faults", {"code": "InsufficientInstanceCapacity", "zone": "us-east-1a", "times": 2})
    assert launch(SubnetId=other["SubnetId"])
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            launch()
        assert code(refused) == "InsufficientInstanceCapacity"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert launch()


def test_a_type_that_a_zone_does_not_offer(ec2: Any, network: Any, launch: Any) -> None:
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.large"]}]
    )["InstanceTypeOfferings"]
    assert "us-east-1e" not in [one["Location"] for one in offered]
    subnet = ec2.create_subnet(VpcId=network["vpc"], CidrBlock="10.32.5.0/24", AvailabilityZone="us-east-1e")["Subnet"]
    with pytest.raises(ClientError) as refused:
        launch(SubnetId=subnet["SubnetId"])
    assert code(refused) == "Unsupported"


def test_addresses_are_unique_and_the_labs_own_stay_free(api: Any, ec2: Any, launch: Any, eventually: Any) -> None:
    instances = launch(MaxCount=10)
    running = [wait_for(eventually, ec2, one["InstanceId"], "running") for one in instances]
    public = {one["PublicIpAddress"] for one in running}
    assert len(public) == 10
    assert all(address.startswith("198.18.7.") and int(address.rpartition(".")[2]) >= 20 for address in public)
    assert {one["PrivateIpAddress"] for one in running} == {f"10.32.0.{last}" for last in range(4, 14)}


def test_a_full_subnet(ec2: Any, network: Any, launch: Any) -> None:
    tiny = ec2.create_subnet(VpcId=network["vpc"], CidrBlock="10.32.2.0/28", AvailabilityZone="us-east-1a")["Subnet"]
    assert len(launch(SubnetId=tiny["SubnetId"], MinCount=11, MaxCount=11)) == 11
    with pytest.raises(ClientError) as refused:
        launch(SubnetId=tiny["SubnetId"])
    assert code(refused) == "InsufficientFreeAddressesInSubnet"


def test_private_names_of_other_regions(api: Any) -> None:
    ec2 = api.client("ec2", region="eu-central-1")
    image = api.client("ssm", region="eu-central-1").get_parameter(Name=PARAMETER_22)["Parameter"]["Value"]
    instance = ec2.run_instances(ImageId=image, InstanceType="t3.large", MinCount=1, MaxCount=1)["Instances"][0]
    assert (
        instance["PrivateDnsName"]
        == f"ip-{instance['PrivateIpAddress'].replace('.', '-')}.eu-central-1.compute.internal"
    )


def test_the_bare_image_is_found_by_name(api: Any, ec2: Any, launch: Any, eventually: Any) -> None:
    (bare,) = ec2.describe_images(Owners=["099720109477"], Filters=[{"Name": "name", "Values": ["ubuntu-24.04-bare"]}])[
        "Images"
    ]
    (instance,) = launch(ImageId=bare["ImageId"])
    wait_for(eventually, ec2, instance["InstanceId"], "running")
    assert api.driver.specs[instance["InstanceId"]].image_variant == "bare"


def test_the_image_behind_a_parameter_changes_and_the_old_one_stays(
    api: Any, ec2: Any, image: str, launch: Any
) -> None:
    newer = api.control("POST", "/lab/images")["images"]
    now = api.client("ssm").get_parameter(Name=PARAMETER_24)["Parameter"]
    assert now["Value"] in newer
    assert now["Value"] != image
    assert now["Version"] == 2
    assert launch(ImageId=image)
    assert launch(ImageId=now["Value"])


def test_a_launch_template_fills_what_is_left_open(
    ec2: Any, api: Any, network: Any, image: str, eventually: Any
) -> None:
    ec2.import_key_pair(KeyName="demo", PublicKeyMaterial=PUBLIC_KEY.encode())
    ec2.create_launch_template(
        LaunchTemplateName="workers",
        LaunchTemplateData={
            "ImageId": image,
            "InstanceType": "t3.xlarge",
            "KeyName": "demo",
            "SecurityGroupIds": [network["group"]],
            "UserData": "IyEvYmluL3NoCg==",
            "MetadataOptions": {"HttpTokens": "required"},
            "Monitoring": {"Enabled": True},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30, "Encrypted": True}}],
            "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
        },
    )
    instance = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "workers", "Version": "$Latest"},
        MinCount=1,
        MaxCount=1,
        SubnetId=network["subnet"],
    )["Instances"][0]
    found = wait_for(eventually, ec2, instance["InstanceId"], "running")
    assert (found["InstanceType"], found["KeyName"], found["ImageId"]) == ("t3.xlarge", "demo", image)
    assert [group["GroupId"] for group in found["SecurityGroups"]] == [network["group"]]
    assert (found["MetadataOptions"]["HttpTokens"], found["Monitoring"]["State"]) == ("required", "enabled")
    (volume,) = ec2.describe_volumes(Filters=[{"Name": "tag:a", "Values": ["b"]}])["Volumes"]
    assert (volume["Size"], volume["Encrypted"]) == (30, True)
    assert api.driver.specs[instance["InstanceId"]].user_data == b"#!/bin/sh\n"


def not_found(call: Any) -> bool:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"]).endswith(".NotFound")
    return False


@pytest.mark.parametrize("time_scale", [0.2])
def test_a_new_id_may_not_be_found_once(api: Any, ec2: Any) -> None:
    assert api.control("POST", "/lab/faults", {"eventual_consistency": True}) == {"eventual_consistency": True}
    hidden = 0
    vpc = ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    for number in range(10):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.50.{number}.0/24")["Subnet"]["SubnetId"]
        hidden += not_found(lambda subnet=subnet: ec2.describe_subnets(SubnetIds=[subnet]))
        assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert hidden == 2


def test_control_refuses_to_cut_what_does_not_run(api: Any) -> None:
    with pytest.raises(api.Refused) as refused:
        api.control("POST", "/lab/instances/i-0123456789abcdef0/power-cut")
    assert refused.value.status == 409
