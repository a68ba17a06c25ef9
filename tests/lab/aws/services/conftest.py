"""A network, an image and clients for the tests of load balancing, Auto Scaling, Route 53, IAM, SSM and S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

AMI_PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"

TRUST_EC2 = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


@contextmanager
def refusal(*codes: str) -> Iterator[None]:
    """The call inside must fail with one of AWS's error codes."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] in codes, caught.value


@pytest.fixture
def refused() -> Callable[..., AbstractContextManager[None]]:
    """`with refused("Code"): call` — see `refusal`."""
    return refusal


@dataclass(frozen=True)
class Site:
    """A VPC with a gateway, three subnets in three zones, and a security group."""

    vpc_id: str
    subnet_ids: tuple[str, ...]
    group_id: str
    image_id: str


@pytest.fixture
def site(api: Any, ec2: Any) -> Site:
    vpc_id = ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    gateway_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    subnets = [
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.32.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for number, zone in enumerate("abc")
    ]
    group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc_id)
    image_id = api.client("ssm").get_parameter(Name=AMI_PARAMETER)["Parameter"]["Value"]
    return Site(vpc_id, tuple(subnet["Subnet"]["SubnetId"] for subnet in subnets), group["GroupId"], image_id)


@pytest.fixture
def elb(api: Any) -> Any:
    return api.client("elbv2")


@pytest.fixture
def run_instance(ec2: Any, site: Site, eventually: Any) -> Callable[..., str]:
    """Launch an instance in one of the site's subnets and wait until it runs."""

    def run(subnet: int = 0) -> str:
        instance_id = ec2.run_instances(
            ImageId=site.image_id,
            InstanceType="t3.medium",
            MinCount=1,
            MaxCount=1,
            SubnetId=site.subnet_ids[subnet],
            SecurityGroupIds=[site.group_id],
        )["Instances"][0]["InstanceId"]
        eventually(lambda: state_of(instance_id) == "running")
        return str(instance_id)

    def state_of(instance_id: str) -> str:
        described = ec2.describe_instances(InstanceIds=[instance_id])
        return str(described["Reservations"][0]["Instances"][0]["State"]["Name"])

    return run


@pytest.fixture
def make_balancer(elb: Any, site: Site) -> Callable[..., dict[str, Any]]:
    """CreateLoadBalancer with the site's subnets and group, unless said otherwise."""

    def make(name: str = "apps", **settings: Any) -> dict[str, Any]:
        request = {
            "Name": name,
            "Type": "network",
            "Subnets": list(site.subnet_ids),
            "SecurityGroups": [site.group_id],
            **settings,
        }
        answer = elb.create_load_balancer(**{key: value for key, value in request.items() if value is not None})
        return dict(answer["LoadBalancers"][0])

    return make


@pytest.fixture
def make_target_group(elb: Any, site: Site) -> Callable[..., str]:
    """CreateTargetGroup, TCP 443 in the site's VPC unless said otherwise; its ARN."""

    def make(name: str = "apps-443", **settings: Any) -> str:
        request = {"Name": name, "Protocol": "TCP", "Port": 443, "VpcId": site.vpc_id, **settings}
        return str(elb.create_target_group(**request)["TargetGroups"][0]["TargetGroupArn"])

    return make


@pytest.fixture
def make_listener(elb: Any) -> Callable[..., str]:
    """CreateListener, TCP 443 unless said otherwise; its ARN."""

    def make(balancer_arn: str, group_arn: str, **settings: Any) -> str:
        request = {
            "LoadBalancerArn": balancer_arn,
            "Protocol": "TCP",
            "Port": 443,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": group_arn}],
            **settings,
        }
        return str(elb.create_listener(**request)["Listeners"][0]["ListenerArn"])

    return make


@pytest.fixture
def make_profile(api: Any, eventually: Any) -> Callable[..., str]:
    """A role that EC2 may assume, in an instance profile of the same name that is usable already."""
    iam = api.client("iam")

    def make(name: str = "worker", policy: str | None = None) -> str:
        from dockeree.lab.aws.iam import profile_is_usable

        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_EC2)["Role"]
        if policy:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        eventually(lambda: profile_is_usable(api.lab, name))
        return str(role["Arn"])

    return make


@pytest.fixture
def user_client(api: Any) -> Callable[..., Any]:
    """A client of a new IAM user with this one inline policy."""
    iam = api.client("iam")

    def make(service: str, policy: str, name: str = "someone", region: str = "us-east-1") -> Any:
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return api.client(service, region, credentials=(key["AccessKeyId"], key["SecretAccessKey"]))

    return make
