"""The tree of instance metadata, as plain values. Pure: `Metadata` in, paths and their contents out.

A folder is a dict, a file is its text. Everything a listing names can be fetched: cloud-init walks the listing and
gives up the whole data source at the first entry that is not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

from dockeree.lab.network.names import private_domain, public_name
from dockeree.lab.world import Credentials, Metadata

Tree = dict[str, "Tree | str | bytes"]

VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2020-10-27", "2021-03-23", "2022-09-24", "latest")
_VERSION = re.compile(r"1\.0|\d{4}-\d{2}-\d{2}|latest")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_name(metadata: Metadata) -> str:
    """The instance's private name, with its domain."""
    if "." in metadata.hostname:
        return metadata.hostname
    return f"{metadata.hostname}.{private_domain(metadata.region)}"


def _addresses(metadata: Metadata) -> Tree:
    """What both the instance and its interface say of public addresses: nothing where there is none."""
    if metadata.public_ip is None:
        return {}
    return {"public-hostname": public_name(metadata.public_ip, metadata.region)}


def _network(metadata: Metadata) -> Tree:
    interface: Tree = {
        "device-number": "0",
        "local-hostname": local_name(metadata),
        "local-ipv4s": metadata.private_ip,
        "mac": metadata.mac,
        "owner-id": metadata.account_id,
        "security-groups": "\n".join(metadata.security_groups),
        "subnet-id": metadata.subnet_id,
        "subnet-ipv4-cidr-block": metadata.subnet_cidr,
        "vpc-id": metadata.vpc_id,
        "vpc-ipv4-cidr-block": metadata.vpc_cidr,
        "vpc-ipv4-cidr-blocks": metadata.vpc_cidr,
        **_addresses(metadata),
    }
    if metadata.public_ip is not None:
        interface["public-ipv4s"] = metadata.public_ip
        interface["ipv4-associations"] = {metadata.public_ip: metadata.private_ip}
    return {"interfaces": {"macs": {metadata.mac: interface}}}


def _credentials(credentials: Credentials | None) -> str:
    if credentials is None:
        # What EC2 says while a role cannot be assumed: a document, not an error.
        return json.dumps(
            {
                "Code": "AssumeRoleUnauthorizedAccess",
                "Message": "EC2 cannot assume the role of this instance profile.",
                "LastUpdated": _now(),
            },
            indent=2,
        )
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": _now(),
            "Type": "AWS-HMAC",
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expiration": credentials.expiration,
        },
        indent=2,
    )


def _iam(metadata: Metadata, credentials: Callable[[], Credentials | None]) -> Tree:
    info = {
        "Code": "Success",
        "LastUpdated": _now(),
        "InstanceProfileArn": metadata.profile_arn,
        "InstanceProfileId": "AIPA" + "".join(filter(str.isalnum, metadata.instance_id.upper()))[:17],
    }
    roles: Tree = {metadata.role_name: _credentials(credentials())} if metadata.role_name else {}
    return {"info": json.dumps(info, indent=2), "security-credentials": roles}


def meta_data(metadata: Metadata, credentials: Callable[[], Credentials | None]) -> Tree:
    """The `meta-data/` folder. `credentials` is called only where the instance has a profile."""
    tree: Tree = {
        "ami-id": metadata.image_id,
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "block-device-mapping": {"ami": "/dev/sda1", "root": "/dev/sda1"},
        "hostname": local_name(metadata),
        "instance-action": "none",
        "instance-id": metadata.instance_id,
        "instance-life-cycle": "on-demand",
        "instance-type": metadata.instance_type,
        "local-hostname": local_name(metadata),
        "local-ipv4": metadata.private_ip,
        "mac": metadata.mac,
        "network": _network(metadata),
        "placement": {"availability-zone": metadata.zone, "region": metadata.region},
        "profile": "default-hvm",
        "security-groups": "\n".join(metadata.security_groups),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
        **_addresses(metadata),
    }
    if metadata.public_ip is not None:
        tree["public-ipv4"] = metadata.public_ip
    if metadata.authorized_key is not None:
        tree["public-keys"] = {"0": {"openssh-key": metadata.authorized_key.strip()}}
    if metadata.profile_arn is not None:
        tree["iam"] = _iam(metadata, credentials)
    if metadata.instance_tags:
        tree["tags"] = {"instance": dict(metadata.instance_tags)}
    if metadata.lifecycle_state is not None:
        tree["autoscaling"] = {"target-lifecycle-state": metadata.lifecycle_state}
    return tree


def identity_document(metadata: Metadata) -> str:
    """The instance identity document."""
    return json.dumps(
        {
            "accountId": metadata.account_id,
            "architecture": "x86_64",
            "availabilityZone": metadata.zone,
            "billingProducts": None,
            "devpayProductCodes": None,
            "imageId": metadata.image_id,
            "instanceId": metadata.instance_id,
            "instanceType": metadata.instance_type,
            "kernelId": None,
            "marketplaceProductCodes": None,
            "pendingTime": _now(),
            "privateIp": metadata.private_ip,
            "ramdiskId": None,
            "region": metadata.region,
            "version": "2017-09-30",
        },
        indent=2,
    )


def _listing(folder: Tree, path: list[str], metadata: Metadata) -> str:
    if path[1:] == ["meta-data", "public-keys"]:
        return f"0={metadata.key_name or 'key'}"
    return "\n".join(f"{name}/" if isinstance(entry, dict) else name for name, entry in folder.items())


def fetch(path: str, metadata: Metadata, credentials: Callable[[], Credentials | None]) -> str | bytes | None:
    """The content at a path of the service (without query), None where there is nothing."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "\n".join(VERSIONS)
    if not _VERSION.fullmatch(parts[0]):
        return None
    tree: Tree = {
        "dynamic": {"instance-identity": {"document": identity_document(metadata)}},
        "meta-data": {},
    }
    if metadata.user_data:
        tree["user-data"] = metadata.user_data
    if parts[1:2] == ["meta-data"]:
        tree["meta-data"] = meta_data(metadata, credentials)
    entry: Tree | str | bytes = tree
    for part in parts[1:]:
        if not isinstance(entry, dict) or part not in entry:
            return None
        entry = entry[part]
    return _listing(entry, parts, metadata) if isinstance(entry, dict) else entry
