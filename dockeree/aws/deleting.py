"""Deleting what something else may still stand on: ask again until it is free, and say what holds it when it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dockeree.aws.tags import filters
from dockeree.aws.waits import DEPENDENCIES_SECONDS, Waits, is_dependency_violation, is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

HELD_CODES = frozenset(
    {"InvalidGroup.InUse", "InvalidIPAddress.InUse", "InvalidNetworkInterface.InUse", "Gateway.InUse"}
)


def delete_when_free(
    aws: Aws,
    waits: Waits,
    delete: Callable[[], object],
    *,
    what: str,
    vpc_id: str = "",
    timeout_seconds: float = DEPENDENCIES_SECONDS,
    gone_codes: tuple[str, ...] = (),
) -> None:
    """Make the deleting call until nothing stands on `what` any more; "already gone" is fine.

    `gone_codes` are further codes that mean "already gone". Raises TimedOut, whose last answer names the network
    interfaces left in `vpc_id`: what usually holds a network is an interface of somebody else's.
    """

    def probe() -> tuple[bool | None, str]:
        try:
            delete()
        except AwsError as error:
            if is_not_found(error) or error.code in gone_codes:
                return True, "gone"
            if not (is_dependency_violation(error) or error.code in HELD_CODES):
                raise
            holders = describe_interfaces(aws, vpc_id) if vpc_id else ""
            waits.detail(f"{what} is still in use{holders}")
            return None, f"{error.message}{holders}"
        return True, "deleted"

    waits.until(
        probe,
        awaited=f"deleting {what}",
        timeout_seconds=timeout_seconds,
        interval_seconds=2.0,
        hint="Something that is not of this cluster is in its network: take that away, then: dockeree destroy",
    )


def describe_interfaces(aws: Aws, vpc_id: str) -> str:
    """The network interfaces in a VPC, in words: ` by eni-1 (ELB net/…), eni-2 (i-3)`, empty when there are none."""
    pages = aws.ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters({"vpc-id": vpc_id}))
    interfaces = [interface for page in pages for interface in page["NetworkInterfaces"]]
    if not interfaces:
        return ""
    named = (
        f"{interface['NetworkInterfaceId']} "
        f"({interface.get('Attachment', {}).get('InstanceId') or interface.get('Description') or 'no description'})"
        for interface in interfaces
    )
    return f" by {', '.join(sorted(named))}"
