"""The tags of everything in an account that takes tags, seen without a line of the tool's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Tagged = tuple[str, list[dict[str, str]]]
Client = Callable[[str], Any]
"""Makes a boto3 client of a service by its name."""


def tags_of_everything(client: Client) -> dict[str, dict[str, str]]:
    """Each resource's tags, by its id, name or ARN.

    Left out is what AWS itself makes: a VPC's default group and main route table, a group's rule that lets everything
    out, the balancers' interfaces, and its own public parameters.
    """
    scans = (_network, _security_groups, _machines, _balancers, _roles, _parameters, _zones, _scaling_groups)
    found = [tagged for scan in scans for tagged in scan(client)]
    return {what: {tag["Key"]: tag["Value"] for tag in tags} for what, tags in found}


def _own_networks(ec2: Any) -> list[dict[str, Any]]:
    return [vpc for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]


def _in_networks(ec2: Any) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc["VpcId"] for vpc in _own_networks(ec2)]}]


def _network(client: Client) -> Iterator[Tagged]:
    ec2 = client("ec2")
    for vpc in _own_networks(ec2):
        yield vpc["VpcId"], vpc.get("Tags", [])
    for subnet in ec2.describe_subnets(Filters=_in_networks(ec2))["Subnets"]:
        yield subnet["SubnetId"], subnet.get("Tags", [])
    for gateway in ec2.describe_internet_gateways()["InternetGateways"]:
        yield gateway["InternetGatewayId"], gateway.get("Tags", [])
    for table in ec2.describe_route_tables(Filters=_in_networks(ec2))["RouteTables"]:
        if not any(association["Main"] for association in table["Associations"]):
            yield table["RouteTableId"], table.get("Tags", [])


def _security_groups(client: Client) -> Iterator[Tagged]:
    ec2 = client("ec2")
    for group in ec2.describe_security_groups(Filters=_in_networks(ec2))["SecurityGroups"]:
        if group["GroupName"] == "default":
            continue
        yield group["GroupId"], group.get("Tags", [])
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group["GroupId"]]}])
        for rule in rules["SecurityGroupRules"]:
            if not (rule["IsEgress"] and rule["IpProtocol"] == "-1"):
                yield rule["SecurityGroupRuleId"], rule.get("Tags", [])


def _machines(client: Client) -> Iterator[Tagged]:
    ec2 = client("ec2")
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            yield instance["InstanceId"], instance.get("Tags", [])
    for volume in ec2.describe_volumes()["Volumes"]:
        yield volume["VolumeId"], volume.get("Tags", [])
    for interface in ec2.describe_network_interfaces(Filters=_in_networks(ec2))["NetworkInterfaces"]:
        if "InstanceId" in interface.get("Attachment", {}):
            yield interface["NetworkInterfaceId"], interface.get("TagSet", [])
    for pair in ec2.describe_key_pairs()["KeyPairs"]:
        yield pair["KeyName"], pair.get("Tags", [])
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        yield template["LaunchTemplateName"], template.get("Tags", [])


def _balancers(client: Client) -> Iterator[Tagged]:
    elb = client("elbv2")
    balancers = [item["LoadBalancerArn"] for item in elb.describe_load_balancers()["LoadBalancers"]]
    arns = [*balancers, *(item["TargetGroupArn"] for item in elb.describe_target_groups()["TargetGroups"])]
    for balancer in balancers:
        arns += [item["ListenerArn"] for item in elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]]
    for start in range(0, len(arns), 20):
        for item in elb.describe_tags(ResourceArns=arns[start : start + 20])["TagDescriptions"]:
            yield item["ResourceArn"], item["Tags"]


def _roles(client: Client) -> Iterator[Tagged]:
    iam = client("iam")
    for role in iam.list_roles(PathPrefix="/dockeree/")["Roles"]:
        yield role["Arn"], iam.list_role_tags(RoleName=role["RoleName"])["Tags"]
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        answer = iam.get_instance_profile(InstanceProfileName=profile["InstanceProfileName"])
        yield profile["Arn"], answer["InstanceProfile"].get("Tags", [])


def _parameters(client: Client) -> Iterator[Tagged]:
    ssm = client("ssm")
    for page in ssm.get_paginator("describe_parameters").paginate():
        for name in (parameter["Name"] for parameter in page["Parameters"]):
            if not name.startswith("/aws/"):
                answer = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
                yield name, answer["TagList"]


def _zones(client: Client) -> Iterator[Tagged]:
    route53 = client("route53")
    for zone in route53.list_hosted_zones()["HostedZones"]:
        zone_id = zone["Id"].rsplit("/", 1)[-1]
        answer = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone_id)
        yield zone["Name"], answer["ResourceTagSet"]["Tags"]


def _scaling_groups(client: Client) -> Iterator[Tagged]:
    for group in client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]:
        yield group["AutoScalingGroupName"], group["Tags"]
