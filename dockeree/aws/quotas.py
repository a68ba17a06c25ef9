"""The account's quotas that a cluster runs into, and how much of them is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws.instances import describe_types
from dockeree.aws.tags import filters
from dockeree.aws.waits import is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

STANDARD_VCPUS = ("ec2", "L-1216C47A")
"""Running On-Demand Standard instances: vCPUs of the families A, C, D, H, I, M, R, T and Z together."""
VPCS = ("vpc", "L-F678F1CE")
"""VPCs per Region."""
STANDARD_FAMILIES = frozenset("acdhimrtz")


def find_quota(aws: Aws, quota: tuple[str, str]) -> float | None:
    """A quota's value: the account's own, else AWS's default, None where neither is to be had."""
    service, code = quota
    for ask in (
        aws.service_quotas.get_service_quota,
        aws.service_quotas.get_aws_default_service_quota,
    ):
        try:
            return float(ask(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
        except AwsError as error:
            if not is_not_found(error) and error.code not in _NOT_TO_BE_HAD:
                raise
    return None


def is_standard(instance_type: str) -> bool:
    """Whether a type counts against STANDARD_VCPUS. Some that do not share a letter with those that do (`trn1`)."""
    return instance_type[:1] in STANDARD_FAMILIES and not instance_type.startswith(("inf", "trn", "dl", "hpc", "mac"))


def standard_vcpus_in_use(aws: Aws) -> int:
    """The vCPUs of every standard instance that runs in the region, on demand."""
    pages = aws.ec2.get_paginator("describe_instances").paginate(
        Filters=filters({"instance-state-name": ["pending", "running"]})
    )
    counts: dict[str, int] = {}
    for page in pages:
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                instance_type = str(instance["InstanceType"])
                if is_standard(instance_type) and "InstanceLifecycle" not in instance:
                    counts[instance_type] = counts.get(instance_type, 0) + 1
    if not counts:
        return 0
    types = describe_types(aws, counts)
    return sum(types[instance_type].vcpus * count for instance_type, count in counts.items() if instance_type in types)


def vpcs_in_use(aws: Aws) -> int:
    """How many VPCs the region has."""
    pages = aws.ec2.get_paginator("describe_vpcs").paginate()
    return sum(len(page["Vpcs"]) for page in pages)


_NOT_TO_BE_HAD = frozenset({"AccessDeniedException", "AccessDenied", "404", "InternalError", "UnknownOperation", "501"})
"""A quota that may not be read stops nobody: AWS refuses by itself what is too much."""
