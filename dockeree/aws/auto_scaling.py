"""The workers' Auto Scaling group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dockeree.aws.launch_templates import TEMPLATE_ROLE, template_name
from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

SUSPENDED_PROCESSES = ("AZRebalance",)
"""AZRebalance terminates healthy workers by itself to even out the zones, without a word to the swarm."""
TARGET_GROUPS_PER_CALL = 10
"""How many target groups one call may attach."""
NEW_GROUP_SECONDS = 180.0
"""How long a new instance profile, or the account's first service-linked role, may be unknown to Auto Scaling."""
DELETE_SECONDS = 1200.0
"""A group ends when its last instance has, and its deregistration delay."""


@dataclass(frozen=True)
class Member:
    """An instance of the group; `lifecycle` is Auto Scaling's state (Pending, InService, Terminating:Wait, …)."""

    instance_id: str
    zone: str
    lifecycle: str
    health: str


@dataclass(frozen=True)
class Group:
    """The group as it is."""

    name: str
    minimum: int
    maximum: int
    desired: int
    subnet_ids: tuple[str, ...]
    target_group_arns: tuple[str, ...]
    suspended: tuple[str, ...]
    members: tuple[Member, ...]
    is_being_deleted: bool


def group_name(owner: Owner) -> str:
    """`NAME-ID-workers`."""
    return template_name(owner)


def find_group(aws: Aws, owner: Owner) -> Group | None:
    """The cluster's group."""
    answer = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group_name(owner)])
    if not answer["AutoScalingGroups"]:
        return None
    group = answer["AutoScalingGroups"][0]
    return Group(
        name=group["AutoScalingGroupName"],
        minimum=group["MinSize"],
        maximum=group["MaxSize"],
        desired=group["DesiredCapacity"],
        subnet_ids=tuple(filter(None, group.get("VPCZoneIdentifier", "").split(","))),
        target_group_arns=tuple(group.get("TargetGroupARNs", ())),
        suspended=tuple(process["ProcessName"] for process in group.get("SuspendedProcesses", ())),
        members=tuple(
            Member(item["InstanceId"], item["AvailabilityZone"], item["LifecycleState"], item["HealthStatus"])
            for item in group.get("Instances", ())
        ),
        is_being_deleted=bool(group.get("Status")),
    )


def list_group_names(aws: Aws) -> list[str]:
    """The names of every group of the region."""
    pages = aws.autoscaling.get_paginator("describe_auto_scaling_groups").paginate()
    return [group["AutoScalingGroupName"] for page in pages for group in page["AutoScalingGroups"]]


def create_group(
    aws: Aws,
    owner: Owner,
    *,
    subnet_ids: Sequence[str],
    minimum: int,
    maximum: int,
    desired: int,
    target_group_arns: Sequence[str],
    waits: Waits,
) -> bool:
    """Create the group from the default version of its template; False when it is there already.

    Health is EC2's alone: an application that no service publishes yet is unhealthy on every worker, and a group that
    listened to that would replace them for ever.
    """

    def create() -> None:
        aws.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=group_name(owner),
            LaunchTemplate={"LaunchTemplateName": template_name(owner), "Version": "$Default"},
            VPCZoneIdentifier=",".join(subnet_ids),
            MinSize=minimum,
            MaxSize=maximum,
            DesiredCapacity=desired,
            HealthCheckType="EC2",
            TargetGroupARNs=list(target_group_arns[:TARGET_GROUPS_PER_CALL]),
            Tags=[
                {
                    "ResourceType": "auto-scaling-group",
                    "ResourceId": group_name(owner),
                    "Key": key,
                    "Value": value,
                    "PropagateAtLaunch": False,
                }
                for key, value in owner.tags(TEMPLATE_ROLE).items()
            ],
        )

    try:
        waits.retry(create, _is_not_ready, awaited=f"group {group_name(owner)}", timeout_seconds=NEW_GROUP_SECONDS)
    except AwsError as error:
        if error.code == "AlreadyExists":
            return False
        raise
    return True


def wait_for_group(aws: Aws, owner: Owner, waits: Waits) -> Group:
    """The group, as soon as a listing has it after its creation."""

    def probe() -> tuple[Group | None, str]:
        group = find_group(aws, owner)
        return (None if group is None or group.is_being_deleted else group), "not listed yet"

    return waits.until(probe, awaited=f"group {group_name(owner)}", timeout_seconds=NEW_GROUP_SECONDS)


def ensure_settings(
    aws: Aws,
    group: Group,
    *,
    minimum: int,
    maximum: int,
    target_group_arns: Sequence[str],
    ours: Sequence[str],
    waits: Waits,
) -> bool:
    """Bring limits, target groups and suspended processes to what is wanted; whether anything was changed.

    The desired capacity is nobody's here but where the limits force it: it is `scale-workers`' and the policies'.
    `ours` are all target groups of the cluster; of those that are not wanted any more the group is taken off.
    """
    changed = False
    if (group.minimum, group.maximum) != (minimum, maximum):
        aws.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=group.name,
            MinSize=minimum,
            MaxSize=maximum,
            DesiredCapacity=min(max(group.desired, minimum), maximum),
        )
        changed = True
    missing = [arn for arn in target_group_arns if arn not in group.target_group_arns]
    for start in range(0, len(missing), TARGET_GROUPS_PER_CALL):
        aws.autoscaling.attach_load_balancer_target_groups(
            AutoScalingGroupName=group.name, TargetGroupARNs=missing[start : start + TARGET_GROUPS_PER_CALL]
        )
    surplus = [arn for arn in group.target_group_arns if arn in ours and arn not in target_group_arns]
    for start in range(0, len(surplus), TARGET_GROUPS_PER_CALL):
        aws.autoscaling.detach_load_balancer_target_groups(
            AutoScalingGroupName=group.name, TargetGroupARNs=surplus[start : start + TARGET_GROUPS_PER_CALL]
        )
    if unsuspended := [process for process in SUSPENDED_PROCESSES if process not in group.suspended]:
        suspend = partial(
            aws.autoscaling.suspend_processes, AutoScalingGroupName=group.name, ScalingProcesses=unsuspended
        )
        waits.retry(suspend, is_busy, awaited=f"group {group.name}")
    return changed or bool(missing or surplus or unsuspended)


def set_desired(aws: Aws, owner: Owner, desired: int) -> None:
    """Set the desired capacity. Raises AwsError (ValidationError) outside of the group's limits."""
    aws.autoscaling.set_desired_capacity(
        AutoScalingGroupName=group_name(owner), DesiredCapacity=desired, HonorCooldown=False
    )


def terminate_and_shrink(aws: Aws, instance_id: str) -> None:
    """Terminate one member and lower the desired capacity by one: that very worker goes and nobody replaces it."""
    aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
    )


def delete_group(aws: Aws, owner: Owner, waits: Waits) -> bool:
    """Delete the group with its instances, and wait until both are gone; True when it was there."""
    group = find_group(aws, owner)
    if group is None:
        return False
    if not group.is_being_deleted:
        delete = partial(aws.autoscaling.delete_auto_scaling_group, AutoScalingGroupName=group.name, ForceDelete=True)
        try:
            waits.retry(delete, is_busy, awaited=f"group {group.name}", timeout_seconds=DELETE_SECONDS)
        except AwsError as error:
            if not _is_gone(error):
                raise

    def probe() -> tuple[bool | None, str]:
        left = find_group(aws, owner)
        if left is None:
            return True, "gone"
        waits.detail(f"{len(left.members)} workers still end")
        return None, f"{len(left.members)} instances left"

    waits.until(probe, awaited=f"deleting group {group.name}", timeout_seconds=DELETE_SECONDS)
    return True


def is_busy(error: AwsError) -> bool:
    """Whether the group is in the middle of something that AWS lets end first."""
    return error.code in {"ResourceContention", "ScalingActivityInProgress"}


def _is_gone(error: AwsError) -> bool:
    return error.code == "ValidationError" and "not found" in error.message.lower()


def _is_not_ready(error: AwsError) -> bool:
    """Whether Auto Scaling does not know the new profile, template or its own service-linked role yet."""
    text = error.message.lower()
    passing = ("instance profile", "iaminstanceprofile", "service-linked role", "launch template")
    if error.code == "AlreadyExists":
        return "pending delete" in text
    return error.code in {"ValidationError", "InvalidParameter"} and any(words in text for words in passing)
