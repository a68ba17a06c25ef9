"""The key pair: an imported public key. AWS never makes or sees a private one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockeree.aws.tags import Owner
from dockeree.aws.waits import is_not_found
from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws

KEY_PAIR_ROLE = "key-pair"


@dataclass(frozen=True)
class KeyPair:
    """A key pair: its id, its name (`NAME-ID`) and the OpenSSH public key (type and data, without comment)."""

    id: str
    name: str
    public_key: str


def find_key_pair(aws: Aws, owner: Owner) -> KeyPair | None:
    """The cluster's key pair."""
    try:
        answer = aws.ec2.describe_key_pairs(KeyNames=[owner.fixed_name], IncludePublicKey=True)
    except AwsError as error:
        if is_not_found(error):
            return None
        raise
    found = answer["KeyPairs"][0]
    return KeyPair(found["KeyPairId"], found["KeyName"], without_comment(found.get("PublicKey", "")))


def import_key_pair(aws: Aws, owner: Owner, public_key: str) -> KeyPair:
    """Import an OpenSSH public key (RSA or ed25519) as the cluster's key pair."""
    answer = aws.ec2.import_key_pair(
        KeyName=owner.fixed_name,
        PublicKeyMaterial=public_key.encode(),
        TagSpecifications=owner.tag_specifications(KEY_PAIR_ROLE, "key-pair"),
    )
    return KeyPair(answer["KeyPairId"], answer["KeyName"], without_comment(public_key))


def delete_key_pair(aws: Aws, owner: Owner) -> bool:
    """Delete the cluster's key pair; True when there was one (DeleteKeyPair itself accepts any name)."""
    if find_key_pair(aws, owner) is None:
        return False
    aws.ec2.delete_key_pair(KeyName=owner.fixed_name)
    return True


def without_comment(public_key: str) -> str:
    """`ssh-ed25519 AAAA… somebody@host` -> `ssh-ed25519 AAAA…`."""
    return " ".join(public_key.split()[:2])
