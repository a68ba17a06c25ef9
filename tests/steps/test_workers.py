"""Workers and balancers: made as wanted, and brought to a changed configuration without touching what is not theirs."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, changing

from dockeree.aws import auto_scaling, load_balancers, target_groups
from dockeree.steps.found import owner_of
from dockeree.steps.runner import run_steps
from dockeree.workflows.up import CLOUD


@pytest.fixture
def standing(cloud: Cloud) -> Any:
    cluster = cloud.cluster()
    run_steps(cluster, CLOUD)
    return cluster


def listener_ports(cluster: Any, role: str) -> set[int]:
    balancer = load_balancers.find_balancers(cluster.aws, owner_of(cluster))[role]
    return set(load_balancers.find_listeners(cluster.aws, balancer.arn))


def template_data(cloud: Cloud, cluster: Any) -> Any:
    answer = cloud.api.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=f"demo-{cluster.id}-workers", Versions=["$Default"]
    )
    return answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def test_workers_are_as_they_should_be(cloud: Cloud, standing: Any) -> None:
    data = template_data(cloud, standing)
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert data["Monitoring"]["Enabled"] is True
    assert {item["ResourceType"] for item in data["TagSpecifications"]} == {"instance", "volume", "network-interface"}
    group = auto_scaling.find_group(standing.aws, owner_of(standing))
    assert group is not None
    assert (group.minimum, group.maximum, group.desired) == (1, 10, 3)
    assert len(group.subnet_ids) == 3
    assert "AZRebalance" in group.suspended
    apps = target_groups.find_target_groups(standing.aws, owner_of(standing))
    assert set(group.target_group_arns) == {apps["apps-80"].arn, apps["apps-443"].arn}


def test_a_second_up_leaves_the_size_that_scale_workers_gave(cloud: Cloud, standing: Any) -> None:
    auto_scaling.set_desired(standing.aws, owner_of(standing), 5)
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(), CLOUD))) == []
    group = auto_scaling.find_group(standing.aws, owner_of(standing))
    assert group is not None
    assert group.desired == 5


def test_new_limits_are_set_and_a_new_type_makes_a_new_version(cloud: Cloud, standing: Any) -> None:
    workers = {"min": 2, "max": 20, "instance_type": "m5.xlarge"}
    again = cloud.cluster(workers=workers)
    assert run_steps(again, CLOUD).changed
    group = auto_scaling.find_group(standing.aws, owner_of(standing))
    assert group is not None
    assert (group.minimum, group.maximum, group.desired) == (2, 20, 3)
    assert template_data(cloud, standing)["InstanceType"] == "m5.xlarge"
    assert again.report.said == ["New workers are made from version 2 of the launch template."]  # type: ignore[attr-defined]
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(workers=workers), CLOUD))) == []


def test_application_ports_follow_the_configuration(cloud: Cloud, standing: Any) -> None:
    assert listener_ports(standing, "apps") == {80, 443}
    apps = {"ports": [80, 8080]}
    run_steps(cloud.cluster(apps=apps), CLOUD)
    assert listener_ports(standing, "apps") == {80, 8080}
    owner = owner_of(standing)
    found = target_groups.find_target_groups(standing.aws, owner)
    assert set(found) == {"ucp-443", "ucp-6443", "dtr-443", "apps-80", "apps-8080"}
    group = auto_scaling.find_group(standing.aws, owner)
    assert group is not None
    assert set(group.target_group_arns) == {found["apps-80"].arn, found["apps-8080"].arn}
    assert changing(cloud.calls(lambda: run_steps(cloud.cluster(apps=apps), CLOUD))) == []


def test_a_listener_of_the_operators_own_is_left_and_named(cloud: Cloud, standing: Any) -> None:
    owner = owner_of(standing)
    balancer = load_balancers.find_balancers(standing.aws, owner)["apps"]
    group = target_groups.find_target_groups(standing.aws, owner)["apps-80"]
    cloud.api.client("elbv2").create_listener(
        LoadBalancerArn=balancer.arn,
        Protocol="TCP",
        Port=9000,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group.arn}],
    )
    again = cloud.cluster()
    assert changing(cloud.calls(lambda: run_steps(again, CLOUD))) == []
    assert 9000 in listener_ports(standing, "apps")
    assert [text for text in again.report.warned if "listener" in text]  # type: ignore[attr-defined]


def test_balancers_are_as_they_should_be(cloud: Cloud, standing: Any) -> None:
    elb = cloud.api.client("elbv2")
    owner = owner_of(standing)
    found = target_groups.find_target_groups(standing.aws, owner)
    checks = {label: (item.port, item.health_check.protocol, item.health_check.port) for label, item in found.items()}
    assert checks == {
        "ucp-443": (443, "HTTPS", "443"),
        "ucp-6443": (6443, "HTTPS", "443"),
        "dtr-443": (4443, "HTTPS", "4443"),
        "apps-80": (80, "TCP", "traffic-port"),
        "apps-443": (443, "TCP", "traffic-port"),
    }
    assert {item.health_check.path for label, item in found.items() if not label.startswith("apps")} == {"/_ping"}
    for item in found.values():
        answer = elb.describe_target_group_attributes(TargetGroupArn=item.arn)["Attributes"]
        attributes = {attribute["Key"]: attribute["Value"] for attribute in answer}
        assert attributes["preserve_client_ip.enabled"] == "false"
    for role, balancer in load_balancers.find_balancers(standing.aws, owner).items():
        assert balancer.state == "active"
        assert len(balancer.group_ids) == 1
        answer = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer.arn)["Attributes"]
        assert {"Key": "load_balancing.cross_zone.enabled", "Value": "true"} in answer
        for listener in load_balancers.find_listeners(standing.aws, balancer.arn).values():
            answer = elb.describe_listener_attributes(ListenerArn=listener.arn)["Attributes"]
            assert {"Key": "tcp.idle_timeout.seconds", "Value": "3600"} in answer, role


def test_client_addresses_are_kept_where_it_is_asked_for(cloud: Cloud, standing: Any) -> None:
    run_steps(cloud.cluster(apps={"preserve_client_ip": True}), CLOUD)
    elb = cloud.api.client("elbv2")
    for label, item in target_groups.find_target_groups(standing.aws, owner_of(standing)).items():
        answer = elb.describe_target_group_attributes(TargetGroupArn=item.arn)["Attributes"]
        wanted = "true" if label.startswith("apps") else "false"
        assert {"Key": "preserve_client_ip.enabled", "Value": wanted} in answer


def test_more_application_ports_than_one_call_attaches(cloud: Cloud) -> None:
    ports = list(range(8000, 8013))
    cluster = cloud.cluster(apps={"ports": ports})
    run_steps(cluster, CLOUD)
    group = auto_scaling.find_group(cluster.aws, owner_of(cluster))
    assert group is not None
    assert len(group.target_group_arns) == 13
