"""Costs: from a dated list, and "not known" rather than a guess."""

from __future__ import annotations

import pytest

from dockeree.aws.cost import Cost, hourly_cost


def cost(region: str = "us-east-1", instance_type: str = "m5.xlarge") -> Cost:
    return hourly_cost(
        region=region, instances={instance_type: 3}, volume_gib=365, load_balancers=3, public_addresses=12
    )


def test_machines_disks_balancers_and_addresses_are_added_up() -> None:
    found = cost()
    assert found.dollars_per_hour == pytest.approx(3 * 0.192 + 365 * 0.08 / 730 + 3 * 0.0225 + 12 * 0.005)
    assert str(found) == "$0.74/hour"
    assert found.dollars_per_month == pytest.approx(found.dollars_per_hour * 730)


@pytest.mark.parametrize(
    ("region", "instance_type", "unknown"),
    [("eu-west-1", "m5.xlarge", "the region eu-west-1"), ("us-east-1", "x9.huge", "x9.huge")],
)
def test_what_is_not_in_the_list_is_not_known(region: str, instance_type: str, unknown: str) -> None:
    found = cost(region, instance_type)
    assert found.dollars_per_hour is None
    assert found.dollars_per_month is None
    assert unknown in str(found)
    assert str(found).startswith("not known")
