"""Whom a balancer sends to, and what its checks say, without a network."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dockeree.lab.network.health import Record, is_success
from dockeree.lab.network.targets import (
    BalancerView,
    choose,
    health_outside_checks,
    view_of,
)
from dockeree.lab.world import (
    Balancer,
    HealthCheck,
    InstanceNetwork,
    Interface,
    Listener,
    Snapshot,
    Subnet,
    Target,
    TargetGroup,
    TargetHealth,
    Vpc,
)

CHECK = HealthCheck("TCP", None, "", 10, 6, healthy_threshold=3, unhealthy_threshold=2)


def world(*, cross_zone: bool = True, active: bool = True, running: bool = True) -> Snapshot:
    zones = ("us-east-1a", "us-east-1b", "us-east-1c")
    subnets = tuple(Subnet(f"subnet-{z[-1]}", "vpc-1", f"10.32.{n}.0/24", z, True) for n, z in enumerate(zones))
    instances = tuple(
        InstanceNetwork(
            f"i-{z[-1]}",
            Interface(f"eni-{z[-1]}", f"i-{z[-1]}", f"subnet-{z[-1]}", f"10.32.{n}.5", f"198.18.1.2{n}", ()),
            f"ip-10-32-{n}-5",
            z,
            running,
        )
        for n, z in enumerate(zones)
    )
    # The balancer has no interface in zone c.
    interfaces = tuple(
        Interface(f"eni-lb-{z}", "arn:lb", f"subnet-{z}", f"10.32.{n}.9", f"198.18.1.3{n}", ())
        for n, z in enumerate("ab")
    )
    targets = tuple(Target(f"i-{z}", 80) for z in "abc")
    return Snapshot(
        vpcs=(Vpc("vpc-1", "10.32.0.0/16", True),),
        subnets=subnets,
        instances=instances,
        balancers=(
            Balancer(
                "arn:lb",
                "lb",
                "lb.elb",
                "vpc-1",
                True,
                cross_zone,
                active,
                interfaces,
                (Listener("arn:l", 443, "TCP", "arn:tg"),),
            ),
        ),
        target_groups=(TargetGroup("arn:tg", "TCP", CHECK, targets, False),),
    )


def view(**settings: bool) -> BalancerView:
    snapshot = world(**settings)
    return view_of(snapshot, snapshot.balancers[0])


def ids(view: BalancerView, zone: str, healthy: set[str]) -> list[str]:
    group = view.groups["arn:tg"]
    return [t.instance_id for t in view.candidates(group, zone, lambda _, t: t.instance_id in healthy)]


def test_healthy_targets_of_the_enabled_zones() -> None:
    assert ids(view(), "us-east-1a", {"i-a", "i-b", "i-c"}) == ["i-a", "i-b"]
    assert ids(view(), "us-east-1a", {"i-b"}) == ["i-b"]


def test_fails_open_with_no_healthy_target() -> None:
    assert ids(view(), "us-east-1a", set()) == ["i-a", "i-b"]
    assert ids(view(cross_zone=False), "us-east-1a", set()) == ["i-a"]


def test_without_cross_zone_each_address_keeps_to_its_zone_and_leaves_the_name_when_it_has_none() -> None:
    one = view(cross_zone=False)
    assert ids(one, "us-east-1a", {"i-a", "i-b"}) == ["i-a"]
    assert ids(one, "us-east-1a", {"i-b"}) == []
    assert [i.id for i in one.named_interfaces(lambda _, t: t.instance_id == "i-b")] == ["eni-lb-b"]
    assert [i.id for i in one.named_interfaces(lambda _, t: False)] == ["eni-lb-a", "eni-lb-b"]
    assert [i.id for i in view().named_interfaces(lambda _, t: t.instance_id == "i-b")] == ["eni-lb-a", "eni-lb-b"]


def test_draining_and_stopped_targets_get_nothing() -> None:
    one = view()
    group = one.groups["arn:tg"]
    draining = replace(group, targets=(Target("i-a", 80, draining=True), Target("i-b", 80)))
    assert [t.instance_id for t in one.candidates(draining, "us-east-1a", lambda *_: True)] == ["i-b"]
    assert ids(view(running=False), "us-east-1a", {"i-a"}) == []


def test_flows_are_spread_and_a_flow_keeps_its_target() -> None:
    targets = [Target(f"i-{n}", 80) for n in range(3)]
    chosen = Counter(choose(targets, ("198.18.1.2", port), 443) for port in range(40000, 40300))
    assert len(chosen) == 3
    assert min(chosen.values()) > 60
    assert choose(targets, ("1.2.3.4", 5), 443) == choose(targets, ("1.2.3.4", 5), 443)
    assert choose([], ("1.2.3.4", 5), 443) is None


def test_the_instance_that_calls_is_known_by_both_addresses() -> None:
    one = view()
    assert one.is_same_instance(Target("i-a", 80), "10.32.0.5")
    assert one.is_same_instance(Target("i-a", 80), "198.18.1.20")
    assert not one.is_same_instance(Target("i-a", 80), "10.32.1.5")


def test_states_that_need_no_check() -> None:
    def reason(view: BalancerView | None, target: Target, group: str = "arn:tg") -> tuple[str, str] | None:
        health = health_outside_checks(view, group, target)
        return None if health is None else (health.state, health.reason)

    a = Target("i-a", 80)
    assert reason(None, a) == ("unused", "Target.NotInUse")
    assert reason(view(), a, "arn:other") == ("unused", "Target.NotInUse")
    assert reason(view(), Target("i-a", 81)) == ("unused", "Target.NotRegistered")
    assert reason(view(), Target("i-c", 80)) == ("unused", "Target.NotInUse")
    assert reason(view(running=False), a) == ("unused", "Target.InvalidState")
    assert reason(view(active=False), a) == ("initial", "Elb.RegistrationInProgress")
    assert reason(view(), a) is None


def after(*results: bool) -> TargetHealth:
    record = Record()
    for passed in results:
        record = record.after(passed, CHECK)
    return record.health()


def test_thresholds() -> None:
    assert after() == TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
    assert after(True) == TargetHealth("healthy", "", "")
    assert after(False).state == "initial"
    assert after(False, False) == TargetHealth("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    assert after(True, False).state == "healthy"
    assert after(True, False, True, False).state == "healthy"
    assert after(True, False, False).state == "unhealthy"
    assert after(False, False, True, True).state == "unhealthy"
    assert after(False, False, True, True, True).state == "healthy"
    assert after(False, False, True, True, False, True).state == "unhealthy"


@pytest.mark.parametrize(
    ("status", "codes", "expected"),
    [
        (200, "200-399", True),
        (399, "200-399", True),
        (400, "200-399", False),
        (202, "200,202", True),
        (201, "200, 202", False),
    ],
)
def test_success_codes(status: int, codes: str, expected: bool) -> None:
    assert is_success(status, codes) is expected
