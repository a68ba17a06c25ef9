"""How a bucket of the cluster is kept: each setting is asked for, and set only where it is not as it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from dockeree.aws.tags import Owner
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

BucketKind = Literal["backups", "images"]
BUCKET_KINDS: tuple[BucketKind, ...] = get_args(BucketKind)

_NO_SETTING_CODES = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
_PRIVATE: Any = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_ENCRYPTED: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
_OWNED: Any = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@dataclass(frozen=True)
class Bucket:
    """A bucket of a cluster in one account and region, there or not."""

    kind: BucketKind
    name: str
    account: str
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """Its ARN; with `/*` behind it, that of its objects."""
        return f"arn:{self.partition}:s3:::{self.name}"

    @property
    def place(self) -> Any:
        """What every call on the bucket says: its name, and whose it must be."""
        return {"Bucket": self.name, "ExpectedBucketOwner": self.account}


def ensure_settings(aws: Aws, bucket: Bucket) -> bool:
    """Private, encrypted, reached by TLS alone, its objects the account's, the backups' with versions.

    Whether anything was changed.
    """
    changed = [ensure(aws, bucket) for ensure in (_versioning, _encryption, _ownership, _public_access, _policy)]
    return any(changed)


def set_tags(aws: Aws, bucket: Bucket, owner: Owner) -> None:
    """Put the owner's tags in the place of all others."""
    aws.s3.put_bucket_tagging(**bucket.place, Tagging={"TagSet": owner.tag_list(bucket.kind)})


def tls_only_policy(bucket: Bucket) -> dict[str, Any]:
    """The bucket's policy: nobody does anything over plain HTTP."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.arn, f"{bucket.arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _versioning(aws: Aws, bucket: Bucket) -> bool:
    """Only backups: old versions of images would stay, and cost, after the registry's garbage collection."""
    if bucket.kind != "backups" or aws.s3.get_bucket_versioning(**bucket.place).get("Status") == "Enabled":
        return False
    aws.s3.put_bucket_versioning(**bucket.place, VersioningConfiguration={"Status": "Enabled"})
    return True


def _encryption(aws: Aws, bucket: Bucket) -> bool:
    """S3 encrypts each new bucket since 2023; a key that the operator has set since stays."""
    found = _ask(lambda: aws.s3.get_bucket_encryption(**bucket.place))
    if found is not None and found["ServerSideEncryptionConfiguration"]["Rules"]:
        return False
    aws.s3.put_bucket_encryption(**bucket.place, ServerSideEncryptionConfiguration=_ENCRYPTED)
    return True


def _ownership(aws: Aws, bucket: Bucket) -> bool:
    found = _ask(lambda: aws.s3.get_bucket_ownership_controls(**bucket.place))
    if found is not None and found["OwnershipControls"] == _OWNED:
        return False
    aws.s3.put_bucket_ownership_controls(**bucket.place, OwnershipControls=_OWNED)
    return True


def _public_access(aws: Aws, bucket: Bucket) -> bool:
    found = _ask(lambda: aws.s3.get_public_access_block(**bucket.place))
    if found is not None and found["PublicAccessBlockConfiguration"] == _PRIVATE:
        return False
    aws.s3.put_public_access_block(**bucket.place, PublicAccessBlockConfiguration=_PRIVATE)
    return True


def _policy(aws: Aws, bucket: Bucket) -> bool:
    wanted = tls_only_policy(bucket)
    found = _ask(lambda: aws.s3.get_bucket_policy(**bucket.place))
    if found is not None and json.loads(found["Policy"]) == wanted:
        return False
    aws.s3.put_bucket_policy(**bucket.place, Policy=json.dumps(wanted))
    return True


def _ask(call: Callable[[], Any]) -> Any:
    """The answer, None where S3 says that the bucket has no such setting."""
    try:
        return call()
    except AwsError as error:
        if error.code in _NO_SETTING_CODES:
            return None
        raise
