"""Everything that stands in an account, seen without a line of the tool's own code.

Written for tests alone: it lists every kind of resource that a cluster could leave behind, by plain list calls, with no
filter by tag or name, so that a forgotten tag hides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import boto3

Scan = dict[str, set[str]]

GONE = {"terminated", "shutting-down"}


def scan(region: str = "us-east-1", endpoint_url: str | None = None, **credentials: str) -> Scan:
    """Ids (or names) of all resources by kind. Terminated instances, which stay listed for an hour, are not there."""
    url = endpoint_url or os.environ["AWS_ENDPOINT_URL"]

    def client(service: str) -> Any:
        return boto3.client(service, region_name=region, endpoint_url=url, **credentials)

    ec2, elb, asg = client("ec2"), client("elbv2"), client("autoscaling")
    iam, ssm, s3, route53 = client("iam"), client("ssm"), client("s3"), client("route53")
    kinds: dict[str, Callable[[], Iterable[str]]] = {
        "instance": lambda: _instances(ec2),
        "volume": lambda: _pages(ec2, "describe_volumes", "Volumes", "VolumeId"),
        "interface": lambda: _pages(ec2, "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        "address": lambda: [a["AllocationId"] for a in ec2.describe_addresses()["Addresses"]],
        "vpc": lambda: _pages(ec2, "describe_vpcs", "Vpcs", "VpcId"),
        "subnet": lambda: _pages(ec2, "describe_subnets", "Subnets", "SubnetId"),
        "route table": lambda: _pages(ec2, "describe_route_tables", "RouteTables", "RouteTableId"),
        "gateway": lambda: _pages(ec2, "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        "nat gateway": lambda: _pages(ec2, "describe_nat_gateways", "NatGateways", "NatGatewayId"),
        "endpoint": lambda: _pages(ec2, "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        "security group": lambda: _pages(ec2, "describe_security_groups", "SecurityGroups", "GroupId"),
        "key pair": lambda: [k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        "launch template": lambda: _pages(ec2, "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
        "balancer": lambda: _pages(elb, "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
        "target group": lambda: _pages(elb, "describe_target_groups", "TargetGroups", "TargetGroupArn"),
        "group": lambda: _pages(asg, "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
        "launch configuration": lambda: _pages(
            asg, "describe_launch_configurations", "LaunchConfigurations", "LaunchConfigurationName"
        ),
        "role": lambda: _own_roles(iam),
        "instance profile": lambda: _pages(iam, "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
        "policy": lambda: [p["Arn"] for p in iam.list_policies(Scope="Local")["Policies"]],
        "parameter": lambda: _pages(ssm, "describe_parameters", "Parameters", "Name"),
        "bucket": lambda: [b["Name"] for b in s3.list_buckets()["Buckets"]],
        "hosted zone": lambda: _pages(route53, "list_hosted_zones", "HostedZones", "Id"),
    }
    return {kind: set(list_them()) for kind, list_them in kinds.items()}


def difference(before: Scan, after: Scan) -> dict[str, dict[str, list[str]]]:
    """What came and what went, by kind; empty when nothing did."""
    changes = {
        kind: {"came": sorted(after[kind] - before[kind]), "went": sorted(before[kind] - after[kind])}
        for kind in before
    }
    return {kind: change for kind, change in changes.items() if change["came"] or change["went"]}


def _pages(client: Any, operation: str, key: str, field: str) -> list[str]:
    if not client.can_paginate(operation):
        return [item[field] for item in getattr(client, operation)()[key]]
    return [item[field] for page in client.get_paginator(operation).paginate() for item in page[key]]


def _instances(ec2: Any) -> list[str]:
    pages = ec2.get_paginator("describe_instances").paginate()
    instances = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
    return [i["InstanceId"] for i in instances if i["State"]["Name"] not in GONE]


def _own_roles(iam: Any) -> list[str]:
    """Service-linked roles are AWS's own: they come with the first balancer and stay with the account."""
    roles = [role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    return [role["RoleName"] for role in roles if not role["Path"].startswith("/aws-service-role/")]
