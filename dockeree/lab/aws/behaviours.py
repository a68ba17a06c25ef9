"""Every behaviour that is laid over moto. A module listed here has `install(lab: Lab) -> None` (see core.py)."""

from __future__ import annotations

from types import ModuleType

from dockeree.lab.aws import (
    addresses,
    authorization,
    autoscaling,
    balancers,
    bucket_policies,
    deleting,
    elb_paging,
    elb_tags,
    gate,
    iam,
    images,
    instance_calls,
    instance_profiles,
    launch_templates,
    launching,
    listeners,
    networking,
    paging,
    quotas,
    resource_ids,
    route53,
    s3,
    ssm,
    target_groups,
    targets,
    zones,
)
from dockeree.lab.aws.core import Lab

BEHAVIOURS: tuple[ModuleType, ...] = (
    gate,
    resource_ids,
    paging,
    images,
    quotas,
    zones,
    addresses,
    instance_profiles,
    networking,
    deleting,
    launching,
    instance_calls,
    authorization,
    bucket_policies,
    iam,
    ssm,
    s3,
    route53,
    balancers,
    listeners,
    target_groups,
    targets,
    elb_paging,
    elb_tags,
    launch_templates,
    autoscaling,
)


def install_behaviours(lab: Lab) -> None:
    """Lay all of them over moto, in this order: a later one stands in front of an earlier one."""
    for behaviour in BEHAVIOURS:
        behaviour.install(lab)
