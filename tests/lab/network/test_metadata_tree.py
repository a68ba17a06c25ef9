"""The metadata tree, without a network: what is in it when, and that every listed entry is there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dockeree.lab.network.metadata import VERSIONS, fetch
from dockeree.lab.world import Credentials, Metadata

PLAIN = Metadata(
    instance_id="i-0123456789abcdef0",
    image_id="ami-1",
    instance_type="m6i.large",
    region="us-east-1",
    zone="us-east-1a",
    account_id="123456789012",
    private_ip="10.32.0.5",
    public_ip=None,
    hostname="ip-10-32-0-5",
    mac="02:00:00:00:00:05",
    subnet_cidr="10.32.0.0/24",
    vpc_cidr="10.32.0.0/16",
    vpc_id="vpc-1",
    subnet_id="subnet-1",
    security_groups=("demo-managers", "other"),
    authorized_key=None,
    key_name=None,
    user_data=b"",
    tokens_required=True,
    hop_limit=1,
    enabled=True,
    instance_tags={},
    profile_arn=None,
    role_name=None,
)
FULL = replace(
    PLAIN,
    public_ip="198.18.1.25",
    authorized_key="ssh-ed25519 AAAA operator\n",
    key_name="demo",
    user_data=b"#!/bin/sh\n\xff",
    instance_tags={"Name": "demo-manager-a", "dockeree:role": "manager-a"},
    profile_arn="arn:aws:iam::123456789012:instance-profile/dockeree/demo-manager",
    role_name="demo-manager",
    lifecycle_state="InService",
)
CREDENTIALS = Credentials("ASIA1", "secret", "token", "2026-11-24T10:00:00Z")


def get(path: str, metadata: Metadata = FULL, credentials: Credentials | None = CREDENTIALS) -> str | bytes | None:
    return fetch(path, metadata, lambda: credentials)


def walk(path: str, metadata: Metadata, credentials: Credentials | None) -> list[str]:
    """Follow every listing as cloud-init does; returns the files."""
    listing = get(path, metadata, credentials)
    assert isinstance(listing, str), path
    files = []
    for entry in listing.splitlines():
        if path.endswith("/public-keys/"):
            entry = entry.partition("=")[0] + "/"
        if entry.endswith("/"):
            files += walk(path + entry, metadata, credentials)
        else:
            assert get(path + entry, metadata, credentials) is not None, path + entry
            files.append(path + entry)
    return files


@pytest.mark.parametrize("metadata", [PLAIN, FULL, replace(FULL, public_ip=None), replace(FULL, role_name=None)])
@pytest.mark.parametrize("credentials", [CREDENTIALS, None])
def test_every_listed_entry_is_there(metadata: Metadata, credentials: Credentials | None) -> None:
    for version in ("latest", "2009-04-04", "2021-03-23", "2031-01-01"):
        assert len(walk(f"/{version}/meta-data/", metadata, credentials)) > 15
        assert f"/{version}/dynamic/instance-identity/document" in walk(f"/{version}/dynamic/", metadata, credentials)


def test_the_root_lists_versions() -> None:
    assert get("/") == "\n".join(VERSIONS)
    assert get("/latest") == "dynamic/\nmeta-data/\nuser-data"
    assert get("/nonsense/meta-data/") is None


def test_the_plain_values() -> None:
    assert get("/latest/meta-data/instance-id") == "i-0123456789abcdef0"
    assert get("/latest/meta-data/local-hostname") == "ip-10-32-0-5.ec2.internal"
    assert get("/latest/meta-data/public-ipv4") == "198.18.1.25"
    assert get("/latest/meta-data/public-hostname") == "ec2-198-18-1-25.compute-1.amazonaws.com"
    assert get("/latest/meta-data/placement/availability-zone") == "us-east-1a"
    assert get("/latest/meta-data/security-groups") == "demo-managers\nother"
    assert get("/latest/meta-data/public-keys/") == "0=demo"
    assert get("/latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA operator"
    assert get("/latest/meta-data/tags/instance/dockeree:role") == "manager-a"
    assert get("/latest/meta-data/autoscaling/target-lifecycle-state") == "InService"
    assert get("/latest/meta-data/network/interfaces/macs/02:00:00:00:00:05/subnet-id") == "subnet-1"
    assert get("/latest/user-data") == b"#!/bin/sh\n\xff"
    document = get("/latest/dynamic/instance-identity/document")
    assert isinstance(document, str)
    assert json.loads(document)["region"] == "us-east-1"


def test_credentials_of_the_profile() -> None:
    assert get("/latest/meta-data/iam/security-credentials/") == "demo-manager"
    document = get("/latest/meta-data/iam/security-credentials/demo-manager")
    assert isinstance(document, str)
    assert json.loads(document)["AccessKeyId"] == "ASIA1"
    assert json.loads(document)["Code"] == "Success"
    unready = get("/latest/meta-data/iam/security-credentials/demo-manager", FULL, None)
    assert isinstance(unready, str)
    assert json.loads(unready)["Code"] == "AssumeRoleUnauthorizedAccess"


def test_what_an_instance_has_not_is_neither_listed_nor_there() -> None:
    listing = get("/latest/meta-data/", PLAIN)
    assert isinstance(listing, str)
    for absent in ("public-ipv4", "public-keys/", "iam/", "tags/", "autoscaling/", "public-hostname"):
        assert absent not in listing.splitlines()
        assert get(f"/latest/meta-data/{absent}", PLAIN) is None
    assert get("/latest/user-data", PLAIN) is None
