"""Auto Scaling's own work: groups follow their desired capacity with real instances, and replace members that die.

Everything happens in passes over all groups, in the lab's timer thread: some seconds of AWS's time after something has
changed, and regularly. Instances are launched and terminated through EC2's own paths, so that whatever EC2 refuses
(capacity, quotas, unknown profiles) shows as a failed activity.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, autoscaling_backends
from moto.core.exceptions import ServiceException
from moto.elbv2.exceptions import TargetGroupNotFoundError

from dockeree.lab.aws import launch_templates, scaling_choices, targets
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.lifecycle import Lifecycle
from dockeree.lab.aws.scaling_members import (
    IN_SERVICE,
    PENDING,
    STANDBY,
    TERMINATING,
    Member,
    ScalingActivity,
    timestamp,
)
from dockeree.lab.settings import ACCOUNT_ID
from dockeree.lab.world import Target

log = logging.getLogger("dockeree.lab.aws")

REACTION_SECONDS = 5.0
"""From a change to the group's reaction."""
INTERVAL_SECONDS = 15.0
RETRY_SECONDS = 60.0
"""From a failed launch to the next try."""
IMPAIRED_SECONDS = 120.0
"""How long status checks fail before a group acts on it."""
SHORTEST_PAUSE_SECONDS = 0.02
"""Real seconds: with AWS's delays scaled to nothing, passes must not follow each other at once."""

KEPT_ACTIVITIES = 10_000
OTHER_ZONE_CODES = ("InsufficientInstanceCapacity", "Unsupported", "InsufficientFreeAddressesInSubnet")
"""EC2's refusals after which a group tries its other zones."""
DEAD_STATES = ("stopping", "stopped", "shutting-down", "terminated")


class Reconciler:
    """Makes groups what they are to be."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._waiting = False
        self.activities: list[ScalingActivity] = []

    def start(self) -> None:
        """Look at all groups regularly from now on."""
        self._lab.timers.after(max(0.1, self._lab.scaled(INTERVAL_SECONDS)), self._regularly)

    def _regularly(self) -> None:
        try:
            self.pass_over_groups()
        finally:
            self.start()

    def soon(self) -> None:
        """Something has changed: look at all groups in a moment."""
        with self._lab.lock:
            if self._waiting:
                return
            self._waiting = True
        self._lab.timers.after(max(SHORTEST_PAUSE_SECONDS, self._lab.scaled(REACTION_SECONDS)), self._now)

    def _now(self) -> None:
        self._waiting = False
        self.pass_over_groups()

    def pass_over_groups(self) -> None:
        """One pass: members observed, the dying ones moved on, capacity made right."""
        with self._lab.lock:
            groups = [
                (backend, group)
                for backend in autoscaling_backends[ACCOUNT_ID].values()
                for group in list(backend.autoscaling_groups.values())
            ]
            before = [self._seen(group) for _, group in groups]
            for backend, group in groups:
                self._reconcile(backend, group)
            changed = before != [self._seen(group) for _, group in groups]
        if changed:
            self._lab.changed()

    @staticmethod
    def _seen(group: Any) -> list[tuple[str, str]]:
        return [(member.instance_id, member.lifecycle_state) for member in group.instance_states]

    def _reconcile(self, backend: Any, group: Any) -> None:
        for member in list(group.instance_states):
            self._observe(backend, group, member)
        counted = [member for member in group.instance_states if member.counts]
        wanted = int(group.desired_capacity or 0)
        if len(counted) < wanted and "Launch" not in group._suspended_processes:
            self._launch(backend, group, wanted - len(counted))
        elif len(counted) > wanted and "Terminate" not in group._suspended_processes:
            for member in scaling_choices.to_remove(group, counted, len(counted) - wanted):
                self.take_out(
                    backend,
                    group,
                    member,
                    f"At {timestamp()} an instance was taken out of service in response to a difference between "
                    f"desired and actual capacity, shrinking the capacity from {len(counted)} to {wanted}.",
                )
        if group.status is not None and not group.instance_states:
            del backend.autoscaling_groups[group.name]

    # One member

    def _observe(self, backend: Any, group: Any, member: Member) -> None:
        if member.lifecycle_state == TERMINATING:
            self._move_on(backend, group, member)
            return
        if member.lifecycle_state == PENDING and member.instance.state == "running":
            self._enter_service(backend, group, member)
        if member.lifecycle_state != STANDBY and "HealthCheck" not in group._suspended_processes:
            self._check_health(backend, group, member)
        if member.health_status == "Unhealthy" and "ReplaceUnhealthy" not in group._suspended_processes:
            because = member.unhealthy_because or "a user health-check"
            cause = f"At {timestamp()} an instance was taken out of service in response to {because}."
            if member.activity is not None and member.activity.end_time is None:
                member.activity.fail(
                    f"Instance became unhealthy while waiting for instance to be in {IN_SERVICE} state."
                )
                group.retry_at = time.monotonic() + self._lab.scaled(RETRY_SECONDS)
                self._lab.later(RETRY_SECONDS, self.soon)
            self.take_out(backend, group, member, cause)

    def _enter_service(self, backend: Any, group: Any, member: Member) -> None:
        member.lifecycle_state = IN_SERVICE
        self.register(backend, group, member)
        if member.activity is not None:
            member.activity.succeed()

    def register(self, backend: Any, group: Any, member: Member) -> None:
        """Register a member in service with every target group of its group."""
        if "AddToLoadBalancer" in group._suspended_processes:
            return
        for arn in group.target_group_arns:
            try:
                targets.register(self._lab, backend.elbv2_backend, arn, [{"Id": member.instance_id}])
            except ServiceException as error:
                # AWS too keeps the member; the target group shows that it is not there.
                log.warning("%s: %s was not registered with %s: %s", group.name, member.instance_id, arn, error)

    def _check_health(self, backend: Any, group: Any, member: Member) -> None:
        instance = member.instance
        if instance.state in DEAD_STATES:
            member.health_status = "Unhealthy"
            member.unhealthy_because = "an EC2 health check indicating it has been terminated or stopped"
        elif self._lab.part(Lifecycle).has_failed(instance.id):
            member.failing_since = member.failing_since or time.monotonic()
            if time.monotonic() < member.failing_since + self._lab.scaled(IMPAIRED_SECONDS):
                return
            member.health_status = "Unhealthy"
            member.unhealthy_because = "an EC2 instance status checks failure"
        elif group.health_check_type == "ELB" and self._fails_in_balancer(backend, group, member):
            member.health_status = "Unhealthy"
            member.unhealthy_because = "an ELB system health check failure"

    def _fails_in_balancer(self, backend: Any, group: Any, member: Member) -> bool:
        grace = self._lab.scaled(float(group.health_check_grace_period or 0))
        if member.lifecycle_state != IN_SERVICE or time.monotonic() < member.joined_at + grace:
            return False
        return any(
            self._lab.wiring.target_health(arn, Target(instance_id, port)).state == "unhealthy"
            for arn in group.target_group_arns
            if arn in backend.elbv2_backend.target_groups
            for instance_id, port in backend.elbv2_backend.target_groups[arn].targets
            if instance_id == member.instance_id
        )

    # Out of service

    def take_out(self, backend: Any, group: Any, member: Member, cause: str, at_once: bool = False) -> ScalingActivity:
        """Begin to end a member: deregistered first, terminated after the longest deregistration delay."""
        activity = self._activity(
            group, f"Terminating EC2 instance: {member.instance_id}", cause, member.instance.placement.zone
        )
        member.lifecycle_state = TERMINATING
        member.activity = activity
        delays = [0.0]
        if member.instance.state not in DEAD_STATES:
            delays += self.deregister(backend, group, member)
        member.terminate_at = time.monotonic() + (0.0 if at_once else self._lab.scaled(max(delays)))
        self.soon()
        return activity

    def deregister(self, backend: Any, group: Any, member: Member) -> list[float]:
        """Deregister a member everywhere; the deregistration delays, in AWS's seconds."""
        delays = []
        for arn in group.target_group_arns:
            try:
                targets.deregister(self._lab, backend.elbv2_backend, arn, [{"Id": member.instance_id}])
                delays.append(targets.delay_seconds(backend.elbv2_backend.target_groups[arn]))
            except TargetGroupNotFoundError:
                continue  # target groups may go before their Auto Scaling group
        return delays

    def _move_on(self, backend: Any, group: Any, member: Member) -> None:
        if not member.is_being_terminated:
            if member.terminate_at is not None and time.monotonic() < member.terminate_at:
                return
            member.is_being_terminated = True
            if member.instance.state != "terminated":
                # Protection against termination by the API does not bind Auto Scaling.
                member.instance.disable_api_termination = False
                backend.ec2_backend.terminate_instances([member.instance_id])
                targets.drop_instances(self._lab, [member.instance_id])
        if member.instance.state == "terminated":
            group.instance_states = [other for other in group.instance_states if other is not member]
            if member.activity is not None:
                member.activity.succeed()

    # Into service

    def _launch(self, backend: Any, group: Any, count: int) -> None:
        if time.monotonic() < group.retry_at:
            return
        actual = sum(member.counts for member in group.instance_states)
        for number in range(count):
            cause = (
                f"{group.last_request} At {timestamp()} an instance was started in response to a difference between "
                f"desired and actual capacity, increasing the capacity from {actual + number} to {actual + number + 1}."
            )
            if not self._launch_one(backend, group, cause):
                group.retry_at = time.monotonic() + self._lab.scaled(RETRY_SECONDS)
                self._lab.later(RETRY_SECONDS, self.soon)
                return

    def _launch_one(self, backend: Any, group: Any, cause: str) -> bool:
        try:
            subnets = scaling_choices.subnets_in_order(backend.ec2_backend, group)
        except ServiceException as error:  # a subnet of the group is gone
            self._activity(group, "Launching a new EC2 instance", cause).fail(error.message)
            return False
        for subnet in subnets:
            activity = self._activity(group, "Launching a new EC2 instance", cause, subnet.availability_zone, subnet.id)
            try:
                instance, template = self._run_instance(backend, group, subnet)
            except ServiceException as error:
                activity.fail(f"{error.message} Launching EC2 instance failed.")
                if error.code in OTHER_ZONE_CODES:
                    continue
                return False
            activity.description = f"Launching a new EC2 instance: {instance.id}"
            member = Member(group, instance, template)
            member.activity = activity
            group.instance_states.append(member)
            return True
        return False

    def _run_instance(self, backend: Any, group: Any, subnet: Any) -> tuple[Any, launch_templates.TemplateVersion]:
        template = launch_templates.resolve(backend.ec2_backend, scaling_choices.specification(group))
        reservation = backend.ec2_backend.run_instances(
            None,
            1,
            None,
            [],
            launch_template={"LaunchTemplateId": template.template_id, "Version": str(template.number)},
            subnet_id=subnet.id,
            tags={"instance": {**group.get_propagated_tags(), ASG_NAME_TAG: group.name}},
            is_instance_type_default=True,
            client_token=str(uuid.uuid4()),
        )
        return reservation.instances[0], template

    def _activity(
        self, group: Any, description: str, cause: str, zone: str = "", subnet_id: str = ""
    ) -> ScalingActivity:
        named = {"Subnet ID": subnet_id, "Availability Zone": zone}
        details = {key: value for key, value in named.items() if value}
        activity = ScalingActivity(group.name, group.arn, description, cause, details)
        self.activities.insert(0, activity)
        del self.activities[KEPT_ACTIVITIES:]
        return activity
