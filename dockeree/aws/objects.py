"""Objects in a bucket: written with their SHA-256, read whole or not at all, listed page by page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockeree.aws import failures
from dockeree.aws.buckets import Bucket
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

DOWNLOADS = 3
"""botocore tries a call again, but not the reading of its answer's body."""


@dataclass(frozen=True)
class StoredObject:
    """An object as S3 lists it."""

    key: str
    size_bytes: int


def put_object(aws: Aws, bucket: Bucket, key: str, body: bytes, content_type: str) -> None:
    """Write an object. S3 compares the body with its SHA-256, and keeps nothing of an upload that was cut off.

    Raises AwsError.
    """
    aws.s3.put_object(
        **bucket.place,
        Key=key,
        Body=body,
        ContentType=content_type,
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
    )


def get_object(aws: Aws, bucket: Bucket, key: str, most_bytes: int) -> bytes | None:
    """An object's whole body, compared with the checksum that S3 keeps; None when there is no such object.

    A download that breaks off is begun again. Raises AwsError; also for an object of more than `most_bytes`, which is
    not read.
    """
    for attempt in range(1, DOWNLOADS + 1):
        try:
            return _download(aws, bucket, key, most_bytes)
        except AwsError as error:
            if error.code == "NoSuchKey":
                return None
            if error.code not in failures.BROKEN_DOWNLOADS or attempt == DOWNLOADS:
                raise
    raise AssertionError("the last attempt returns or raises")


def list_objects(aws: Aws, bucket: Bucket, prefix: str) -> Iterator[StoredObject]:
    """Every object whose key begins with `prefix`, in the order of their keys."""
    for page in aws.s3.get_paginator("list_objects_v2").paginate(**bucket.place, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield StoredObject(item["Key"], item["Size"])


def _download(aws: Aws, bucket: Bucket, key: str, most_bytes: int) -> bytes:
    answer = aws.s3.get_object(**bucket.place, Key=key, ChecksumMode="ENABLED")
    size_bytes = answer.get("ContentLength", -1)
    # Entering the body itself would hand out the raw stream, which compares nothing.
    with closing(answer["Body"]) as body:
        if size_bytes < 0:  # botocore takes headers that break off for all there are
            code = "IncompleteReadError"
            raise AwsError("s3:GetObject: the answer broke off in its headers", code=code, operation="GetObject")
        if size_bytes > most_bytes:
            raise AwsError(f"{key} in {bucket.name} has {size_bytes} bytes; more than {most_bytes} are not read")
        with failures.translated("s3", "GetObject"):
            return body.read()
