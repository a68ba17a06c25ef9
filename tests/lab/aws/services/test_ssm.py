"""Parameter Store: sizes, names, secrets, pages."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


@pytest.fixture
def ssm(api: Any) -> Any:
    return api.client("ssm")


def test_standard_tier_ends_at_4_kib(ssm, refused):
    ssm.put_parameter(Name="/a/full", Value="x" * 4096, Type="String")
    with refused("ValidationException"):
        ssm.put_parameter(Name="/a/over", Value="x" * 4097, Type="String")
    with refused("ValidationException"):
        ssm.put_parameter(Name="/a/bytes", Value="ü" * 2049, Type="String")
    ssm.put_parameter(Name="/a/advanced", Value="x" * 8192, Type="String", Tier="Advanced")
    with refused("ValidationException"):
        ssm.put_parameter(Name="/a/beyond", Value="x" * 8193, Type="String", Tier="Advanced")
    answer = ssm.put_parameter(Name="/a/either", Value="x" * 4097, Type="String", Tier="Intelligent-Tiering")
    assert answer["Tier"] == "Advanced"


def test_exists_unless_overwritten(ssm, refused):
    assert ssm.put_parameter(Name="/a/b", Value="1", Type="String")["Version"] == 1
    with refused("ParameterAlreadyExists"):
        ssm.put_parameter(Name="/a/b", Value="2", Type="String")
    assert ssm.put_parameter(Name="/a/b", Value="2", Type="String", Overwrite=True)["Version"] == 2
    assert ssm.get_parameter(Name="/a/b")["Parameter"]["Value"] == "2"
    assert ssm.get_parameter(Name="/a/b:1")["Parameter"]["Value"] == "1"


def test_of_many_at_once_one_wins(api, ssm):
    def claim(number: int) -> bool:
        try:
            ssm.put_parameter(Name="/dockeree/demo/cluster", Value=str(number), Type="String")
        except ssm.exceptions.ParameterAlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(16))) == 1


def test_tags_with_overwrite_are_refused(ssm, refused):
    tags = [{"Key": "dockeree:cluster", "Value": "demo"}]
    ssm.put_parameter(Name="/a/b", Value="1", Type="String", Tags=tags)
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/a/b")["TagList"] == tags
    with refused("ValidationException"):
        ssm.put_parameter(Name="/a/b", Value="2", Type="String", Tags=tags, Overwrite=True)


def test_secrets_are_ciphertext_unless_asked_for(ssm):
    ssm.put_parameter(Name="/a/secret", Value="SWMTKN-1-abc", Type="SecureString")
    for read in (
        lambda **how: ssm.get_parameter(Name="/a/secret", **how)["Parameter"],
        lambda **how: ssm.get_parameters(Names=["/a/secret"], **how)["Parameters"][0],
        lambda **how: ssm.get_parameters_by_path(Path="/a", **how)["Parameters"][0],
        lambda **how: ssm.get_parameter_history(Name="/a/secret", **how)["Parameters"][0],
    ):
        ciphertext = read()["Value"]
        assert "SWMTKN" not in ciphertext
        assert b"SWMTKN" not in base64.urlsafe_b64decode(ciphertext)
        assert read(WithDecryption=True)["Value"] == "SWMTKN-1-abc"
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == "alias/aws/ssm"


def test_an_unknown_key_is_refused(ssm, refused):
    for key_id in ("alias/unknown", "00000000-0000-0000-0000-000000000000"):
        with refused("InvalidKeyId"):
            ssm.put_parameter(Name="/a/secret", Value="x", Type="SecureString", KeyId=key_id)


def test_names(ssm, refused):
    for name in ("no/leading/slash", "/double//slash", "/trailing/", "/white space", "/ssm/reserved", "awsname"):
        with refused("ValidationException"):
            ssm.put_parameter(Name=name, Value="x", Type="String")
    with refused("AccessDeniedException"):
        ssm.put_parameter(Name="/aws/service/mine", Value="x", Type="String")
    ssm.put_parameter(Name="/" + "/".join("abcdefghijklmno"), Value="x", Type="String")
    with refused("HierarchyLevelLimitExceededException"):
        ssm.put_parameter(Name="/" + "/".join("abcdefghijklmnop"), Value="x", Type="String")


def test_by_path_pages_and_recursion(ssm, refused):
    names = {f"/demo/worker/{number:02}" for number in range(20)}
    for name in (*names, "/demo/worker/deep/er", "/demo/workers"):
        ssm.put_parameter(Name=name, Value="x", Type="String")
    first = ssm.get_parameters_by_path(Path="/demo/worker")
    second = ssm.get_parameters_by_path(Path="/demo/worker", NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert {p["Name"] for page in (first, second) for p in page["Parameters"]} == names
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/demo/worker", Recursive=True)
    assert {p["Name"] for page in pages for p in page["Parameters"]} == {*names, "/demo/worker/deep/er"}
    with refused("ValidationException"):
        ssm.get_parameters_by_path(Path="/demo", MaxResults=11)
    with refused("ValidationException"):
        ssm.get_parameters_by_path(Path="demo")


def test_gone_is_gone(ssm, refused):
    ssm.put_parameter(Name="/a/b", Value="x", Type="String")
    ssm.delete_parameter(Name="/a/b")
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/a/b")
    with refused("ParameterNotFound"):
        ssm.delete_parameter(Name="/a/b")
    answer = ssm.get_parameters(Names=["/a/b"])
    assert (answer["Parameters"], answer["InvalidParameters"]) == ([], ["/a/b"])
