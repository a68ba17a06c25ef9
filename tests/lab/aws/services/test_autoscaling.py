"""Auto Scaling groups: instances follow the desired capacity, whole as the launch template says."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


class Group:
    """One group, as its owner sees it."""

    def __init__(self, client: Any, ec2: Any, eventually: Callable[..., Any], name: str) -> None:
        self.client = client
        self.ec2 = ec2
        self.eventually = eventually
        self.name = name

    def describe(self) -> dict[str, Any] | None:
        groups = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        return groups[0] if groups else None

    def members(self) -> list[dict[str, Any]]:
        group = self.describe()
        return group["Instances"] if group else []

    def ids(self) -> set[str]:
        return {member["InstanceId"] for member in self.members()}

    def settle(self, count: int) -> set[str]:
        """Wait until exactly `count` members are there, all in service; their instance ids."""

        def settled() -> bool:
            members = self.members()
            return len(members) == count and all(member["LifecycleState"] == "InService" for member in members)

        self.eventually(settled, 15)
        return self.ids()

    def instances(self) -> list[dict[str, Any]]:
        described = self.ec2.describe_instances(InstanceIds=sorted(self.ids()))
        return [instance for reservation in described["Reservations"] for instance in reservation["Instances"]]

    def activities(self) -> list[dict[str, Any]]:
        return list(self.client.describe_scaling_activities(AutoScalingGroupName=self.name)["Activities"])

    def set_desired(self, capacity: int) -> None:
        self.client.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=capacity)

    def terminate(self, instance_id: str, decrement: bool) -> dict[str, Any]:
        return dict(
            self.client.terminate_instance_in_auto_scaling_group(
                InstanceId=instance_id, ShouldDecrementDesiredCapacity=decrement
            )["Activity"]
        )


@pytest.fixture
def template_id(site, ec2) -> str:
    return str(
        ec2.create_launch_template(
            LaunchTemplateName="workers",
            LaunchTemplateData={
                "ImageId": site.image_id,
                "InstanceType": "t3.medium",
                "SecurityGroupIds": [site.group_id],
            },
        )["LaunchTemplate"]["LaunchTemplateId"]
    )


@pytest.fixture
def create(api, site, ec2, template_id, eventually) -> Callable[..., Group]:
    client = api.client("autoscaling")

    def create(name: str = "workers", **settings: Any) -> Group:
        group = Group(client, ec2, eventually, name)
        request = {
            "MinSize": 0,
            "MaxSize": 6,
            "DesiredCapacity": 3,
            "LaunchTemplate": {"LaunchTemplateId": template_id, "Version": "$Latest"},
            "VPCZoneIdentifier": ",".join(site.subnet_ids),
            **settings,
        }
        group.client.create_auto_scaling_group(AutoScalingGroupName=name, **request)
        return group

    return create


# What instances get


def test_instances_get_everything_that_the_template_says(api, site, ec2, create, make_profile):
    make_profile("worker")
    ec2.create_key_pair(KeyName="operator")
    user_data = base64.b64encode(b"#!/bin/sh\n").decode()
    ec2.create_launch_template(
        LaunchTemplateName="whole",
        LaunchTemplateData={
            "ImageId": site.image_id,
            "InstanceType": "t3.large",
            "KeyName": "operator",
            "SecurityGroupIds": [site.group_id],
            "IamInstanceProfile": {"Name": "worker"},
            "UserData": user_data,
            "Monitoring": {"Enabled": True},
            "MetadataOptions": {
                "HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"
            },
            "BlockDeviceMappings": [
                {
                    "DeviceName": "/dev/sda1",
                    "Ebs": {"VolumeSize": 40, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
                }
            ],
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "demo-worker"}]},
                {"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "demo-disk"}]},
            ],
        },
    )  # fmt: skip
    group = create(
        DesiredCapacity=1,
        LaunchTemplate={"LaunchTemplateName": "whole", "Version": "1"},
        Tags=[
            {"Key": "dockeree:cluster", "Value": "demo", "PropagateAtLaunch": True},
            {"Key": "kept", "Value": "by the group", "PropagateAtLaunch": False},
        ],
    )
    (instance_id,) = group.settle(1)
    (instance,) = group.instances()
    assert (instance["InstanceType"], instance["KeyName"]) == ("t3.large", "operator")
    assert [entry["GroupId"] for entry in instance["SecurityGroups"]] == [site.group_id]
    assert instance["IamInstanceProfile"]["Arn"].endswith("/worker")
    assert instance["Monitoring"]["State"] == "enabled"
    options = instance["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
    assert options["InstanceMetadataTags"] == "enabled"
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["Name"] == "demo-worker"
    assert tags["dockeree:cluster"] == "demo"
    assert "kept" not in tags
    assert tags["aws:autoscaling:groupName"] == "workers"
    (volume,) = ec2.describe_volumes()["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (40, "gp3", True)
    assert volume["Tags"] == [{"Key": "Name", "Value": "demo-disk"}]
    assert api.driver.specs[instance_id].user_data == b"#!/bin/sh\n"


def test_versions(site, ec2, create, template_id):
    ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
    )
    for number, (version, kind) in enumerate((("$Latest", "t3.large"), ("$Default", "t3.medium"), ("1", "t3.medium"))):
        group = create(
            f"group-{number}",
            DesiredCapacity=1,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
        )
        group.settle(1)
        assert group.instances()[0]["InstanceType"] == kind
        assert group.members()[0]["LaunchTemplate"]["Version"] == ("2" if version == "$Latest" else "1")


def test_spread_over_the_zones(create):
    group = create(DesiredCapacity=5)
    group.settle(5)
    zones = Counter(instance["Placement"]["AvailabilityZone"] for instance in group.instances())
    assert sorted(zones.values()) == [1, 2, 2]


@pytest.mark.parametrize("time_scale", [0.01])
def test_members_are_pending_then_in_service(create, eventually):
    group = create(DesiredCapacity=1)
    seen = []

    def in_service():
        seen.append([member["LifecycleState"] for member in group.members()])
        return seen[-1] == ["InService"]

    eventually(in_service)
    # Perhaps nothing at first: the call answers before anything is launched.
    assert [states for states, before in zip(seen, [[], *seen], strict=False) if states != before] == [
        ["Pending"],
        ["InService"],
    ]


# Following the desired capacity


def test_out_and_in_again(create, eventually):
    group = create(DesiredCapacity=1)
    group.settle(1)
    group.set_desired(4)
    group.settle(4)
    group.set_desired(2)
    group.settle(2)


def test_desired_capacity_outside_the_bounds_is_refused(create, refused):
    group = create(MinSize=1, MaxSize=2, DesiredCapacity=1)
    for capacity in (0, 3):
        with refused("ValidationError"):
            group.set_desired(capacity)
    assert group.describe()["DesiredCapacity"] == 1


def test_new_bounds_move_the_desired_capacity(create):
    group = create(DesiredCapacity=3)
    group.settle(3)
    group.client.update_auto_scaling_group(AutoScalingGroupName=group.name, MaxSize=2)
    assert group.describe()["DesiredCapacity"] == 2
    group.settle(2)
    group.client.update_auto_scaling_group(AutoScalingGroupName=group.name, MinSize=3, MaxSize=4)
    group.settle(3)


def test_scale_in_takes_from_the_fullest_zone(create):
    group = create(DesiredCapacity=4)
    group.settle(4)
    group.set_desired(3)
    group.settle(3)
    assert len({member["AvailabilityZone"] for member in group.members()}) == 3


def test_a_protected_member_stays(create, eventually):
    group = create(DesiredCapacity=2)
    kept, _gone = sorted(group.settle(2))
    group.client.set_instance_protection(AutoScalingGroupName=group.name, InstanceIds=[kept], ProtectedFromScaleIn=True)
    group.set_desired(0)
    eventually(lambda: group.ids() == {kept})
    group.client.set_instance_protection(
        AutoScalingGroupName=group.name, InstanceIds=[kept], ProtectedFromScaleIn=False
    )
    eventually(lambda: group.ids() == set())


def test_protection_of_a_stranger_is_refused(create, run_instance, refused):
    group = create(DesiredCapacity=0)
    with refused("ValidationError"):
        group.client.set_instance_protection(
            AutoScalingGroupName=group.name, InstanceIds=[run_instance()], ProtectedFromScaleIn=True
        )


# Target groups


@pytest.mark.parametrize("time_scale", [0.003])
def test_registered_in_service_and_drained_before_the_end(
    ec2, elb, create, make_balancer, make_target_group, make_listener, eventually
):
    arn = make_target_group("apps-8080", Port=8080)
    make_listener(make_balancer()["LoadBalancerArn"], arn)

    def targets() -> dict[str, str]:
        described = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {entry["Target"]["Id"]: entry["TargetHealth"]["State"] for entry in described}

    group = create(DesiredCapacity=1, TargetGroupARNs=[arn])
    (instance_id,) = group.settle(1)
    assert set(targets()) == {instance_id}
    group.set_desired(0)
    eventually(lambda: targets() == {instance_id: "draining"})
    (member,) = group.members()
    (instance,) = group.instances()
    assert member["LifecycleState"] == "Terminating"
    assert instance["State"]["Name"] == "running"  # the delay is not over: it still serves its connections
    eventually(lambda: group.members() == [])
    assert targets() == {}
    described = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    assert described["State"]["Name"] == "terminated"


def test_target_groups_attached_later(elb, create, make_target_group, refused):
    group = create(DesiredCapacity=2)
    members = group.settle(2)
    arn = make_target_group()
    group.client.attach_load_balancer_target_groups(AutoScalingGroupName=group.name, TargetGroupARNs=[arn])
    described = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert {entry["Target"]["Id"] for entry in described} == members
    with refused("ValidationError"):
        group.client.attach_load_balancer_target_groups(
            AutoScalingGroupName=group.name, TargetGroupARNs=[arn[:-4] + "0000"]
        )


# Members that die


def test_a_terminated_member_is_replaced(ec2, create, eventually):
    group = create(DesiredCapacity=2)
    gone = min(group.settle(2))
    ec2.terminate_instances(InstanceIds=[gone])
    eventually(lambda: gone not in group.ids())
    group.settle(2)


def test_a_stopped_member_is_replaced(ec2, create, eventually):
    group = create(DesiredCapacity=1)
    (gone,) = group.settle(1)
    ec2.stop_instances(InstanceIds=[gone])
    eventually(lambda: gone not in group.ids())
    group.settle(1)


def test_a_member_on_a_dead_host_is_replaced(api, create, eventually):
    group = create(DesiredCapacity=1)
    (gone,) = group.settle(1)
    api.control("POST", f"/lab/instances/{gone}/power-cut")
    eventually(lambda: gone not in group.ids())
    group.settle(1)


def test_a_member_marked_unhealthy_is_replaced(create, eventually):
    group = create(DesiredCapacity=1)
    (gone,) = group.settle(1)
    group.client.set_instance_health(InstanceId=gone, HealthStatus="Unhealthy")
    eventually(lambda: gone not in group.ids())
    group.settle(1)
    causes = [activity["Cause"] for activity in group.activities()]
    assert any("user health-check" in cause for cause in causes)


def test_replacing_can_be_suspended(create):
    group = create(DesiredCapacity=1)
    (member_id,) = group.settle(1)
    group.client.suspend_processes(
        AutoScalingGroupName=group.name, ScalingProcesses=["ReplaceUnhealthy", "AZRebalance"]
    )
    suspended = {process["ProcessName"] for process in group.describe()["SuspendedProcesses"]}
    assert suspended == {"ReplaceUnhealthy", "AZRebalance"}
    group.client.set_instance_health(InstanceId=member_id, HealthStatus="Unhealthy")
    group.set_desired(2)
    group.settle(2)
    assert member_id in group.ids()


# Taking members out


def test_terminate_with_decrement(create):
    group = create(DesiredCapacity=3)
    gone = min(group.settle(3))
    activity = group.terminate(gone, decrement=True)
    assert gone in activity["Description"]
    assert activity["StatusCode"] == "InProgress"
    assert group.describe()["DesiredCapacity"] == 2
    group.settle(2)
    assert gone not in group.ids()


def test_terminate_without_decrement_is_replaced(create, eventually):
    group = create(DesiredCapacity=1)
    (gone,) = group.settle(1)
    group.terminate(gone, decrement=False)
    eventually(lambda: gone not in group.ids())
    assert len(group.settle(1)) == 1


def test_terminate_below_the_minimum_is_refused(create, refused):
    group = create(MinSize=1, DesiredCapacity=1)
    (member_id,) = group.settle(1)
    with refused("ValidationError"):
        group.terminate(member_id, decrement=True)
    with refused("ValidationError"):
        group.terminate("i-0123456789abcdef0", decrement=False)


def test_detached_instances_live_on(ec2, create):
    group = create(DesiredCapacity=2)
    out = min(group.settle(2))
    group.client.detach_instances(
        AutoScalingGroupName=group.name, InstanceIds=[out], ShouldDecrementDesiredCapacity=True
    )
    group.settle(1)
    (instance,) = ec2.describe_instances(InstanceIds=[out])["Reservations"][0]["Instances"]
    assert instance["State"]["Name"] == "running"
    assert "aws:autoscaling:groupName" not in {tag["Key"] for tag in instance["Tags"]}


# Activities


def test_activities_are_recorded(create, eventually):
    group = create(DesiredCapacity=1)
    (instance_id,) = group.settle(1)
    (launch,) = group.activities()
    assert launch["Description"] == f"Launching a new EC2 instance: {instance_id}"
    assert (launch["StatusCode"], launch["Progress"]) == ("Successful", 100)
    assert "changing the desired capacity from 0 to 1" in launch["Cause"]
    group.set_desired(0)
    eventually(lambda: group.activities()[0]["StatusCode"] == "Successful" and len(group.activities()) == 2)
    assert group.activities()[0]["Description"] == f"Terminating EC2 instance: {instance_id}"


def test_a_zone_without_capacity_is_passed_over(api, create):
    for zone in ("us-east-1a", "us-east-1b"):
        api.control("POST", "/lab/faults", {"zone": zone, "code": "InsufficientInstanceCapacity", "times": 9})
    group = create(DesiredCapacity=2)
    group.settle(2)
    assert {member["AvailabilityZone"] for member in group.members()} == {"us-east-1c"}
    failed = [activity for activity in group.activities() if activity["StatusCode"] == "Failed"]
    assert failed
    assert all("sufficient t3.medium capacity" in activity["StatusMessage"] for activity in failed)


def test_a_group_tries_again_where_no_zone_has_capacity(api, create, eventually):
    for zone in ("us-east-1a", "us-east-1b", "us-east-1c"):
        api.control("POST", "/lab/faults", {"zone": zone, "code": "InsufficientInstanceCapacity", "times": 1})
    group = create(DesiredCapacity=1)
    eventually(lambda: sum(activity["StatusCode"] == "Failed" for activity in group.activities()) == 3)
    group.settle(1)


# Refusals, which leave nothing behind


def test_a_duplicate_group_is_refused(create, refused):
    group = create(DesiredCapacity=1)
    members = group.settle(1)
    with refused("AlreadyExists"):
        create(DesiredCapacity=2)
    assert group.ids() == members


@pytest.mark.parametrize(
    "settings",
    [
        {"MinSize": 3, "MaxSize": 2, "DesiredCapacity": 2},
        {"MaxSize": 2, "DesiredCapacity": 3},
        {"MinSize": 2, "DesiredCapacity": 1},
        {"VPCZoneIdentifier": "subnet-0123456789abcdef0"},
        {"LaunchTemplate": {"LaunchTemplateId": "lt-0123456789abcdef0"}},
        {"LaunchTemplate": {"LaunchTemplateName": "workers", "Version": "7"}},
        {"TargetGroupARNs": ["arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/0123456789abcdef"]},
        {"Tags": [{"Key": "aws:mine", "Value": "no", "PropagateAtLaunch": True}]},
    ],
)
def test_a_refused_group_leaves_nothing_behind(ec2, create, refused, settings):
    with refused("ValidationError"):
        create(**settings)
    client = create("empty", DesiredCapacity=0).client
    names = [group["AutoScalingGroupName"] for group in client.describe_auto_scaling_groups()["AutoScalingGroups"]]
    assert names == ["empty"]
    assert ec2.describe_instances()["Reservations"] == []


@pytest.mark.parametrize(
    "data",
    [
        {"ImageId": "ami-0123456789abcdef0"},
        {"KeyName": "unknown"},
        {"SecurityGroupIds": ["sg-0123456789abcdef0"]},
        {"InstanceType": "t3.unknown"},
        {"IamInstanceProfile": {"Name": "unknown"}},
    ],
)
def test_the_template_is_tried_dry(site, ec2, create, refused, data):
    whole = {"ImageId": site.image_id, "InstanceType": "t3.medium", **data}
    ec2.create_launch_template(LaunchTemplateName="broken", LaunchTemplateData=whole)
    with refused("ValidationError"):
        create(LaunchTemplate={"LaunchTemplateName": "broken"})


@pytest.mark.parametrize("time_scale", [0.1])
def test_a_new_instance_profile_is_refused_for_some_seconds(api, site, ec2, create, refused, eventually):
    iam = api.client("iam")
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
        '"Action":"sts:AssumeRole"}]}'
    )
    iam.create_role(RoleName="new", AssumeRolePolicyDocument=trust)
    ec2.create_launch_template(
        LaunchTemplateName="new",
        LaunchTemplateData={
            "ImageId": site.image_id, "InstanceType": "t3.medium", "IamInstanceProfile": {"Name": "new"}
        },
    )  # fmt: skip
    iam.create_instance_profile(InstanceProfileName="new")
    iam.add_role_to_instance_profile(InstanceProfileName="new", RoleName="new")
    with refused("ValidationError"):
        create(DesiredCapacity=0, LaunchTemplate={"LaunchTemplateName": "new"})

    def accepted() -> bool:
        try:
            create(DesiredCapacity=0, LaunchTemplate={"LaunchTemplateName": "new"})
        except ClientError as error:
            if "Invalid IAM Instance Profile" not in str(error):
                raise
            return False
        return True

    eventually(accepted)


def test_unknown_groups_are_refused(api, refused):
    client = api.client("autoscaling")
    with refused("ValidationError"):
        client.set_desired_capacity(AutoScalingGroupName="unknown", DesiredCapacity=1)
    with refused("ValidationError"):
        client.delete_auto_scaling_group(AutoScalingGroupName="unknown")
    with refused("ValidationError"):
        client.suspend_processes(AutoScalingGroupName="unknown")


# Deleting


def test_a_group_with_instances_is_in_use(create, refused):
    group = create(DesiredCapacity=1)
    group.settle(1)
    with refused("ResourceInUse"):
        group.client.delete_auto_scaling_group(AutoScalingGroupName=group.name)


def test_an_empty_group_goes_at_once(create, eventually):
    group = create(DesiredCapacity=0)
    group.client.delete_auto_scaling_group(AutoScalingGroupName=group.name)
    assert group.describe() is None


@pytest.mark.parametrize("time_scale", [0.005])
def test_forced_deletion_takes_until_the_instances_are_gone(ec2, create, refused, eventually):
    group = create(DesiredCapacity=2)
    members = group.settle(2)
    group.client.delete_auto_scaling_group(AutoScalingGroupName=group.name, ForceDelete=True)
    described = group.describe()
    assert described["Status"] == "Delete in progress"
    assert {member["LifecycleState"] for member in described["Instances"]} == {"Terminating"}
    with refused("ValidationError"):
        group.set_desired(1)
    eventually(lambda: group.describe() is None)
    reservations = ec2.describe_instances(InstanceIds=sorted(members))["Reservations"]
    assert {i["State"]["Name"] for r in reservations for i in r["Instances"]} == {"terminated"}


def test_the_first_group_makes_the_service_linked_role(api, create):
    create(DesiredCapacity=0)
    roles = api.client("iam").list_roles(PathPrefix="/aws-service-role/autoscaling.amazonaws.com/")["Roles"]
    assert [role["RoleName"] for role in roles] == ["AWSServiceRoleForAutoScaling"]


def test_policy_must_let_the_caller_pass_the_templates_role(
    site, ec2, create, make_profile, user_client, refused, template_id
):
    role_arn = make_profile("worker")
    ec2.create_launch_template(
        LaunchTemplateName="with-role",
        LaunchTemplateData={
            "ImageId": site.image_id, "InstanceType": "t3.medium", "IamInstanceProfile": {"Name": "worker"}
        },
    )  # fmt: skip
    allowed = '{"Effect":"Allow","Action":["autoscaling:*","ec2:*","iam:CreateServiceLinkedRole"],"Resource":"*"}'
    passing = f'{{"Effect":"Allow","Action":"iam:PassRole","Resource":"{role_arn}"}}'
    request = {
        "AutoScalingGroupName": "theirs",
        "MinSize": 0,
        "MaxSize": 1,
        "LaunchTemplate": {"LaunchTemplateName": "with-role"},
        "VPCZoneIdentifier": site.subnet_ids[0],
    }
    without = user_client("autoscaling", f'{{"Version":"2012-10-17","Statement":[{allowed}]}}', "without")
    with refused("AccessDenied"):
        without.create_auto_scaling_group(**request)
    able = user_client("autoscaling", f'{{"Version":"2012-10-17","Statement":[{allowed},{passing}]}}', "able")
    able.create_auto_scaling_group(**request)


def test_a_group_whose_subnet_is_gone_says_so(site, ec2, create, eventually):
    broken = create("broken", DesiredCapacity=0, VPCZoneIdentifier=site.subnet_ids[0])
    ec2.delete_subnet(SubnetId=site.subnet_ids[0])
    broken.set_desired(1)
    healthy = create("healthy", DesiredCapacity=1, VPCZoneIdentifier=site.subnet_ids[1])
    healthy.settle(1)
    eventually(lambda: broken.activities())
    assert broken.activities()[-1]["StatusCode"] == "Failed"
    assert site.subnet_ids[0] in broken.activities()[-1]["StatusMessage"]


def test_termination_policy(create):
    group = create(DesiredCapacity=3)
    first = group.settle(3)
    group.client.update_auto_scaling_group(
        AutoScalingGroupName=group.name, TerminationPolicies=["NewestInstance"], DefaultCooldown=10
    )
    described = group.describe()
    assert (described["TerminationPolicies"], described["DefaultCooldown"]) == (["NewestInstance"], 10)
    group.set_desired(6)
    group.settle(6)
    group.set_desired(3)
    assert group.settle(3) == first
