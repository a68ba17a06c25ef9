"""Which resources a call is about, as IAM sees it: their ARNs, and their tags where conditions may ask for them.

Only what can be read off the request is named; calls that AWS checks on `*` (all describes and lists) are asked on `*`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from dockeree.lab.settings import ACCOUNT_ID


@dataclass(frozen=True)
class Asked:
    """One resource of a request; `tags` as they are now."""

    arn: str
    tags: dict[str, str] = field(default_factory=dict)


EVERYTHING = (Asked("*"),)


def resources_of(response: Any, service: str, action: str) -> tuple[Asked, ...]:
    """The resources that a call names, at least one. `response` is moto's handler of the request."""
    finder = _FINDERS.get(service)
    found = tuple(finder(response, action)) if finder else ()
    return found or EVERYTHING


def _ssm(response: Any, action: str) -> Iterator[Asked]:
    if action.startswith("Describe"):
        return
    names = list(response._get_param("Names", []))
    for key in ("Name", "Path"):
        if response._get_param(key):
            names.append(response._get_param(key))
    if response._get_param("ResourceType") == "Parameter":
        names.append(response._get_param("ResourceId"))
    for name in names:
        yield Asked(parameter_arn(response.region, name))


def parameter_arn(region: str, name: str) -> str:
    """The ARN of a parameter: a name with a path brings its own slash. A version or label is not part of it."""
    if name.startswith("arn:"):
        return name
    bare = name.split(":")[0]
    return f"arn:aws:ssm:{region}:{ACCOUNT_ID}:parameter{bare if bare.startswith('/') else '/' + bare}"


def _iam(response: Any, action: str) -> Iterator[Asked]:
    if action.startswith("List") and not response._get_param("RoleName"):
        return
    backend = iam_backends[ACCOUNT_ID]["aws"]
    path = response._get_param("Path", "/")
    if name := response._get_param("InstanceProfileName"):
        known = backend.instance_profiles.get(name)
        yield Asked(known.arn if known else f"arn:aws:iam::{ACCOUNT_ID}:instance-profile{path}{name}", _tags(known))
    if name := response._get_param("RoleName"):
        role = next((role for role in backend.roles.values() if role.name == name), None)
        if action != "AddRoleToInstanceProfile":
            yield Asked(role.arn if role else f"arn:aws:iam::{ACCOUNT_ID}:role{path}{name}", _tags(role))
    elif name := response._get_param("UserName"):
        yield Asked(f"arn:aws:iam::{ACCOUNT_ID}:user{path}{name}")
    elif action == "CreatePolicy":
        yield Asked(f"arn:aws:iam::{ACCOUNT_ID}:policy{path}{response._get_param('PolicyName')}")
    elif action == "CreateServiceLinkedRole":
        yield Asked(f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{response._get_param('AWSServiceName')}/*")
    elif arn := response._get_param("PolicyArn"):
        yield Asked(arn)


def _tags(model: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in getattr(model, "tags", None) or []}


_EC2_IDS: dict[str, tuple[str, ...]] = {
    "instance": ("InstanceIds", "InstanceId", "Resources"),
    "security-group": ("GroupId", "SecurityGroupIds"),
    "subnet": ("SubnetId",),
    "vpc": ("VpcId",),
    "volume": ("VolumeId",),
    "network-interface": ("NetworkInterfaceId",),
    "route-table": ("RouteTableId",),
    "internet-gateway": ("InternetGatewayId",),
    "launch-template": ("LaunchTemplateId", "LaunchTemplate.LaunchTemplateId"),
}
"""Kinds of EC2's resources, and the parameters that name them by id."""

_EC2_PREFIXES = {
    "i": "instance",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "vol": "volume",
    "eni": "network-interface",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "key": "key-pair",
    "eipalloc": "elastic-ip",
}

_EC2_MAKES = {
    "RunInstances": ("instance", "volume", "network-interface"),
    "CreateVpc": ("vpc",),
    "CreateSubnet": ("subnet",),
    "CreateSecurityGroup": ("security-group",),
    "CreateInternetGateway": ("internet-gateway",),
    "CreateRouteTable": ("route-table",),
    "CreateLaunchTemplate": ("launch-template",),
    "AllocateAddress": ("elastic-ip",),
}


def _ec2(response: Any, action: str) -> Iterator[Asked]:
    if action.startswith(("Describe", "Get")):
        return
    tags = ec2_backends[ACCOUNT_ID][response.region].tags
    arn = f"arn:aws:ec2:{response.region}:{ACCOUNT_ID}"
    for kind in _EC2_MAKES.get(action, ()):
        yield Asked(f"{arn}:{kind}/*")
    for parameters in _EC2_IDS.values():
        for parameter in parameters:
            value = response._get_param(parameter)
            for resource_id in value if isinstance(value, list) else [value] if value else []:
                kind = _EC2_PREFIXES.get(resource_id.partition("-")[0], "*")
                yield Asked(f"{arn}:{kind}/{resource_id}", dict(tags.get(resource_id, {})))
    if name := response._get_param("KeyName"):
        yield Asked(f"{arn}:key-pair/{name}")
    if image := response._get_param("ImageId"):
        yield Asked(f"arn:aws:ec2:{response.region}::image/{image}")


def _route53(response: Any, action: str) -> Iterator[Asked]:
    if action in ("CreateHostedZone", "ListHostedZones", "ListHostedZonesByName", "ListHostedZonesByVPC"):
        return
    identifier = response._get_param("HostedZoneId") or response._get_param("Id") or response._get_param("ResourceId")
    if identifier:
        kind = "change" if action == "GetChange" else "hostedzone"
        yield Asked(f"arn:aws:route53:::{kind}/{identifier.rpartition('/')[2]}")


def _load_balancing(response: Any, action: str) -> Iterator[Asked]:
    if action.startswith("Describe"):
        return
    for parameter in ("LoadBalancerArn", "TargetGroupArn", "ListenerArn"):
        if arn := response._get_param(parameter):
            yield Asked(arn)
    for arn in response._get_param("ResourceArns", []):
        yield Asked(arn)


def _auto_scaling(response: Any, action: str) -> Iterator[Asked]:
    if action.startswith("Describe"):
        return
    if name := response._get_param("AutoScalingGroupName"):
        yield Asked(
            f"arn:aws:autoscaling:{response.region}:{ACCOUNT_ID}:autoScalingGroup:*:autoScalingGroupName/{name}"
        )


def _sts(response: Any, _action: str) -> Iterator[Asked]:
    if arn := response._get_param("RoleArn"):
        yield Asked(arn)


_FINDERS: dict[str, Callable[[Any, str], Iterator[Asked]]] = {
    "ssm": _ssm,
    "iam": _iam,
    "ec2": _ec2,
    "route53": _route53,
    "elasticloadbalancing": _load_balancing,
    "autoscaling": _auto_scaling,
    "sts": _sts,
}
