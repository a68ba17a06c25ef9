"""Network load balancers: one test for each behaviour of AWS that moto lacks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dockeree.lab.aws.balancers import snapshot_balancers


def _state(elb: Any, arn: str) -> str:
    return str(elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"])


@pytest.mark.parametrize("time_scale", [0.002])
def test_provisioning_first_then_active_whoever_looks(api, elb, make_balancer, eventually):
    balancer = make_balancer()
    assert balancer["State"]["Code"] == "provisioning"
    assert _state(elb, balancer["LoadBalancerArn"]) == "provisioning"
    assert not snapshot_balancers(api.lab)[0].active
    eventually(lambda: _state(elb, balancer["LoadBalancerArn"]) == "active")
    assert snapshot_balancers(api.lab)[0].active


def test_dns_name_and_arn_look_like_those_of_network_load_balancers(make_balancer):
    balancer = make_balancer("apps")
    assert re.fullmatch(r"apps-[0-9a-f]{16}\.elb\.us-east-1\.amazonaws\.com", balancer["DNSName"])
    assert ":loadbalancer/net/apps/" in balancer["LoadBalancerArn"]
    assert balancer["CanonicalHostedZoneId"] == "Z26RNL4JYFTOTI"


def test_one_interface_a_subnet_owned_by_amazon(site, ec2, make_balancer):
    balancer = make_balancer()
    path = balancer["LoadBalancerArn"].partition("loadbalancer/")[2]
    filters = [{"Name": "description", "Values": [f"ELB {path}"]}]
    interfaces = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert {interface["SubnetId"] for interface in interfaces} == set(site.subnet_ids)
    for interface in interfaces:
        assert interface["RequesterManaged"]
        assert interface["RequesterId"] == "amazon-elb"
        assert interface["Attachment"]["InstanceOwnerId"] == "amazon-elb"
        assert interface["Status"] == "in-use"
        assert [group["GroupId"] for group in interface["Groups"]] == [site.group_id]
        assert interface["Association"]["PublicIp"].startswith("198.18.7.")


def test_an_internal_balancer_has_no_public_addresses(api, make_balancer):
    make_balancer(Scheme="internal")
    (balancer,) = snapshot_balancers(api.lab)
    assert not balancer.internet_facing
    assert [interface.public_ip for interface in balancer.interfaces] == [None] * 3


def test_snapshot_has_interfaces_with_their_addresses(api, site, make_balancer):
    made = make_balancer()
    (balancer,) = snapshot_balancers(api.lab)
    assert (balancer.arn, balancer.dns_name) == (made["LoadBalancerArn"], made["DNSName"])
    assert [interface.private_ip for interface in balancer.interfaces] == ["10.32.0.4", "10.32.1.4", "10.32.2.4"]
    assert len({interface.public_ip for interface in balancer.interfaces}) == 3
    assert {interface.owner for interface in balancer.interfaces} == {balancer.arn}


@pytest.mark.parametrize("time_scale", [0.005])
def test_interfaces_linger_and_hold_subnet_and_group(site, ec2, elb, make_balancer, refused, eventually):
    balancer = make_balancer()
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    with refused("LoadBalancerNotFound"):
        elb.describe_load_balancers(LoadBalancerArns=[balancer["LoadBalancerArn"]])
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 3
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=site.subnet_ids[0])
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=site.group_id)
    eventually(lambda: not ec2.describe_network_interfaces()["NetworkInterfaces"])
    ec2.delete_subnet(SubnetId=site.subnet_ids[0])
    ec2.delete_security_group(GroupId=site.group_id)


def test_addresses_come_back_when_the_interfaces_are_gone(api, ec2, elb, make_balancer, eventually):
    elb.delete_load_balancer(LoadBalancerArn=make_balancer()["LoadBalancerArn"])
    eventually(lambda: not ec2.describe_network_interfaces()["NetworkInterfaces"])
    make_balancer("another")
    addresses = [interface.private_ip for interface in snapshot_balancers(api.lab)[0].interfaces]
    assert addresses == ["10.32.0.4", "10.32.1.4", "10.32.2.4"]


def test_same_name_and_settings_answer_the_existing_one(make_balancer):
    assert make_balancer()["LoadBalancerArn"] == make_balancer()["LoadBalancerArn"]


def test_same_name_with_other_settings_is_refused(site, make_balancer, refused):
    make_balancer()
    with refused("DuplicateLoadBalancerName"):
        make_balancer(Scheme="internal")
    with refused("DuplicateLoadBalancerName"):
        make_balancer(Subnets=[site.subnet_ids[0]])
    with refused("DuplicateLoadBalancerName"):
        make_balancer(SecurityGroups=None)


def test_names_have_32_characters_at_most(make_balancer, refused):
    make_balancer("a" * 32)
    for name in ("a" * 33, "-apps", "apps-", "internal-apps", "under_score"):
        with refused("ValidationError"):
            make_balancer(name)


def test_unknown_subnets_and_groups_are_refused(make_balancer, refused):
    with refused("SubnetNotFound"):
        make_balancer(Subnets=["subnet-0123456789abcdef0"])
    with refused("InvalidSecurityGroup"):
        make_balancer(SecurityGroups=["sg-0123456789abcdef0"])


def test_internet_facing_needs_a_gateway(ec2, elb, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    with refused("InvalidSubnet"):
        elb.create_load_balancer(Name="apps", Type="network", Subnets=[subnet_id])


def test_one_subnet_a_zone(site, ec2, make_balancer, refused):
    second = ec2.create_subnet(VpcId=site.vpc_id, CidrBlock="10.32.9.0/24", AvailabilityZone="us-east-1a")
    with refused("InvalidConfigurationRequest"):
        make_balancer(Subnets=[site.subnet_ids[0], second["Subnet"]["SubnetId"]])


def test_security_groups_only_where_there_were_some_at_creation(api, site, ec2, elb, make_balancer, refused):
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=site.vpc_id)["GroupId"]
    bare, guarded = make_balancer("bare", SecurityGroups=None), make_balancer("guarded")
    with refused("InvalidConfigurationRequest"):
        elb.set_security_groups(LoadBalancerArn=bare["LoadBalancerArn"], SecurityGroups=[other])
    elb.set_security_groups(LoadBalancerArn=guarded["LoadBalancerArn"], SecurityGroups=[other])
    by_name = {balancer.name: balancer for balancer in snapshot_balancers(api.lab)}
    assert by_name["guarded"].interfaces[0].group_ids == (other,)
    assert by_name["bare"].interfaces[0].group_ids == ()


def test_deletion_protection(elb, make_balancer, refused):
    arn = make_balancer()["LoadBalancerArn"]
    protection = {"Key": "deletion_protection.enabled", "Value": "true"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[protection])
    with refused("OperationNotPermitted"):
        elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{**protection, "Value": "false"}])
    elb.delete_load_balancer(LoadBalancerArn=arn)


def test_deleting_twice_is_fine(elb, make_balancer):
    arn = make_balancer()["LoadBalancerArn"]
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.delete_load_balancer(LoadBalancerArn=arn)


def test_cross_zone_is_off_until_switched_on(api, elb, make_balancer, refused):
    arn = make_balancer()["LoadBalancerArn"]
    assert not snapshot_balancers(api.lab)[0].cross_zone
    cross_zone = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[cross_zone])
    assert snapshot_balancers(api.lab)[0].cross_zone
    with refused("ValidationError"):
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{**cross_zone, "Value": "yes"}])
    with refused("ValidationError"):
        elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "60"}]
        )


def test_tags_in_the_creating_call(elb, make_balancer, refused):
    tags = [{"Key": f"key-{number}", "Value": "value"} for number in range(20)]
    arn = make_balancer(Tags=tags)["LoadBalancerArn"]
    assert elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == tags
    with refused("ValidationError"):
        make_balancer("other", Tags=[{"Key": "aws:mine", "Value": "no"}])
    elb.delete_load_balancer(LoadBalancerArn=arn)
    with refused("LoadBalancerNotFound"):
        elb.describe_tags(ResourceArns=[arn])


def test_pages(elb, make_balancer, refused):
    names = {make_balancer(name)["LoadBalancerName"] for name in ("one", "two", "three")}
    first = elb.describe_load_balancers(PageSize=2)
    second = elb.describe_load_balancers(PageSize=2, Marker=first["NextMarker"])
    assert [len(page["LoadBalancers"]) for page in (first, second)] == [2, 1]
    assert "NextMarker" not in second
    assert {b["LoadBalancerName"] for page in (first, second) for b in page["LoadBalancers"]} == names
    with refused("ValidationError"):
        elb.describe_load_balancers(PageSize=0)


def test_unknown_names_are_refused_beside_known_ones(elb, make_balancer, refused):
    make_balancer("known")
    with refused("LoadBalancerNotFound"):
        elb.describe_load_balancers(Names=["known", "unknown"])


def test_the_first_balancer_makes_the_service_linked_role(api, make_balancer):
    iam = api.client("iam")
    path = "/aws-service-role/elasticloadbalancing.amazonaws.com/"
    assert iam.list_roles(PathPrefix=path)["Roles"] == []
    make_balancer("one")
    make_balancer("two")
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix=path)["Roles"]] == [
        "AWSServiceRoleForElasticLoadBalancing"
    ]


def test_subnets_need_free_addresses(site, ec2, elb, refused):
    small = ec2.create_subnet(VpcId=site.vpc_id, CidrBlock="10.32.9.0/28", AvailabilityZone="us-east-1d")["Subnet"]
    subnet_id = small["SubnetId"]
    for number in range(4, 9):
        ec2.create_network_interface(SubnetId=subnet_id, PrivateIpAddress=f"10.32.9.{number}")
    with refused("InvalidSubnet"):
        elb.create_load_balancer(Name="apps", Type="network", Subnets=[subnet_id])


def test_nobody_but_amazon_takes_an_interface_away(ec2, make_balancer, refused):
    make_balancer()
    interface = ec2.describe_network_interfaces()["NetworkInterfaces"][0]
    with refused("InvalidParameterValue", "InvalidNetworkInterface.InUse", "OperationNotPermitted"):
        ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
