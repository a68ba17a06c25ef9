"""S3 as new buckets are since 2023: encrypted, not public, without access control lists."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from xml.etree import ElementTree

from moto.s3.exceptions import BucketAccessDeniedError, S3ClientError
from moto.s3.models import PublicAccessBlock, S3Backend
from moto.s3.responses import S3Response

from dockeree.lab.aws.core import Lab

SSE_S3: dict[str, Any] = {
    "Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}
}
"""The default encryption that every bucket has, and gets back when its own is deleted."""

RESTRICTING_KEYS = frozenset(
    {
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:principalorgid",
        "aws:principalarn",
        "aws:userid",
        "s3:dataaccesspointarn",
        "s3:dataaccesspointaccount",
    }
)
"""Condition keys that, with fixed values, make a statement for everybody not public."""


def is_public(document: bytes) -> bool:
    """Whether a bucket policy lets everybody in, as S3 judges it. Raises MalformedPolicy."""
    try:
        policy = json.loads(document)
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        return any(_statement_is_public(statement) for statement in statements)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise S3ClientError("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'") from error


def _statement_is_public(statement: dict[str, Any]) -> bool:
    if statement["Effect"] != "Allow":
        return False
    principal = statement.get("Principal")
    named = principal.get("AWS", []) if isinstance(principal, dict) else principal
    everybody = "*" in (named if isinstance(named, list) else [named])
    return everybody and not any(
        _restricts(key, values) for keys in statement.get("Condition", {}).values() for key, values in keys.items()
    )


def _restricts(key: str, values: Any) -> bool:
    listed = values if isinstance(values, list) else [values]
    if key.lower() == "aws:sourceip":
        return not any(value in ("0.0.0.0/0", "::/0") for value in listed)
    return key.lower() in RESTRICTING_KEYS and not any("*" in str(value) for value in listed)


def check_sha256(headers: Any, body: bytes) -> None:
    """Refuse a body that is not what the caller's SHA-256 says. moto stores both as they come."""
    claimed = headers.get("x-amz-checksum-sha256")
    if claimed and base64.b64encode(hashlib.sha256(body).digest()).decode() != claimed:
        raise S3ClientError("BadDigest", "The SHA256 you specified did not match the calculated checksum.")


def tags_in_creation(body: bytes) -> dict[str, str]:
    """The tags in CreateBucket's configuration. Raises S3ClientError as PutBucketTagging does."""
    if b"<Tags>" not in body:
        return {}
    listed = ElementTree.fromstring(body).findall("{*}Tags/{*}Tag")
    tags = {tag.findtext("{*}Key", ""): tag.findtext("{*}Value", "") for tag in listed}
    if len(tags) < len(listed):
        raise S3ClientError("InvalidTag", "Cannot provide multiple Tags with the same key")
    if any(key.startswith("aws:") for key in tags):
        raise S3ClientError("InvalidTag", "System tags cannot be added/updated by requester")
    return tags


def _blocks(bucket: Any, setting: str) -> bool:
    return bucket.public_access_block is not None and getattr(bucket.public_access_block, setting)


def install(lab: Lab) -> None:
    """Lay S3's behaviours over moto."""

    @lab.extend(S3Response, "put_object")
    def put_object(original: Any, response: Any) -> Any:
        check_sha256(response.headers, response.body or b"")
        return original(response)

    @lab.extend(S3Response, "_bucket_response_put")
    def bucket_response_put(
        original: Any, response: Any, request: Any, bucket_name: str, querystring: dict[str, Any]
    ) -> Any:
        is_creation = not querystring and bucket_name not in response.backend.buckets
        tags = tags_in_creation(response.body) if is_creation else {}
        answer = original(response, request, bucket_name, querystring)
        if tags:
            response.backend.put_bucket_tagging(bucket_name, tags)
        return answer

    @lab.extend(S3Backend, "create_bucket")
    def create_bucket(original: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
        bucket = original(backend, *args, **kwargs)
        bucket.encryption = SSE_S3
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = "BucketOwnerEnforced"
        return bucket

    @lab.extend(S3Backend, "delete_bucket_encryption")
    def delete_bucket_encryption(_original: Any, backend: Any, bucket_name: str) -> None:
        backend.get_bucket(bucket_name).encryption = SSE_S3

    @lab.extend(S3Backend, "put_bucket_policy")
    def put_bucket_policy(original: Any, backend: Any, bucket_name: str, policy: bytes) -> None:
        bucket = backend.get_bucket(bucket_name)
        if is_public(policy) and _blocks(bucket, "block_public_policy"):
            raise BucketAccessDeniedError(bucket=bucket_name)
        original(backend, bucket_name, policy)

    @lab.extend(S3Backend, "put_bucket_acl")
    def put_bucket_acl(original: Any, backend: Any, bucket_name: str, acl: Any) -> None:
        bucket = backend.get_bucket(bucket_name)
        public = acl is not None and acl.public_read
        if public and _blocks(bucket, "block_public_acls"):
            raise BucketAccessDeniedError(bucket=bucket_name)
        if bucket.ownership_rule == "BucketOwnerEnforced" and public:
            raise S3ClientError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        original(backend, bucket_name, acl)
