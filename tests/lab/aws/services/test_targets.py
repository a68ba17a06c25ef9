"""Target groups, and targets that are registered, checked and drained."""

from __future__ import annotations

from typing import Any

import pytest

from dockeree.lab.aws.targets import snapshot_target_groups
from dockeree.lab.world import HealthCheck, Target, TargetHealth


def _health(elb: Any, arn: str) -> dict[str, tuple[str, str]]:
    described = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {
        entry["Target"]["Id"]: (entry["TargetHealth"]["State"], entry["TargetHealth"].get("Reason", ""))
        for entry in described
    }


@pytest.fixture
def serving(elb, make_balancer, make_target_group, make_listener, eventually) -> str:
    """A target group behind an active balancer."""
    balancer_arn, group_arn = make_balancer()["LoadBalancerArn"], make_target_group()
    make_listener(balancer_arn, group_arn)

    def is_active() -> bool:
        described = elb.describe_load_balancers(LoadBalancerArns=[balancer_arn])["LoadBalancers"][0]
        return bool(described["State"]["Code"] == "active")

    eventually(is_active)
    return str(group_arn)


def test_https_health_check_on_a_tcp_group(api, elb, make_target_group):
    arn = make_target_group(HealthCheckProtocol="HTTPS", HealthCheckPath="/_ping", HealthCheckIntervalSeconds=10)
    (group,) = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    assert (group["Protocol"], group["HealthCheckProtocol"], group["HealthCheckPath"]) == ("TCP", "HTTPS", "/_ping")
    assert group["Matcher"] == {"HttpCode": "200-399"}
    assert snapshot_target_groups(api.lab)[0].health_check == HealthCheck("HTTPS", None, "/_ping", 10, 10, 5, 2)


def test_health_check_settings_are_bounded(make_target_group, refused):
    for settings in (
        {"HealthCheckIntervalSeconds": 4},
        {"HealthCheckTimeoutSeconds": 121},
        {"HealthyThresholdCount": 11},
        {"HealthCheckProtocol": "HTTP", "HealthCheckPath": "ping"},
    ):
        with refused("ValidationError"):
            make_target_group(**settings)
    with refused("InvalidConfigurationRequest"):
        make_target_group(HealthCheckProtocol="TCP", HealthCheckPath="/_ping")


def test_health_check_modified(api, elb, make_target_group):
    arn = make_target_group()
    elb.modify_target_group(
        TargetGroupArn=arn, HealthCheckProtocol="HTTP", HealthCheckPath="/up", HealthCheckPort="8080",
        HealthyThresholdCount=2, Matcher={"HttpCode": "200"},
    )  # fmt: skip
    check = snapshot_target_groups(api.lab)[0].health_check
    assert (check.protocol, check.path, check.port, check.healthy_threshold) == ("HTTP", "/up", 8080, 2)
    assert check.success_codes == "200"


def test_same_name_and_settings_answer_the_existing_group(make_target_group, refused):
    assert make_target_group() == make_target_group()
    with refused("DuplicateTargetGroupName"):
        make_target_group(Port=8443)


def test_attributes_and_their_defaults(api, elb, make_target_group, refused):
    arn = make_target_group()
    described = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    attributes = {attribute["Key"]: attribute["Value"] for attribute in described}
    assert attributes["preserve_client_ip.enabled"] == "true"
    assert attributes["deregistration_delay.timeout_seconds"] == "300"
    assert snapshot_target_groups(api.lab)[0].preserve_client_ip
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "preserve_client_ip.enabled", "Value": "false"}]
    )
    assert not snapshot_target_groups(api.lab)[0].preserve_client_ip
    for key, value in (("deregistration_delay.timeout_seconds", "3601"), ("no.such.key", "true")):
        with refused("ValidationError"):
            elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[{"Key": key, "Value": value}])


def test_a_group_in_use_cannot_be_deleted(elb, serving, refused):
    with refused("ResourceInUse"):
        elb.delete_target_group(TargetGroupArn=serving)


def test_target_groups_page(elb, make_target_group):
    arns = {make_target_group(f"group-{number}") for number in range(5)}
    pages = list(elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["TargetGroups"]) for page in pages] == [2, 2, 1]
    assert {group["TargetGroupArn"] for page in pages for group in page["TargetGroups"]} == arns


def test_unknown_and_terminated_instances_are_no_targets(ec2, elb, serving, run_instance, refused):
    with refused("InvalidTarget"):
        elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": "i-0123456789abcdef0"}])
    gone = run_instance()
    ec2.terminate_instances(InstanceIds=[gone])
    with refused("InvalidTarget"):
        elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": gone}])


def test_one_bad_target_registers_none(elb, serving, run_instance, refused):
    good = run_instance()
    with refused("InvalidTarget"):
        elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": good}, {"Id": "i-0123456789abcdef0"}])
    assert _health(elb, serving) == {}


def test_health_is_what_the_network_says(api, elb, serving, run_instance):
    instance_id = run_instance()
    elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    for state, reason in (
        ("initial", "Elb.InitialHealthChecking"),
        ("unhealthy", "Target.FailedHealthChecks"),
        ("healthy", ""),
    ):
        api.wiring.health_of[instance_id] = TargetHealth(state, reason)
        assert _health(elb, serving) == {instance_id: (state, reason)}


def test_one_instance_can_serve_on_several_ports(api, elb, serving, run_instance):
    instance_id = run_instance()
    elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}, {"Id": instance_id, "Port": 8443}])
    assert snapshot_target_groups(api.lab)[0].targets == (Target(instance_id, 443), Target(instance_id, 8443))


def test_unused_without_a_listener(elb, make_target_group, run_instance):
    arn, instance_id = make_target_group(), run_instance()
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance_id}])
    assert _health(elb, arn) == {instance_id: ("unused", "Target.NotInUse")}


def test_unused_in_a_zone_that_the_balancer_is_not_in(
    site, elb, make_balancer, make_target_group, make_listener, run_instance
):
    balancer_arn, group_arn = make_balancer(Subnets=[site.subnet_ids[0]])["LoadBalancerArn"], make_target_group()
    make_listener(balancer_arn, group_arn)
    instance_id = run_instance(subnet=1)
    elb.register_targets(TargetGroupArn=group_arn, Targets=[{"Id": instance_id}])
    assert _health(elb, group_arn) == {instance_id: ("unused", "Target.NotInUse")}
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer_arn, Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
    )
    assert _health(elb, group_arn)[instance_id][0] != "unused"


def test_a_stopped_instance_is_unused(ec2, elb, serving, run_instance, eventually):
    instance_id = run_instance()
    elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    ec2.stop_instances(InstanceIds=[instance_id])
    eventually(lambda: _health(elb, serving) == {instance_id: ("unused", "Target.InvalidState")})


@pytest.mark.parametrize("time_scale", [0.002])
def test_deregistering_drains_for_the_delay(api, elb, serving, run_instance, eventually):
    instance_id = run_instance()
    elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    elb.deregister_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    assert _health(elb, serving) == {instance_id: ("draining", "Target.DeregistrationInProgress")}
    assert snapshot_target_groups(api.lab)[0].targets == (Target(instance_id, 443, draining=True),)
    eventually(lambda: _health(elb, serving) == {})
    assert snapshot_target_groups(api.lab)[0].targets == ()


@pytest.mark.parametrize("time_scale", [0.002])
def test_registering_again_ends_the_draining(api, elb, serving, run_instance):
    instance_id = run_instance()
    for _ in range(2):
        elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
        elb.deregister_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    assert snapshot_target_groups(api.lab)[0].targets == (Target(instance_id, 443),)


def test_a_terminated_instance_drops_out(ec2, elb, serving, run_instance, eventually):
    instance_id = run_instance()
    elb.register_targets(TargetGroupArn=serving, Targets=[{"Id": instance_id}])
    ec2.terminate_instances(InstanceIds=[instance_id])
    eventually(lambda: _health(elb, serving) == {})
