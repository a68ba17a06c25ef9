"""Managers: launched once, as they should be; and what happens when AWS says no."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import instances
from dockeree.errors import DockereeError
from dockeree.steps.access import CreateKeyPair, CreateRoles
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of
from dockeree.steps.images import ResolveImage
from dockeree.steps.instances import LaunchManagers
from dockeree.steps.networking import CreateInternetGateway, CreateRouteTable, CreateSubnets, CreateVpc
from dockeree.steps.runner import run_steps, undo_steps
from dockeree.steps.security_groups import CreateSecurityGroups

STEPS = (
    ClaimCluster,
    CreateVpc,
    CreateInternetGateway,
    CreateSubnets,
    CreateRouteTable,
    CreateSecurityGroups,
    CreateKeyPair,
    CreateRoles,
    ResolveImage,
    LaunchManagers,
)


def managers(cloud: Cloud) -> dict[str, Any]:
    """What EC2 says of each manager that is not terminated, by role."""
    found: dict[str, Any] = {}
    for reservation in cloud.api.client("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
            if instance["State"]["Name"] not in {"terminated", "shutting-down"}:
                assert tags["dockeree:role"] not in found
                found[tags["dockeree:role"]] = instance
    return found


def launched(calls: list[str]) -> int:
    return calls.count("ec2 RunInstances")


def test_three_managers_one_a_zone_as_they_should_be(cloud: Cloud) -> None:
    cluster = cloud.cluster(managers={"instance_type": "m5.2xlarge", "volume_gib": 120})
    run_steps(cluster, STEPS)
    found = managers(cloud)
    assert sorted(found) == ["manager-a", "manager-b", "manager-c"]
    assert len({item["Placement"]["AvailabilityZone"] for item in found.values()}) == 3
    ec2 = cloud.api.client("ec2")
    for item in found.values():
        assert item["State"]["Name"] == "running"
        assert item["InstanceType"] == "m5.2xlarge"
        assert item["MetadataOptions"]["HttpTokens"] == "required"
        assert item["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
        assert item["IamInstanceProfile"]["Arn"].endswith(f"/dockeree-demo-{cluster.id}-manager")
        protection = ec2.describe_instance_attribute(InstanceId=item["InstanceId"], Attribute="disableApiTermination")
        assert protection["DisableApiTermination"]["Value"] is True
        assert [mapping["DeviceName"] for mapping in item["BlockDeviceMappings"]] == [item["RootDeviceName"]]
        volume_id = item["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        volume = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
        assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (120, "gp3", True)
        assert item["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(managers=dict(cluster.config.managers)), STEPS))) == []


def test_a_zone_without_capacity_is_named_with_the_type_and_up_continues(cloud: Cloud) -> None:
    cloud.api.control(
        "POST", "/lab/faults", {"zone": "us-east-1b", "code": "InsufficientInstanceCapacity", "times": 99}
    )
    with pytest.raises(DockereeError, match=r"no m5\.xlarge left in us-east-1b"):
        run_steps(cloud.cluster(), STEPS)
    assert list(managers(cloud)) == ["manager-a"]
    cloud.api.control("DELETE", "/lab/faults")
    assert launched(cloud.calls(lambda: run_steps(cloud.cluster(), STEPS))) == 2


def test_a_launch_whose_answer_was_lost_is_not_made_twice(cloud: Cloud) -> None:
    """The instance is there, the answer is not, and the listings do not show it yet: the token finds it."""
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    first = managers(cloud)["manager-a"]["InstanceId"]
    hidden = cloud.cluster()
    from dockeree.steps import instances as step
    from dockeree.steps.found import subnets_of
    from dockeree.steps.launch_specs import manager_spec

    again = step._launch(hidden, manager_spec(hidden), "manager-a", subnets_of(hidden)[0])
    assert again == first


def test_a_manager_that_was_terminated_is_launched_anew(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    lost = instances.find_managers(cluster.aws, owner_of(cluster))["manager-b"]
    instances.terminate(cluster.aws, [lost], _waits(cluster))
    instances.wait_for_terminated(cluster.aws, [lost.id], _waits(cluster))
    again = cloud.cluster()
    assert run_steps(again, STEPS).changed
    assert managers(cloud)["manager-b"]["InstanceId"] != lost.id
    assert len(managers(cloud)) == 3


def test_a_terminated_manager_of_another_configuration_too(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    lost = instances.find_managers(cluster.aws, owner_of(cluster))["manager-b"]
    instances.terminate(cluster.aws, [lost], _waits(cluster))
    instances.wait_for_terminated(cluster.aws, [lost.id], _waits(cluster))
    run_steps(cloud.cluster(managers={"instance_type": "m5.2xlarge"}), STEPS)
    assert managers(cloud)["manager-b"]["InstanceType"] == "m5.2xlarge"


def test_a_stopped_manager_is_started(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    stopped = managers(cloud)["manager-c"]["InstanceId"]
    cloud.api.client("ec2").stop_instances(InstanceIds=[stopped])
    again = cloud.cluster()
    assert run_steps(again, STEPS).changed
    assert managers(cloud)["manager-c"]["InstanceId"] == stopped
    assert managers(cloud)["manager-c"]["State"]["Name"] == "running"


def test_the_image_is_decided_once_a_cluster(cloud: Cloud, tmp_path: Any) -> None:
    """Ubuntu's newest image changes every few weeks; a state that was lost must not change the cluster's."""
    cluster = cloud.cluster()
    run_steps(cluster, (ClaimCluster, ResolveImage))
    image = cluster.state.decision("image")
    (tmp_path / "elsewhere").mkdir()
    other = cloud.cluster(folder=tmp_path / "elsewhere")
    calls = cloud.calls(lambda: run_steps(other, (ClaimCluster, ResolveImage)))
    assert other.state.decision("image") == image
    assert calls.count("ssm GetParameter") == 2  # the claim, once a step: the public parameter is not asked again


def test_an_image_of_another_region_is_refused_with_a_hint(cloud: Cloud) -> None:
    cluster = cloud.cluster(image={"ami": "ami-0123456789abcdef0"})
    with pytest.raises(DockereeError, match="no machine image ami-0123456789abcdef0"):
        run_steps(cluster, (ClaimCluster, ResolveImage))


def test_a_new_profile_is_waited_for(cloud: Cloud) -> None:
    fault = {
        "action": "RunInstances",
        "code": "InvalidParameterValue",
        "message": "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        "times": 3,
    }
    cloud.api.control("POST", "/lab/faults", fault)
    run_steps(cloud.cluster(), STEPS)
    assert len(managers(cloud)) == 3


def test_undo_lifts_the_protection_and_twice_is_fine(cloud: Cloud) -> None:
    cluster = cloud.cluster()
    run_steps(cluster, STEPS)
    assert undo_steps(cluster, STEPS).changed
    assert managers(cloud) == {}
    assert not undo_steps(cluster, STEPS).changed


def _waits(cluster: Any) -> Any:
    from dockeree.steps.found import waits_of

    return waits_of(cluster)
