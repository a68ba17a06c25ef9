"""Auto Scaling's API over moto's models; the reconciler (scaling_reconcile.py) does the work.

moto launches and terminates instances of its own accord in a dozen places. Every one of them is taken over here: a call
changes what is wanted and answers, instances follow later. Lifecycle hooks, scaling policies with their alarms, and
instance refresh are moto's still: they are kept and described, and nothing acts on them.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, AutoScalingBackend, FakeAutoScalingGroup, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from dockeree.lab.aws import iam, scaling_groups
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.scaling_members import IN_SERVICE, STANDBY, TERMINATING, Member, ScalingActivity, timestamp
from dockeree.lab.aws.scaling_reconcile import Reconciler
from dockeree.lab.settings import ACCOUNT_ID

DELETING = "Delete in progress"


def create(lab: Lab, original: Any, backend: Any, **request: Any) -> Any:
    """CreateAutoScalingGroup: nothing is left behind where anything of it is refused."""
    with lab.lock:
        scaling_groups.check_new(lab, backend, request)
        iam.ensure_service_linked_role(lab, "autoscaling.amazonaws.com")
        group = original(backend, **request)
        # moto's default is the console's
        group.health_check_grace_period = int(request.get("health_check_period") or 0)
        group.last_request = (
            f"At {timestamp()} a user request created an AutoScalingGroup changing the desired capacity "
            f"from 0 to {group.desired_capacity}."
        )
    lab.part(Reconciler).soon()
    return group


def set_desired(lab: Lab, backend: Any, name: str, desired: int | None) -> None:
    """SetDesiredCapacity."""
    with lab.lock:
        group = backend.autoscaling_groups[name]
        scaling_groups.check_desired(group, int(desired or 0))
        group.set_desired_capacity(desired)


def delete(lab: Lab, backend: Any, name: str, force: bool) -> None:
    """DeleteAutoScalingGroup: ResourceInUse while it has instances, unless forced; then gone when they are."""
    with lab.lock:
        group = backend.autoscaling_groups[name]
        if group.instance_states and not force:
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        if not group.instance_states:
            del backend.autoscaling_groups[name]
            return
        group.status = DELETING
        group.min_size = group.max_size = group.desired_capacity = 0
        cause = f"At {timestamp()} a user request force deleted AutoScaling group {name}."
        for member in group.instance_states:
            if member.lifecycle_state != TERMINATING:
                lab.part(Reconciler).take_out(backend, group, member, cause, at_once=True)
            else:
                member.terminate_at = 0.0
    lab.part(Reconciler).soon()


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


def target_lifecycle_state(lab: Lab, instance_id: str) -> str | None:
    """What the metadata service tells an instance of its group's intent: InService, Terminated, Standby.

    None for an instance of no group.
    """
    with lab.lock:
        for backend in autoscaling_backends[ACCOUNT_ID].values():
            for group in backend.autoscaling_groups.values():
                for member in group.instance_states:
                    if member.instance_id == instance_id:
                        states = {TERMINATING: "Terminated", STANDBY: STANDBY}
                        return states.get(member.lifecycle_state, IN_SERVICE)
    return None


def _install_moto_models(lab: Lab) -> None:
    """moto's own starting and stopping of instances ends here."""

    @lab.extend(AutoScalingBackend, "__init__")
    def init(original: Any, backend: Any, *args: Any, **kwargs: Any) -> None:
        original(backend, *args, **kwargs)
        backend.autoscaling_groups = scaling_groups.Groups()

    @lab.extend(FakeAutoScalingGroup, "__init__")
    def init_group(original: Any, group: Any, **kwargs: Any) -> None:
        group.status, group.retry_at, group.last_request = None, 0.0, ""
        original(group, **kwargs)

    @lab.extend(FakeAutoScalingGroup, "set_desired_capacity")
    def want(_original: Any, group: Any, new_capacity: int | None) -> None:
        before = getattr(group, "desired_capacity", 0)
        group.desired_capacity = group.min_size if new_capacity is None else new_capacity
        group.retry_at = 0.0
        group.last_request = (
            f"At {timestamp()} a user request explicitly set group desired capacity changing the desired capacity "
            f"from {before} to {group.desired_capacity}."
        )
        lab.part(Reconciler).soon()

    @lab.extend(AutoScalingBackend, "notify_terminate_instances")
    def notify(_original: Any, _backend: Any, _instance_ids: list[str]) -> None:
        lab.part(Reconciler).soon()

    @lab.extend(AutoScalingBackend, "update_attached_target_groups")
    def update_attached(_original: Any, backend: Any, group_name: str) -> None:
        group = backend.autoscaling_groups[group_name]
        for member in group.instance_states:
            if member.lifecycle_state == IN_SERVICE:
                lab.part(Reconciler).register(backend, group, member)


def _install_groups(lab: Lab) -> None:
    @lab.extend(AutoScalingBackend, "create_auto_scaling_group")
    def create_group(original: Any, backend: Any, **request: Any) -> Any:
        return create(lab, original, backend, **request)

    @lab.extend(AutoScalingBackend, "update_auto_scaling_group")
    def update_group(original: Any, backend: Any, **request: Any) -> Any:
        with lab.lock:
            return original(backend, **scaling_groups.check_update(lab, backend, request))

    @lab.extend(AutoScalingBackend, "set_desired_capacity")
    def set_desired_capacity(_original: Any, backend: Any, group_name: str, desired_capacity: int | None) -> None:
        set_desired(lab, backend, group_name, desired_capacity)

    @lab.extend(AutoScalingResponse, "delete_auto_scaling_group")
    def delete_group(_original: Any, response: Any) -> ActionResult:
        name, force = response._get_param("AutoScalingGroupName"), response._get_bool_param("ForceDelete", False)
        delete(lab, response.autoscaling_backend, name, force)
        return EmptyResult()

    @lab.extend(AutoScalingResponse, "describe_scaling_activities")
    def describe_scaling_activities(_original: Any, response: Any) -> ActionResult:
        return ActionResult(_activities(lab, response))

    @lab.extend(AutoScalingBackend, "attach_load_balancer_target_groups")
    def attach_target_groups(original: Any, backend: Any, group_name: str, target_group_arns: list[str]) -> None:
        scaling_groups.check_target_groups(backend, target_group_arns)
        original(backend, group_name, target_group_arns)


def _activities(lab: Lab, response: Any) -> dict[str, Any]:
    name, ids = response._get_param("AutoScalingGroupName"), response._get_param("ActivityIds", [])
    found = [
        activity
        for activity in lab.part(Reconciler).activities
        if (not name or activity.group_name == name) and (not ids or activity.activity_id in ids)
    ]
    if name and not found:
        response.autoscaling_backend.autoscaling_groups[name]  # an unknown group is refused
    size, start = response._get_int_param("MaxRecords", 100), int(response._get_param("NextToken", 0))
    following = str(start + size) if start + size < len(found) else None
    return {"Activities": [a.as_answer() for a in found[start : start + size]], "NextToken": following}


def _install_members(lab: Lab) -> None:
    @lab.extend(AutoScalingResponse, "terminate_instance_in_auto_scaling_group")
    def terminate_instance(_original: Any, response: Any) -> ActionResult:
        decrement = response._get_bool_param("ShouldDecrementDesiredCapacity", False)
        activity = terminate(lab, response.autoscaling_backend, response._get_param("InstanceId"), decrement)
        return ActionResult({"Activity": activity.as_answer()})

    @lab.extend(AutoScalingBackend, "set_instance_health")
    def set_instance_health(_original: Any, backend: Any, instance_id: str, health_status: str) -> None:
        find_member(backend, instance_id)[1].health_status = health_status
        lab.part(Reconciler).soon()

    @lab.extend(AutoScalingBackend, "set_instance_protection")
    def set_protection(
        _original: Any, backend: Any, group_name: str, instance_ids: list[str], protected_from_scale_in: Any
    ) -> None:
        protect(backend, group_name, instance_ids, bool(protected_from_scale_in))
        lab.part(Reconciler).soon()

    @lab.extend(AutoScalingBackend, "attach_instances")
    def attach_instances(_original: Any, backend: Any, group_name: str, instance_ids: list[str]) -> None:
        attach(lab, backend, group_name, instance_ids)

    @lab.extend(AutoScalingBackend, "detach_instances")
    def detach_instances(
        _original: Any, backend: Any, group_name: str, instance_ids: list[str], should_decrement: bool
    ) -> Any:
        return detach(lab, backend, group_name, instance_ids, should_decrement)

    @lab.extend(AutoScalingBackend, "enter_standby_instances")
    def enter_standby(original: Any, backend: Any, group_name: str, instance_ids: list[str], decrement: bool) -> Any:
        group = backend.autoscaling_groups[group_name]
        for instance_id in instance_ids:
            lab.part(Reconciler).deregister(backend, group, find_member(backend, instance_id)[1])
        return original(backend, group_name, instance_ids, decrement)

    @lab.extend(AutoScalingBackend, "exit_standby_instances")
    def exit_standby(original: Any, backend: Any, group_name: str, instance_ids: list[str]) -> Any:
        activities = original(backend, group_name, instance_ids)
        group = backend.autoscaling_groups[group_name]
        for instance_id in instance_ids:
            lab.part(Reconciler).register(backend, group, find_member(backend, instance_id)[1])
        return activities


def install(lab: Lab) -> None:
    """Lay Auto Scaling's behaviours over moto, and start to reconcile."""
    _install_moto_models(lab)
    _install_groups(lab)
    _install_members(lab)
    lab.on_change.append(lab.part(Reconciler).soon)
    lab.part(Reconciler).start()
