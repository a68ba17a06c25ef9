"""What AWS checks before an Auto Scaling group is made or changed: all of it, so that a refusal leaves nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.core.exceptions import ServiceException

from dockeree.lab.aws import authorization, iam, images, instance_profiles, launch_plan, launch_templates
from dockeree.lab.aws.core import Lab
from dockeree.lab.settings import ACCOUNT_ID


class Groups(OrderedDict[str, Any]):
    """moto's groups by name; an unknown name is AWS's ValidationError rather than a KeyError."""

    def __missing__(self, name: str) -> Any:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


def check_sizes(minimum: int, maximum: int, desired: int | None) -> None:
    """Raise ValidationError where the bounds or the desired capacity do not fit each other."""
    if minimum < 0 or maximum < 0 or (desired is not None and desired < 0):
        raise ValidationError("Group sizes must not be negative")
    if maximum < minimum:
        raise ValidationError(f"Max bound, {maximum}, must be greater than or equal to min bound, {minimum}")
    if desired is not None and not minimum <= desired <= maximum:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
        )


def check_new(lab: Lab, backend: Any, request: dict[str, Any]) -> None:
    """Everything of CreateAutoScalingGroup that AWS refuses."""
    name = request["name"]
    if name in backend.autoscaling_groups:
        raise AutoscalingClientError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
        )
    check_sizes(int(request["min_size"]), int(request["max_size"]), request["desired_capacity"])
    if request.get("launch_config_name") or request.get("instance_id") or request.get("mixed_instances_policy"):
        raise ValidationError("The lab's Auto Scaling groups launch from a LaunchTemplate")
    if not request.get("vpc_zone_identifier"):
        raise ValidationError("The lab's Auto Scaling groups need VPCZoneIdentifier: the subnets to launch into")
    _check_tags(request.get("tags") or [])
    subnets = check_subnets(backend, request["vpc_zone_identifier"])
    check_target_groups(backend, request.get("target_group_arns") or [])
    check_template(lab, backend, request.get("launch_template") or {}, subnets)


def _check_tags(tags: list[dict[str, Any]]) -> None:
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise ValidationError("Tag keys must not begin with the reserved prefix 'aws:'")


def check_subnets(backend: Any, identifier: str) -> list[Any]:
    """The subnets of a VPCZoneIdentifier, in one VPC."""
    known = {subnet.id: subnet for subnet in backend.ec2_backend.describe_subnets()}
    subnets = []
    for subnet_id in identifier.split(","):
        if subnet_id not in known:
            raise ValidationError(f"The subnet ID '{subnet_id}' does not exist")
        subnets.append(known[subnet_id])
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        raise ValidationError("The subnets must belong to one VPC")
    return subnets


def check_target_groups(backend: Any, arns: list[str]) -> None:
    """Target groups must be there when they are named."""
    for arn in arns:
        if arn not in backend.elbv2_backend.target_groups:
            raise ValidationError(
                f"Provided Target Groups may not be valid. Please ensure they exist and try again: {arn}"
            )


def check_template(lab: Lab, backend: Any, specification: dict[str, Any], subnets: list[Any]) -> None:
    """Try the launch template dry, as AWS does: what it names must be there, and the caller may pass its role on."""
    if bool(specification.get("LaunchTemplateId")) == bool(specification.get("LaunchTemplateName")):
        raise ValidationError("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    try:
        version = launch_templates.resolve(backend.ec2_backend, specification)
        arguments = {"launch_template": {"LaunchTemplateId": version.template_id, "Version": str(version.number)}}
        _try_dry(lab, backend.ec2_backend, arguments, subnets)
    except ServiceException as error:
        raise ValidationError(f"You must use a valid fully-formed launch template. {error.message}") from error
    _check_permissions(lab, backend.region_name, version)


def _try_dry(lab: Lab, ec2: Any, arguments: dict[str, Any], subnets: list[Any]) -> None:
    launch_plan.merge_template(ec2, arguments)
    launch_plan.flatten_interface(arguments)
    launch_plan.check_user_data(arguments.get("user_data"))
    images.find_image(ec2, arguments.get("image_id"))
    launch_plan.check_key(ec2, arguments.get("key_name"))
    for subnet in subnets:
        launch_plan.choose_groups(ec2, arguments, subnet)
    launch_plan.check_type(ec2.region_name, str(arguments.get("instance_type")), subnets[0].availability_zone)
    instance_profiles.find_profile(
        lab, arguments.get("iam_instance_profile_name"), arguments.get("iam_instance_profile_arn")
    )


def _check_permissions(lab: Lab, region: str, version: launch_templates.TemplateVersion) -> None:
    """With a launch template, AWS asks the caller's own permissions to launch, and to pass the profile's role on."""
    authorization.require(lab, "ec2:RunInstances", f"arn:aws:ec2:{region}:{ACCOUNT_ID}:instance/*")
    named = version.profile[0] or version.profile[1]
    if named:
        iam.require_pass_role(lab, named)


def check_update(lab: Lab, backend: Any, request: dict[str, Any]) -> dict[str, Any]:
    """UpdateAutoScalingGroup, checked; the desired capacity follows the new bounds where none is given."""
    group = backend.autoscaling_groups[request["name"]]
    check_alive(group)
    minimum = group.min_size if request["min_size"] is None else request["min_size"]
    maximum = group.max_size if request["max_size"] is None else request["max_size"]
    check_sizes(minimum, maximum, request["desired_capacity"])
    desired = request["desired_capacity"]
    if desired is None:
        desired = min(max(group.desired_capacity, minimum), maximum)
    if request.get("launch_config_name") or request.get("mixed_instances_policy"):
        raise ValidationError("The lab's Auto Scaling groups launch from a LaunchTemplate")
    subnets = check_subnets(backend, request.get("vpc_zone_identifier") or group.vpc_zone_identifier)
    if request.get("launch_template"):
        check_template(lab, backend, request["launch_template"], subnets)
    return {**request, "desired_capacity": desired}


def check_alive(group: Any) -> None:
    """A group whose deletion is in progress takes no more orders."""
    if group.status is not None:
        raise ValidationError(f"AutoScalingGroup '{group.name}' is pending delete")


def check_desired(group: Any, desired: int) -> None:
    """SetDesiredCapacity within the group's bounds."""
    check_alive(group)
    if desired > group.max_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup."
        )
    if desired < group.min_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup."
        )
