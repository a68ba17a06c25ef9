"""Auto Scaling's API over moto's models; the reconciler (scaling_reconcile.py) does the work.

moto launches and terminates instances of its own accord in a dozen places. Every one of them is taken over here: a call
changes what is wanted and answers, instances follow later. Lifecycle hooks, scaling policies with their alarms, and
instance refresh are moto's still: they are kept and described, and nothing acts on them.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from dockeree.lab.aws import iam, scaling_groups, scaling_orders
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.scaling_members import IN_SERVICE, TERMINATING, timestamp
from dockeree.lab.aws.scaling_reconcile import Reconciler

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

    @lab.extend(AutoScalingResponse, "update_auto_scaling_group")
    def answer_update(original: Any, response: Any) -> ActionResult:
        answer: ActionResult = original(response)
        group = response.autoscaling_backend.autoscaling_groups[response._get_param("AutoScalingGroupName")]
        # moto leaves these two out of an update.
        group.termination_policies = response._get_param("TerminationPolicies") or group.termination_policies
        group.default_cooldown = response._get_int_param("DefaultCooldown", group.default_cooldown)
        return answer

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
        activity = scaling_orders.terminate(
            lab, response.autoscaling_backend, response._get_param("InstanceId"), decrement
        )
        return ActionResult({"Activity": activity.as_answer()})

    @lab.extend(AutoScalingBackend, "set_instance_health")
    def set_instance_health(_original: Any, backend: Any, instance_id: str, health_status: str) -> None:
        scaling_orders.find_member(backend, instance_id)[1].health_status = health_status
        lab.part(Reconciler).soon()

    @lab.extend(AutoScalingBackend, "set_instance_protection")
    def set_protection(
        _original: Any, backend: Any, group_name: str, instance_ids: list[str], protected_from_scale_in: Any
    ) -> None:
        scaling_orders.protect(backend, group_name, instance_ids, bool(protected_from_scale_in))
        lab.part(Reconciler).soon()

    @lab.extend(AutoScalingBackend, "attach_instances")
    def attach_instances(_original: Any, backend: Any, group_name: str, instance_ids: list[str]) -> None:
        scaling_orders.attach(lab, backend, group_name, instance_ids)

    @lab.extend(AutoScalingBackend, "detach_instances")
    def detach_instances(
        _original: Any, backend: Any, group_name: str, instance_ids: list[str], should_decrement: bool
    ) -> Any:
        return scaling_orders.detach(lab, backend, group_name, instance_ids, should_decrement)

    @lab.extend(AutoScalingBackend, "enter_standby_instances")
    def enter_standby(original: Any, backend: Any, group_name: str, instance_ids: list[str], decrement: bool) -> Any:
        group = backend.autoscaling_groups[group_name]
        for instance_id in instance_ids:
            lab.part(Reconciler).deregister(backend, group, scaling_orders.find_member(backend, instance_id)[1])
        return original(backend, group_name, instance_ids, decrement)

    @lab.extend(AutoScalingBackend, "exit_standby_instances")
    def exit_standby(original: Any, backend: Any, group_name: str, instance_ids: list[str]) -> Any:
        activities = original(backend, group_name, instance_ids)
        group = backend.autoscaling_groups[group_name]
        for instance_id in instance_ids:
            lab.part(Reconciler).register(backend, group, scaling_orders.find_member(backend, instance_id)[1])
        return activities


def install(lab: Lab) -> None:
    """Lay Auto Scaling's behaviours over moto, and start to reconcile."""
    _install_moto_models(lab)
    _install_groups(lab)
    _install_members(lab)
    lab.on_change.append(lab.part(Reconciler).soon)
    lab.part(Reconciler).start()
