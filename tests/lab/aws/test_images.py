"""The images of the lab, and the public parameters that name them."""

from __future__ import annotations

from typing import Any

PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"


def test_public_parameters_are_not_in_the_accounts_own_listing(api: Any) -> None:
    ssm = api.client("ssm")
    assert ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"].startswith("ami-")
    assert [found["Name"] for found in ssm.describe_parameters()["Parameters"]] == []
