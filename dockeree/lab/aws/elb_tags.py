"""Tags of load balancers, target groups and listeners: 50 at most, none of AWS's own, and only on what is there."""

from __future__ import annotations

from typing import Any

from moto.elbv2.exceptions import DuplicateTagKeysError, TooManyTagsError, ValidationError
from moto.elbv2.models import ELBv2Backend

from dockeree.lab.aws.core import Lab

MOST_TAGS = 50


def check(tags: list[dict[str, str]] | None, existing: dict[str, str] | None = None) -> None:
    """Refuse tags that AWS refuses: too many, twice the same key, its own prefix."""
    keys = [tag["Key"] for tag in tags or []]
    for key in keys:
        if key.lower().startswith("aws:"):
            raise ValidationError(f"Tag key '{key}' must not begin with the reserved prefix 'aws:'")
        if keys.count(key) > 1:
            raise DuplicateTagKeysError(key)
    if len({*keys, *(existing or {})}) > MOST_TAGS:
        raise TooManyTagsError()


def install(lab: Lab) -> None:
    """Lay the behaviours of tags over moto, whose limit is 10, and which tags what it does not have."""

    @lab.extend(ELBv2Backend, "add_tags")
    def add_tags(_original: Any, backend: Any, resource_arns: list[str], tags: list[dict[str, str]]) -> None:
        for arn in resource_arns:
            backend._get_resource_by_arn(arn)
            check(tags, backend.tagging_service.get_tag_dict_for_resource(arn))
        for arn in resource_arns:
            backend.tagging_service.tag_resource(arn, tags)

    @lab.extend(ELBv2Backend, "describe_tags")
    def describe_tags(original: Any, backend: Any, resource_arns: list[str]) -> Any:
        for arn in resource_arns:
            backend._get_resource_by_arn(arn)
        return original(backend, resource_arns)
