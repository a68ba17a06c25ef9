"""What callers order for single members of Auto Scaling groups: terminate, protect, attach, detach, standby."""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import ASG_NAME_TAG

from dockeree.lab.aws import scaling_groups
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.scaling_members import IN_SERVICE, STANDBY, TERMINATING, Member, ScalingActivity, timestamp
from dockeree.lab.aws.scaling_reconcile import Reconciler


def find_member(backend: Any, instance_id: str) -> tuple[Any, Member]:
    """The member of this instance id and its group. Raises ValidationError."""
    for group in backend.autoscaling_groups.values():
        for member in group.instance_states:
            if member.instance_id == instance_id:
                return group, member
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


def terminate(lab: Lab, backend: Any, instance_id: str, decrement: bool) -> ScalingActivity:
    """TerminateInstanceInAutoScalingGroup, with or without a replacement."""
    with lab.lock:
        group, member = find_member(backend, instance_id)
        scaling_groups.check_alive(group)
        cause = f"At {timestamp()} instance {instance_id} was taken out of service in response to a user request"
        if decrement and member.counts:
            if group.desired_capacity <= group.min_size:
                raise ValidationError(
                    f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                    "replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity "
                    "flag to false or lower group's min size."
                )
            group.desired_capacity -= 1
            cause += f", shrinking the capacity from {group.desired_capacity + 1} to {group.desired_capacity}"
        if member.lifecycle_state == TERMINATING and member.activity is not None:
            return member.activity
        return lab.part(Reconciler).take_out(backend, group, member, f"{cause}.")


def protect(backend: Any, name: str, instance_ids: list[str], protected: bool) -> None:
    """SetInstanceProtection: every instance in service in the group, or none is changed."""
    group = backend.autoscaling_groups[name]
    members = {member.instance_id: member for member in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in members:
            raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {name}.")
        if members[instance_id].lifecycle_state not in (IN_SERVICE, STANDBY):
            raise ValidationError(f"The instance {instance_id} is not in InService or EnteringStandby or Standby.")
    for instance_id in instance_ids:
        members[instance_id].protected_from_scale_in = protected


def attach(lab: Lab, backend: Any, name: str, instance_ids: list[str]) -> None:
    """AttachInstances: running instances become members, and the desired capacity grows by them."""
    with lab.lock:
        group = backend.autoscaling_groups[name]
        scaling_groups.check_alive(group)
        instances = [backend.ec2_backend.get_instance(instance_id) for instance_id in instance_ids]
        if any(instance.state != "running" for instance in instances):
            raise ValidationError("Invalid Instance: the instances must be in state running")
        if group.desired_capacity + len(instances) > group.max_size:
            raise ValidationError(
                f"Desired capacity:{group.desired_capacity + len(instances)} must be between the specified min size:"
                f"{group.min_size} and max size:{group.max_size}"
            )
        for instance in instances:
            member = Member(group, instance, None, IN_SERVICE)
            group.instance_states.append(member)
            group.desired_capacity += 1
            instance.add_tags({ASG_NAME_TAG: group.name})
            lab.part(Reconciler).register(backend, group, member)
    lab.part(Reconciler).soon()


def detach(lab: Lab, backend: Any, name: str, instance_ids: list[str], decrement: bool) -> list[dict[str, Any]]:
    """DetachInstances: they live on outside the group; replaced unless the desired capacity is decremented."""
    with lab.lock:
        group = backend.autoscaling_groups[name]
        answers = []
        members = [find_member(backend, instance_id)[1] for instance_id in instance_ids]
        for member in members:
            lab.part(Reconciler).deregister(backend, group, member)
            group.instance_states = [other for other in group.instance_states if other is not member]
            if decrement:
                group.desired_capacity -= 1
            backend.ec2_backend.tags[member.instance_id].pop(ASG_NAME_TAG, None)
            cause = f"At {timestamp()} instance {member.instance_id} was detached in response to a user request."
            activity = ScalingActivity(name, group.arn, f"Detaching EC2 instance: {member.instance_id}", cause)
            lab.part(Reconciler).activities.insert(0, activity)
            answers.append(activity.as_answer())
            activity.succeed()
    lab.part(Reconciler).soon()
    return answers
