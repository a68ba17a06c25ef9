"""Pages of Elastic Load Balancing's describe calls: `PageSize` 1 to 400, `Marker` as the last page's `NextMarker`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import ELBClientError, ValidationError
from moto.elbv2.responses import ELBV2Response

from dockeree.lab.aws.core import Lab

T = TypeVar("T")
MAX_PAGE_SIZE = 400


def page(response: Any, items: Sequence[T], key: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The page that the request asks for, and the marker of the next one (None at the end)."""
    size = response._get_int_param("PageSize", MAX_PAGE_SIZE)
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise ValidationError(
            f"1 validation error detected: Value '{size}' at 'pageSize' failed to satisfy constraint: "
            f"Member must have value between 1 and {MAX_PAGE_SIZE}"
        )
    marker = response._get_param("Marker")
    start = 0
    if marker:
        keys = [key(item) for item in items]
        if marker not in keys:
            raise ELBClientError("ValidationError", f"Invalid marker '{marker}'")
        start = keys.index(marker) + 1
    chosen = list(items[start : start + size])
    return chosen, key(chosen[-1]) if start + size < len(items) else None


def install(lab: Lab) -> None:
    """Let the describe calls of balancers, target groups and listeners page as AWS does."""

    @lab.extend(ELBV2Response, "describe_load_balancers")
    def describe_load_balancers(_original: Any, response: Any) -> ActionResult:
        arns, names = response._get_param("LoadBalancerArns", []), response._get_param("Names", [])
        if arns and names:
            raise ValidationError("Load balancer names and load balancer ARNs cannot be specified at the same time")
        found = response.elbv2_backend.describe_load_balancers(arns, names)
        chosen, marker = page(response, found, lambda balancer: balancer.arn)
        return ActionResult({"LoadBalancers": chosen, "NextMarker": marker})

    @lab.extend(ELBV2Response, "describe_target_groups")
    def describe_target_groups(_original: Any, response: Any) -> ActionResult:
        arn, arns, names = (response._get_param(key) for key in ("LoadBalancerArn", "TargetGroupArns", "Names"))
        backend = response.elbv2_backend
        if arn in backend.load_balancers and not arns and not names:
            # moto says TargetGroupNotFound where a balancer has none yet.
            found = [group for group in backend.target_groups.values() if arn in group.load_balancer_arns]
        else:
            found = backend.describe_target_groups(arn, arns or [], names or [])
        chosen, marker = page(response, found, lambda group: group.arn)
        return ActionResult({"TargetGroups": chosen, "NextMarker": marker})

    @lab.extend(ELBV2Response, "describe_listeners")
    def describe_listeners(original: Any, response: Any) -> ActionResult:
        result = original(response).result
        chosen, marker = page(response, result["Listeners"], lambda listener: listener.arn)
        return ActionResult({"Listeners": chosen, "NextMarker": marker})
