"""S3's own side of authorization: bucket policies, the owner that a caller expects, and deletions of many objects.

moto looks at bucket policies without their conditions, and so refuses every upload to a bucket whose policy only
forbids plain HTTP. Here a policy is judged by the evaluator that judges identity policies (policies.py), for the
principals that it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response

from dockeree.lab.aws.authorization import add_resource_policy, is_allowed
from dockeree.lab.aws.callers import Caller
from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.policies import Ask, Decision, as_list, evaluate
from dockeree.lab.settings import ACCOUNT_ID

OBJECT_ARN_PREFIX = "arn:aws:s3:::"


def bucket_decision(caller: Caller, action: str, arn: str) -> Decision:
    """What the policy of the bucket in `arn` says of one call; NOT_ALLOWED where there is none."""
    name = arn.removeprefix(OBJECT_ARN_PREFIX).partition("/")[0]
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(name)
    if bucket is None or bucket.policy is None:
        return Decision.NOT_ALLOWED
    document = json.loads(bucket.policy)
    statements = [statement for statement in _listed(document["Statement"]) if _names(statement, caller)]
    return evaluate((json.dumps({"Statement": statements}),), Ask(action, arn, caller.context))


def _listed(statements: Any) -> list[dict[str, Any]]:
    return statements if isinstance(statements, list) else [statements]


def _names(statement: dict[str, Any], caller: Caller) -> bool:
    """Whether a statement is about this caller."""
    known = {"*", ACCOUNT_ID, f"arn:aws:iam::{ACCOUNT_ID}:root", caller.arn, caller.principal_arn}
    if "NotPrincipal" in statement:
        return not known & set(_principals(statement["NotPrincipal"]))
    return bool(known & set(_principals(statement.get("Principal", {}))))


def _principals(principal: Any) -> list[str]:
    return [principal] if isinstance(principal, str) else as_list(principal.get("AWS", []))


def install(lab: Lab) -> None:
    """Lay this over moto and over the lab's check of identity policies."""
    bulk = _Bulk()
    add_resource_policy(lab, "s3", bucket_decision)

    @lab.extend(FakeBucket, "get_permission")
    def get_permission(_original: Any, _bucket: Any, action: str, resource: str) -> PermissionResult:
        # Calls on one object have been judged before; of many that are deleted at once, each is judged by itself.
        if bulk.is_under_way and not is_allowed(lab, action, resource):
            return PermissionResult.DENIED
        return PermissionResult.NEUTRAL

    @lab.extend(S3Response, "_bucket_response_delete_keys")
    def delete_keys(original: Any, response: Any, bucket_name: str, authenticated: bool = True) -> Any:
        with bulk.under_way():
            return original(response, bucket_name, authenticated)

    @lab.extend(S3Response, "_authenticate_and_authorize_s3_action")
    def authenticate(original: Any, response: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        original(response, bucket_name, key_name)
        expected = response.headers.get("x-amz-expected-bucket-owner")
        owner = s3_backends.bucket_accounts.get(bucket_name, (None, ACCOUNT_ID))[1] if bucket_name else ACCOUNT_ID
        if expected and expected != owner:
            raise S3AccessDeniedError()
        if _is_creation(response, key_name) and b"<Tags>" in (response.body or b""):
            _require(lab, "s3:TagResource", f"{OBJECT_ARN_PREFIX}{bucket_name}")


def _require(lab: Lab, action: str, arn: str) -> None:
    """S3's own exception: its handlers turn no others into answers."""
    if not is_allowed(lab, action, arn):
        raise S3AccessDeniedError()


def _is_creation(response: Any, key_name: str | None) -> bool:
    return key_name is None and response.method == "PUT" and response.data.get("Action") == "CreateBucket"


class _Bulk:
    """Whether DeleteObjects is at work. Calls hold the lab's lock, so there is one at a time."""

    def __init__(self) -> None:
        self.is_under_way = False

    @contextmanager
    def under_way(self) -> Iterator[None]:
        self.is_under_way = True
        try:
            yield
        finally:
            self.is_under_way = False
