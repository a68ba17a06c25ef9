"""The last screens of `up`, `scale-workers` and `destroy`, and what `destroy` asks before it begins."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from support.command_line import MINIMAL, CommandLine

from dockeree.aws.cost import Cost
from dockeree.aws.leftovers import Resource
from dockeree.aws.session import Aws, Identity
from dockeree.state import State
from dockeree.steps.runner import RunResult, Timing
from dockeree.workflows.destroy import DestroySummary, Inventory
from dockeree.workflows.scale_workers import ScaleSummary
from dockeree.workflows.up import UpSummary

RESOURCES = (
    Resource("instance", "i-1"),
    Resource("instance", "i-2"),
    Resource("VPC", "vpc-1"),
    Resource("security group", "sg-1"),
    Resource("security group", "sg-2"),
)
FOUND = Inventory(RESOURCES, ("your hosted zone Z1",), is_claimed=True)


def up_summary(changed: bool = True, cost: Cost | None = None) -> UpSummary:
    return UpSummary(
        changed=changed,
        urls={"ucp": "https://ucp.test", "dtr": "https://dtr.test", "apps": "http://apps.test"},
        node_names={},
        managers=3,
        workers=3,
        cost=cost or Cost(1.07, "2026-11-01"),
        records_to_make=("ucp.example.com. CNAME ucp.test.",),
        next_commands=("dockeree status", "dockeree destroy"),
        result=RunResult([Timing("network/A", 0.0, 648.0, changed)]),
    )


class ATerminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity that needs no AWS."""
    monkeypatch.setattr(Aws, "identity", lambda self: Identity("123456789012", "arn:aws:iam::123456789012:user/ops"))


def provide_destroy(dockeree: CommandLine, found: Inventory = FOUND, left: tuple[Resource, ...] = ()) -> list[str]:
    """Workflows that find `found` and leave `left`; the list tells what was called."""
    called: list[str] = []

    def inventory(cluster: Any) -> Inventory:
        called.append(f"inventory {cluster.name} {cluster.aws.region}")
        return found

    def destroy(cluster: Any) -> DestroySummary:
        called.append("destroy")
        removed = tuple(resource for resource in found.removes if resource not in left)
        return DestroySummary(removed, found.keeps, left, 182.0)

    dockeree.provide("destroy", inventory=inventory, destroy=destroy)
    return called


def test_up_says_what_stands_where_and_what_next(dockeree: CommandLine) -> None:
    path = dockeree.configure()
    dockeree.provide("up", up=lambda cluster: up_summary())
    outcome = dockeree("up", "-c", str(path))
    assert outcome.code == 0
    assert outcome.stdout == ""
    lines = outcome.stderr.splitlines()
    assert lines[:10] == [
        "✓ demo is up in 10m48s",
        "UCP    https://ucp.test",
        "DTR    https://dtr.test",
        "Apps   http://apps.test",
        "Nodes  3 managers, 3 workers",
        f"Costs  $1.07/hour, $781/month until: dockeree -c {path} destroy",
        "       (prices of 2026-11-01; not counted: traffic, load balancer capacity units, detailed monitoring, "
        "DNS zones, licences)",
        "Make   these records of your own domain:",
        "       ucp.example.com. CNAME ucp.test.",
        f"Next   dockeree -c {path} status",
    ]
    assert lines[11].startswith("Log    ")


def test_up_again_says_that_nothing_changed(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("up", up=lambda cluster: up_summary(changed=False))
    assert dockeree("up").stderr.splitlines()[0] == "✓ demo is up, and nothing changed (10m48s)"


def test_an_unknown_price_is_said(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("up", up=lambda cluster: up_summary(cost=Cost(None, "2026-11-01", ("x9.large",))))
    assert "Costs  not known (no price of x9.large in the list of 2026-11-01)\n" in dockeree("up").stderr


def test_scaling_says_who_came_and_who_went(dockeree: CommandLine) -> None:
    asked: list[Any] = []

    def scale_workers(cluster: Any, count: int, **settings: Any) -> ScaleSummary:
        asked.append((count, settings))
        return ScaleSummary(3, count, (), ("i-1",), 61.0)

    dockeree.configure()
    dockeree.provide("scale_workers", scale_workers=scale_workers)
    lines = dockeree("scale-workers", "2", "--drain-timeout", "5m", "--leave-tasks").stderr.splitlines()
    assert lines[0] == "✓ demo has 2 workers, all Ready, in 1m01s (before: 3)"
    assert lines[1].split() == ["Went", "i-1"]
    assert asked == [(2, {"drain_seconds": 300.0, "leave_tasks": True})]


def test_scaling_to_what_there_is_changes_nothing(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("scale_workers", scale_workers=lambda cluster, count, **s: ScaleSummary(3, 3, (), (), 1.0))
    assert dockeree("scale-workers", "3").stderr.startswith("✓ demo has 3 workers, and nothing changed (1s)")


@pytest.mark.usefixtures("known")
def test_destroy_lists_asks_for_the_name_and_ends_with_the_search(
    dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockeree.configure()
    called = provide_destroy(dockeree)
    monkeypatch.setattr(sys, "stdin", ATerminal("demo\n"))
    outcome = dockeree("destroy")
    assert outcome.code == 0
    assert called == ["inventory demo us-east-1", "destroy"]
    assert outcome.stderr.splitlines()[:3] == [
        "demo  us-east-1  account 123456789012  arn:aws:iam::123456789012:user/ops",
        "Removes  5 resources: 2 instances, 1 VPC, 2 security groups",
        "Keeps    your hosted zone Z1",
    ]
    assert "This cannot be undone. Type demo to continue: " in outcome.stderr
    assert "✓ demo destroyed in 3m02s: 5 of 5 gone" in outcome.stderr
    assert "the search at the end found 0 left" in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("typed", ["no\n", "Demo\n", "\n", ""])
def test_a_wrong_name_deletes_nothing(dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    dockeree.configure()
    called = provide_destroy(dockeree)
    monkeypatch.setattr(sys, "stdin", ATerminal(typed))
    outcome = dockeree("destroy")
    assert outcome.code == 2
    assert called == ["inventory demo us-east-1"]
    assert "nothing was touched" in outcome.stderr


@pytest.mark.parametrize("arguments", [("destroy",), ("destroy", "--no-input"), ("destroy", "--confirm", "other")])
def test_without_the_name_and_nobody_to_ask_aws_is_not_even_called(
    dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    dockeree.configure()
    called = provide_destroy(dockeree)
    monkeypatch.setattr(sys, "stdin", ATerminal("demo\n") if len(arguments) > 1 else io.StringIO("demo\n"))
    outcome = dockeree(*arguments)
    assert outcome.code == 2
    assert "demo" in outcome.stderr
    assert called == []


@pytest.mark.usefixtures("known")
def test_leftovers_are_listed_and_the_exit_code_is_1(dockeree: CommandLine) -> None:
    dockeree.configure()
    provide_destroy(dockeree, left=RESOURCES[2:3])
    outcome = dockeree("destroy", "--confirm", "demo", "-o", "json")
    assert outcome.code == 1
    document = json.loads(outcome.stdout)
    assert document["left"] == [{"kind": "VPC", "id": "vpc-1"}]
    assert len(document["removed"]) == 4
    assert (document["format_version"], document["cluster"], document["region"]) == (1, "demo", "us-east-1")
    assert document["kept"] == ["your hosted zone Z1"]
    assert "✗ demo is not gone: 1 of 5 resources are left" in outcome.stderr
    assert "VPC vpc-1" in outcome.stderr


@pytest.mark.usefixtures("known")
def test_nothing_to_destroy_is_a_success_and_takes_the_stale_state_along(dockeree: CommandLine) -> None:
    dockeree.configure()
    State.open(dockeree.folder, "demo").put("vpc", "vpc-1")
    called = provide_destroy(dockeree, Inventory((), (), is_claimed=False))
    outcome = dockeree("destroy", "--confirm", "demo", "-o", "json")
    assert outcome.code == 0
    assert json.loads(outcome.stdout)["left"] == []
    assert called == ["inventory demo us-east-1"]
    assert [path.name for path in dockeree.folder.iterdir()] == ["config.yaml"]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("options", "deletes"),
    [
        ((), set()),
        (("--delete-backups",), {"backups"}),
        (("--delete-images", "--delete-backups"), {"backups", "images"}),
    ],
)
def test_buckets_are_deleted_when_told_and_named_when_kept(
    dockeree: CommandLine, options: tuple[str, ...], deletes: set[str]
) -> None:
    seen: list[set[str]] = []
    kept = ("the bucket demo-backups (2 CA backups): --delete-backups deletes it",)
    found = replace(FOUND, keeps=(*kept, *FOUND.keeps), kept_buckets=kept)

    def destroy(cluster: Any) -> DestroySummary:
        seen.append(set(cluster.deletes))
        return DestroySummary(found.removes, found.keeps, (), 182.0, found.kept_buckets)

    dockeree.configure()
    dockeree.provide("destroy", inventory=lambda cluster: found, destroy=destroy)
    outcome = dockeree("destroy", "--confirm", "demo", *options)
    assert seen == [deletes]
    assert f"Keeps    {kept[0]}" in outcome.stderr
    assert f"kept {kept[0]}" in outcome.stderr[outcome.stderr.index("✓ demo destroyed") :]


@pytest.mark.usefixtures("known")
def test_buckets_that_an_earlier_cluster_left_are_named(dockeree: CommandLine) -> None:
    dockeree.configure()
    kept = ("the bucket demo-images: --delete-images deletes it",)
    provide_destroy(dockeree, Inventory((), kept, is_claimed=False, kept_buckets=kept))
    outcome = dockeree("destroy", "--confirm", "demo")
    assert "nothing to destroy" in outcome.stderr
    assert kept[0] in outcome.stderr


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("text", [None, MINIMAL.replace("demo", "other"), "name: [broken"])
def test_a_name_is_enough_whatever_the_configuration_is(dockeree: CommandLine, text: str | None) -> None:
    if text is not None:
        dockeree.configure(text)
    called = provide_destroy(dockeree)
    assert dockeree("destroy", "demo", "--region", "eu-west-1", "--confirm", "demo").code == 0
    assert called == ["inventory demo eu-west-1", "destroy"]


def test_a_name_and_a_configuration_that_contradict_each_other_are_refused(dockeree: CommandLine) -> None:
    path = dockeree.configure()
    called = provide_destroy(dockeree)
    assert dockeree("destroy", "other", "-c", str(path), "--confirm", "other").code == 2
    assert dockeree("destroy", "No_Name", "--confirm", "No_Name").code == 2
    assert called == []


def test_the_second_run_says_what_is_typical(dockeree: CommandLine) -> None:
    def up(cluster: Any) -> UpSummary:
        cluster.report.plan([("network/A", "Create the VPC", ())])
        cluster.report.started("network/A")
        cluster.report.finished("network/A", 0.1, True)
        return up_summary()

    dockeree.configure()
    dockeree.provide("up", up=up)
    assert "typical" not in dockeree("up").stderr
    assert "1 step, typical 0s\n" in dockeree("up").stderr
