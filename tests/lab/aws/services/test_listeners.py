"""Listeners of network load balancers."""

from __future__ import annotations

from dockeree.lab.aws.balancers import snapshot_balancers


def test_snapshot_has_the_listener(api, make_balancer, make_target_group, make_listener):
    group_arn = make_target_group()
    listener_arn = make_listener(make_balancer()["LoadBalancerArn"], group_arn)
    (listener,) = snapshot_balancers(api.lab)[0].listeners
    assert (listener.arn, listener.port, listener.protocol) == (listener_arn, 443, "TCP")
    assert (listener.target_group_arn, listener.idle_timeout_seconds) == (group_arn, 350)


def test_a_second_listener_on_a_port_is_refused(make_balancer, make_target_group, make_listener, refused):
    balancer_arn, group_arn = make_balancer()["LoadBalancerArn"], make_target_group()
    first = make_listener(balancer_arn, group_arn)
    assert make_listener(balancer_arn, group_arn) == first  # the very same is answered, as on AWS
    with refused("DuplicateListener"):
        make_listener(balancer_arn, make_target_group("other"))
    make_listener(balancer_arn, group_arn, Port=6443)


def test_target_group_must_serve_the_listeners_protocol(make_balancer, make_target_group, make_listener, refused):
    balancer_arn = make_balancer()["LoadBalancerArn"]
    with refused("IncompatibleProtocols"):
        make_listener(balancer_arn, make_target_group("udp", Protocol="UDP", Port=53))
    with refused("ValidationError"):
        make_listener(balancer_arn, make_target_group(), Protocol="HTTP")


def test_target_group_of_another_vpc_is_refused(ec2, make_balancer, make_target_group, make_listener, refused):
    elsewhere = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    with refused("InvalidConfigurationRequest"):
        make_listener(make_balancer()["LoadBalancerArn"], make_target_group(VpcId=elsewhere))


def test_a_target_group_serves_one_balancer(make_balancer, make_target_group, make_listener, refused):
    group_arn = make_target_group()
    make_listener(make_balancer("one")["LoadBalancerArn"], group_arn)
    with refused("TargetGroupAssociationLimit"):
        make_listener(make_balancer("two")["LoadBalancerArn"], group_arn)


def test_unknown_balancer_or_target_group(make_balancer, make_target_group, make_listener, refused):
    balancer_arn, group_arn = make_balancer()["LoadBalancerArn"], make_target_group()
    with refused("LoadBalancerNotFound"):
        make_listener(balancer_arn[:-4] + "0000", group_arn)
    with refused("TargetGroupNotFound"):
        make_listener(balancer_arn, group_arn[:-4] + "0000")


def test_idle_timeout_is_an_attribute_of_the_listener(
    api, elb, make_balancer, make_target_group, make_listener, refused
):
    arn = make_listener(make_balancer()["LoadBalancerArn"], make_target_group())
    described = elb.describe_listener_attributes(ListenerArn=arn)["Attributes"]
    assert described == [{"Key": "tcp.idle_timeout.seconds", "Value": "350"}]
    timeout = {"Key": "tcp.idle_timeout.seconds", "Value": "6000"}
    elb.modify_listener_attributes(ListenerArn=arn, Attributes=[timeout])
    assert snapshot_balancers(api.lab)[0].listeners[0].idle_timeout_seconds == 6000
    for value in ("59", "6001", "soon"):
        with refused("ValidationError"):
            elb.modify_listener_attributes(ListenerArn=arn, Attributes=[{**timeout, "Value": value}])
    with refused("ValidationError"):
        elb.modify_listener_attributes(ListenerArn=arn, Attributes=[{"Key": "idle", "Value": "60"}])


def test_modify_forwards_to_another_group(api, elb, make_balancer, make_target_group, make_listener, refused):
    arn = make_listener(make_balancer()["LoadBalancerArn"], make_target_group())
    other = make_target_group("other")
    elb.modify_listener(ListenerArn=arn, DefaultActions=[{"Type": "forward", "TargetGroupArn": other}])
    assert snapshot_balancers(api.lab)[0].listeners[0].target_group_arn == other
    udp = make_target_group("udp", Protocol="UDP", Port=53)
    with refused("IncompatibleProtocols"):
        elb.modify_listener(ListenerArn=arn, DefaultActions=[{"Type": "forward", "TargetGroupArn": udp}])


def test_deleting_the_balancer_takes_its_listeners(elb, make_balancer, make_target_group, make_listener, refused):
    balancer_arn, group_arn = make_balancer()["LoadBalancerArn"], make_target_group()
    listener_arn = make_listener(balancer_arn, group_arn)
    assert elb.describe_target_groups(LoadBalancerArn=balancer_arn)["TargetGroups"][0]["LoadBalancerArns"] == [
        balancer_arn
    ]
    elb.delete_load_balancer(LoadBalancerArn=balancer_arn)
    with refused("ListenerNotFound"):
        elb.describe_listeners(ListenerArns=[listener_arn])
    (group,) = elb.describe_target_groups(TargetGroupArns=[group_arn])["TargetGroups"]
    assert group.get("LoadBalancerArns", []) == []


def test_listener_pages_and_tags(elb, make_balancer, make_target_group, make_listener):
    balancer_arn, group_arn = make_balancer()["LoadBalancerArn"], make_target_group()
    tags = [{"Key": "dockeree:role", "Value": "ucp"}]
    arns = {make_listener(balancer_arn, group_arn, Port=port, Tags=tags) for port in (443, 6443, 8443)}
    pages = list(
        elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer_arn, PaginationConfig={"PageSize": 2})
    )
    assert [len(page["Listeners"]) for page in pages] == [2, 1]
    assert {listener["ListenerArn"] for page in pages for listener in page["Listeners"]} == arns
    for description in elb.describe_tags(ResourceArns=sorted(arns))["TagDescriptions"]:
        assert description["Tags"] == tags
