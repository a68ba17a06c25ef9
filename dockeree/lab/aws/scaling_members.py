"""Members of Auto Scaling groups and the activities that tell how they came and went.

`Member` is moto's InstanceState (what DescribeAutoScalingGroups shows) with what the reconciliation needs to know.
`LifecycleState` goes Pending -> InService -> Terminating; the place of lifecycle hooks is after Pending (Pending:Wait)
and after the deregistration delay (Terminating:Wait).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.autoscaling.models import InstanceState
from moto.core.utils import utcnow

from dockeree.lab.aws.launch_templates import TemplateVersion

PENDING = "Pending"
IN_SERVICE = "InService"
TERMINATING = "Terminating"
STANDBY = "Standby"


@dataclass
class ScalingActivity:
    """One launch, termination or other change of a group, from its start to its end."""

    group_name: str
    group_arn: str
    description: str
    cause: str
    details: Mapping[str, str] = field(default_factory=dict)
    status_code: str = "InProgress"
    status_message: str = ""
    progress: int = 0
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    start_time: datetime = field(default_factory=utcnow)
    end_time: datetime | None = None

    def succeed(self) -> None:
        """The activity has ended well."""
        self.status_code, self.progress, self.end_time = "Successful", 100, utcnow()

    def fail(self, message: str) -> None:
        """The activity has ended for the reason given."""
        self.status_code, self.progress, self.end_time = "Failed", 100, utcnow()
        self.status_message = message

    def as_answer(self) -> dict[str, Any]:
        """The activity in the API's own names."""
        return {
            "ActivityId": self.activity_id,
            "AutoScalingGroupName": self.group_name,
            "AutoScalingGroupARN": self.group_arn,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.start_time,
            "EndTime": self.end_time,
            "StatusCode": self.status_code,
            "StatusMessage": self.status_message or None,
            "Progress": self.progress,
            "Details": json.dumps(dict(self.details)),
        }


class Member(InstanceState):
    """An instance of a group. `terminate_at` is when its draining is over (monotonic), None while it serves."""

    def __init__(self, group: Any, instance: Any, template: TemplateVersion | None, state: str = PENDING) -> None:
        instance.autoscaling_group = group
        super().__init__(instance, state, protected_from_scale_in=group.new_instances_protected_from_scale_in)
        self.template = template
        self.joined_at = time.monotonic()
        self.activity: ScalingActivity | None = None
        self.unhealthy_because = ""
        self.terminate_at: float | None = None
        self.failing_since = 0.0
        self.is_being_terminated = False

    @property
    def launch_template(self) -> dict[str, Any] | None:
        """The version that the instance was launched from; moto names the template's default version of today."""
        if self.template is None:
            return None
        return {
            "LaunchTemplateId": self.template.template_id,
            "LaunchTemplateName": self.template.template_name,
            "Version": str(self.template.number),
        }

    @property
    def launch_configuration_name(self) -> None:
        """The lab has launch templates only."""

    @property
    def counts(self) -> bool:
        """Whether the member counts towards the desired capacity."""
        return self.lifecycle_state in (PENDING, IN_SERVICE)


def timestamp() -> str:
    """Now, as activities' causes write it."""
    return utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")
