"""Systems Manager's parameters: the claim of the name, the lock, and the secrets of operators and nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dockeree.aws.tags import Owner
from dockeree.aws.waits import is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws


@dataclass(frozen=True)
class Parameter:
    """A parameter: its value (decrypted) and its version, which grows with each write."""

    name: str
    value: str
    version: int


def cluster_path(cluster: str) -> str:
    """Where every parameter of a cluster lies."""
    return f"/dockeree/{cluster}"


def claim_name(cluster: str) -> str:
    """The claim of the cluster's name: JSON `{format_version, id, created_at, created_by, image}`."""
    return f"{cluster_path(cluster)}/cluster"


def lock_name(cluster: str) -> str:
    """The lock: who works on the cluster."""
    return f"{cluster_path(cluster)}/lock"


def ssh_key_name(cluster: str) -> str:
    """The cluster's private SSH key, for operators only."""
    return f"{cluster_path(cluster)}/operator/ssh-key"


def ucp_password_name(cluster: str) -> str:
    """The password of UCP's administrator, for operators only."""
    return f"{cluster_path(cluster)}/operator/ucp-password"


def registry_keys_name(cluster: str) -> str:
    """DTR's access keys for its bucket, for operators only: JSON `{access_key_id, secret_access_key}`."""
    return f"{cluster_path(cluster)}/operator/dtr-s3-keys"


def worker_path(cluster: str) -> str:
    """What workers may read."""
    return f"{cluster_path(cluster)}/worker"


def manager_path(cluster: str) -> str:
    """What managers may read."""
    return f"{cluster_path(cluster)}/manager"


def worker_join_name(cluster: str) -> str:
    """How workers join: JSON `{format_version, token, managers, cluster_id, id}`, a SecureString."""
    return f"{worker_path(cluster)}/join"


def registry_trust_name(cluster: str, node_role: str) -> str:
    """What engines trust the registry by: JSON `{format_version, host, ca}`, a String that nodes of the role read."""
    return f"{cluster_path(cluster)}/{node_role}/dtr-ca"


def get_parameter(aws: Aws, name: str) -> Parameter | None:
    """The parameter with its value decrypted, None when there is none."""
    try:
        answer = aws.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except AwsError as error:
        if is_not_found(error):
            return None
        raise
    return Parameter(answer["Name"], answer["Value"], answer["Version"])


def create_parameter(
    aws: Aws, owner: Owner, name: str, value: str, *, role: str, is_secret: bool, key_id: str | None = None
) -> int | None:
    """Create a parameter with its tags: its version, or None when one of that name is there already.

    `key_id` is the KMS key that encrypts a secret one, instead of AWS's own. This is the account's only "create if
    absent" that costs nothing, hence the claim and the lock are made with it.
    """
    key: dict[str, Any] = {"KeyId": key_id} if key_id and is_secret else {}
    try:
        answer = aws.ssm.put_parameter(
            Name=name,
            Value=value,
            Type="SecureString" if is_secret else "String",
            Overwrite=False,
            Tags=owner.tag_list(role),
            **key,
        )
    except AwsError as error:
        if error.code == "ParameterAlreadyExists":
            return None
        raise
    return answer["Version"]


def overwrite_parameter(aws: Aws, name: str, value: str, *, is_secret: bool, key_id: str | None = None) -> int:
    """Write a parameter that is there (its tags stay: PutParameter refuses Tags together with Overwrite)."""
    key: dict[str, Any] = {"KeyId": key_id} if key_id and is_secret else {}
    answer = aws.ssm.put_parameter(
        Name=name, Value=value, Type="SecureString" if is_secret else "String", Overwrite=True, **key
    )
    return answer["Version"]


def ensure_parameter(aws: Aws, owner: Owner, name: str, value: str, *, role: str, is_secret: bool) -> bool:
    """A parameter with `value`; whether anything was changed."""
    found = get_parameter(aws, name)
    if found is not None and found.value == value:
        return False
    if found is not None or create_parameter(aws, owner, name, value, role=role, is_secret=is_secret) is None:
        overwrite_parameter(aws, name, value, is_secret=is_secret)
    return True


def list_names(aws: Aws, path: str) -> list[str]:
    """The names of every parameter below `path`."""
    pages = aws.ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": [f"{path}/"]}]
    )
    return sorted(parameter["Name"] for page in pages for parameter in page["Parameters"])


def delete_parameter(aws: Aws, name: str) -> bool:
    """Delete a parameter; True when it was there."""
    try:
        aws.ssm.delete_parameter(Name=name)
    except AwsError as error:
        if is_not_found(error):
            return False
        raise
    return True
