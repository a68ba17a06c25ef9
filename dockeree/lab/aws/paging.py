"""Pages of EC2's Describe calls: `MaxResults` items each, and not below 5."""

from __future__ import annotations

import base64
import binascii
import copy
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import get_pagination_model, get_value, set_value
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.gate import Ec2Checks
from dockeree.lab.aws.wire_errors import Refusal

LEAST, MOST = 5, 1000
ALL = 1_000_000


def install(lab: Lab) -> None:
    """Take the paging parameters off each call before moto sees them, and cut the answer into pages."""
    lab.part(Ec2Checks).checks.append(_take_paging)

    @lab.extend(EC2Response, "serialized")
    def serialized(original: Any, response: Any, action_result: ActionResult) -> Any:
        paging = getattr(response, "lab_paging", None)
        if paging is None or isinstance(action_result.result, Exception):
            return original(response, action_result)
        try:
            return original(response, _page(response._get_action(), action_result, *paging))
        except EC2ClientError as error:
            return original(response, ActionResult(error))


def _model(action: str) -> dict[str, Any] | None:
    model: dict[str, Any] | None = get_pagination_model("ec2").get(action)
    return model if model is not None and model.get("limit_key") == "MaxResults" else None


def _take_paging(response: Any) -> None:
    action = response._get_action()
    if not action.startswith("Describe") or _model(action) is None:
        return
    limit, token = response._get_param("MaxResults"), response._get_param("NextToken")
    if limit is not None and not LEAST <= int(limit) <= MOST:
        than = f"greater than {LEAST}" if int(limit) < LEAST else f"less than {MOST}"
        raise Refusal(
            "ec2",
            "InvalidParameterValue",
            f"Value ( {limit} ) for parameter maxResults is invalid. Expecting a value {than}.",
        )
    response.lab_paging = (int(limit) if limit is not None else None, token)
    parameters = response.params.original_dict() if hasattr(response.params, "original_dict") else response.params
    parameters.pop("NextToken", None)
    # moto's own pages would cut DescribeInstances at 100 reservations.
    parameters["MaxResults"] = ALL


def _page(action: str, action_result: ActionResult, limit: int | None, token: str | None) -> ActionResult:
    model = _model(action) or {}
    keys = model["result_key"]
    key = keys[0] if isinstance(keys, list) else keys
    result = dict(action_result.result)
    items = list(get_value(result, key, []) or [])
    if action == "DescribeInstances":
        items = _one_instance_each(items)
    start = _offset(action, token)
    page = items[start : start + limit] if limit is not None else items[start:]
    rest = len(items) > start + len(page)
    set_value(result, key, _joined(page) if action == "DescribeInstances" else page)
    set_value(result, model["output_token"], _token(action, start + len(page)) if rest else None)
    return ActionResult(result)


def _token(action: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{action}:{offset}".encode()).decode()


def _offset(action: str, token: str | None) -> int:
    if not token:
        return 0
    try:
        owner, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if owner == action:
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise EC2ClientError("InvalidNextToken", "The specified NextToken is not valid.")


def _one_instance_each(reservations: list[Any]) -> list[Any]:
    """Pages of DescribeInstances count instances, not reservations."""
    split = []
    for reservation in reservations:
        for instance in reservation.instances:
            single = copy.copy(reservation)
            single.instances = [instance]
            split.append(single)
    return split


def _joined(split: list[Any]) -> list[Any]:
    joined: dict[str, Any] = {}
    for single in split:
        if single.id in joined:
            joined[single.id].instances = [*joined[single.id].instances, *single.instances]
        else:
            joined[single.id] = single
    return list(joined.values())
