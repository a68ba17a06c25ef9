"""An answer that is lost makes no second VPC and no second gateway."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, FastClock

from dockeree.aws import networking
from dockeree.aws.creating import create_once
from dockeree.aws.tags import Owner
from dockeree.aws.waits import Waits
from dockeree.errors import AwsError, TimedOut

OWNER = Owner("demo", "0123abcd")
LOST = {"carried_out": True, "drop": True}
REFUSED_UNHEARD = {"drop": True}


class Script:
    """Creations that end as written: an error code, or a thing; and what a search finds in the meantime."""

    def __init__(self, *outcomes: str, finds: list[str | None] | None = None) -> None:
        self.outcomes = list(outcomes)
        self.finds = finds or []
        self.created = 0

    def create(self) -> str:
        self.created += 1
        outcome = self.outcomes.pop(0)
        if outcome.startswith("vpc-"):
            return outcome
        raise AwsError(f"ec2:CreateVpc: {outcome}", code=outcome)

    def find(self) -> str | None:
        return self.finds.pop(0) if self.finds else None

    def run(self) -> str:
        return create_once(self.create, self.find, Waits(clock=FastClock()), awaited="a new VPC")


def test_what_an_unanswered_call_made_is_taken_as_soon_as_it_is_listed() -> None:
    script = Script("ReadTimeoutError", finds=[None, None, "vpc-1"])
    assert script.run() == "vpc-1"
    assert script.created == 1


def test_a_call_that_made_nothing_is_made_again() -> None:
    script = Script("ServiceUnavailable", "ConnectionClosedError", "vpc-2")
    assert script.run() == "vpc-2"
    assert script.created == 3


def test_a_throttled_call_was_not_carried_out() -> None:
    script = Script("RequestLimitExceeded", "vpc-3", finds=["vpc-of-somebody-else"])
    assert script.run() == "vpc-3"


def test_a_refusal_is_told_at_once() -> None:
    script = Script("VpcLimitExceeded", "vpc-4")
    with pytest.raises(AwsError, match="VpcLimitExceeded"):
        script.run()
    assert script.created == 1


def test_it_is_not_tried_for_ever() -> None:
    with pytest.raises(TimedOut, match=r"a new VPC: not within 180 s; the last answer was: ec2:CreateVpc: Unavailable"):
        Script(*["Unavailable"] * 1000).run()


@pytest.mark.parametrize("fault", [LOST, REFUSED_UNHEARD, {"code": "RequestLimitExceeded"}, {"code": "InternalError"}])
def test_one_vpc_and_one_gateway_whatever_becomes_of_the_answers(cloud: Cloud, fault: dict[str, Any]) -> None:
    cloud.api.control("POST", "/lab/faults", {"eventual_consistency": True})
    aws, waits = cloud.aws(), Waits(clock=FastClock())
    for action in ("CreateVpc", "CreateInternetGateway"):
        cloud.api.control("POST", "/lab/faults", {"action": action, **fault})
    vpc, changed = networking.ensure_vpc(aws, OWNER, "10.32.0.0/16", waits)
    assert changed
    gateway_id, changed = networking.ensure_internet_gateway(aws, OWNER, vpc.id, waits)
    assert changed
    assert cloud.api.control("GET", "/lab/faults") == []
    assert [found.id for found in networking.find_vpcs(aws, OWNER)] == [vpc.id]
    assert networking.find_internet_gateways(aws, OWNER) == [(gateway_id, (vpc.id,))]
