"""`dockeree status`: the table, the document, the exit codes, the wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import pytest
from support.command_line import CommandLine

from dockeree.commands.durations import Duration
from dockeree.errors import SshError
from dockeree.workflows.status_document import (
    BackupStatus,
    LoadBalancerStatus,
    ManagerStatus,
    Status,
    SwarmMember,
    WorkerStatus,
)

READY = SwarmMember("ready", "active")
HEALTHY = Status(
    cluster="demo",
    region="us-east-1",
    managers=tuple(
        ManagerStatus(
            f"manager-{letter}",
            f"i-00000000000000{letter}",
            f"us-east-1{letter}",
            "10.32.0.5",
            "198.51.100.1",
            SwarmMember("ready", "active", leader=letter == "a"),
        )
        for letter in "abc"
    ),
    workers=(WorkerStatus("worker-0000d", "i-0000000000000d", "us-east-1a", "10.32.0.9", READY),),
    load_balancers=(LoadBalancerStatus("apps", "apps.elb.test", "http://apps.elb.test", 0, 1),),
    problems=(),
)
DEGRADED = replace(
    HEALTHY,
    managers=(
        *HEALTHY.managers[:2],
        replace(HEALTHY.managers[2], swarm=SwarmMember("down", "active")),
    ),
    problems=("manager-c is down in the swarm", "apps: there is no balancer"),
)


def gathering(*answers: Status) -> Callable[[Any], Status]:
    """A `gather` that gives these answers, the last one for ever."""
    left = list(answers)
    return lambda cluster: left.pop(0) if len(left) > 1 else left[0]


def test_a_healthy_cluster_is_0_and_a_line_a_node(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("status", gather=gathering(HEALTHY))
    outcome = dockeree("status")
    assert outcome.code == 0
    assert outcome.stderr == ""
    assert outcome.stdout.splitlines() == [
        "✓ demo is healthy: 3 managers, 1 workers, us-east-1",
        "",
        "NODE          ZONE        SWARM",
        "manager-a     us-east-1a  leader",
        "manager-b     us-east-1b  ready",
        "manager-c     us-east-1c  ready",
        "worker-0000d  us-east-1a  ready",
        "",
        "BALANCER  HEALTHY  URL",
        "apps      0/1      http://apps.elb.test",
    ]


def test_a_degraded_cluster_is_3_and_shows_what_is_broken_first(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("status", gather=gathering(DEGRADED))
    outcome = dockeree("status")
    assert outcome.code == 3
    lines = outcome.stdout.splitlines()
    assert lines[:2] == ["✗ demo DEGRADED: manager-c is down in the swarm", "  apps: there is no balancer"]
    assert lines[4].split() == ["manager-c", "us-east-1c", "down"]


def test_json_is_one_document_and_nothing_else(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("status", gather=gathering(DEGRADED))
    outcome = dockeree("status", "-o", "json")
    assert outcome.code == 3
    assert json.loads(outcome.stdout) == DEGRADED.to_json()


@pytest.mark.parametrize(
    ("same_trust", "words"),
    [(True, "the root CAs of now"), (False, "other root CAs than now"), (None, "root CAs not compared")],
)
def test_the_latest_backup_and_warnings_come_last_and_change_no_exit_code(
    dockeree: CommandLine, same_trust: bool | None, words: str
) -> None:
    latest = BackupStatus("20261124T120000Z-aaaaaa", "2026-11-24T12:00:00+00:00", same_trust)
    dockeree.configure()
    dockeree.provide("status", gather=gathering(replace(HEALTHY, latest_backup=latest, warnings=("look at this",))))
    outcome = dockeree("status")
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[-2:] == [f"CA backup 20261124T120000Z-aaaaaa: {words}", "! look at this"]
    document = json.loads(dockeree("status", "-o", "json").stdout)
    assert document["backups"] == {
        "latest": {"id": latest.id, "created_at": latest.created_at, "same_trust": same_trust}
    }
    assert document["warnings"] == ["look at this"]
    assert document["healthy"] is True


def test_names_alone_and_wide(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("status", gather=gathering(HEALTHY))
    assert dockeree("status", "-o", "name").stdout.split() == ["manager-a", "manager-b", "manager-c", "worker-0000d"]
    wide = dockeree("status", "-o", "wide").stdout.splitlines()
    assert wide[2].split() == ["NODE", "ZONE", "SWARM", "AVAILABILITY", "INSTANCE", "PRIVATE", "IP", "PUBLIC", "IP"]
    assert wide[3].split() == [
        *("manager-a", "us-east-1a", "leader", "active", "i-00000000000000a", "10.32.0.5", "198.51.100.1"),
    ]
    assert wide[6].split()[-1] == "-"


def test_a_drained_node_shows_as_drained(dockeree: CommandLine) -> None:
    drained = replace(HEALTHY.workers[0], swarm=SwarmMember("ready", "drain"))
    dockeree.configure()
    dockeree.provide("status", gather=gathering(replace(HEALTHY, workers=(drained,), problems=("drained",))))
    assert "worker-0000d  us-east-1a  drain" in dockeree("status").stdout


def test_what_could_not_be_told_is_1_with_nothing_on_standard_output(dockeree: CommandLine) -> None:
    def gather(cluster: Any) -> Status:
        raise SshError("no manager answers", "Look at admin_cidrs.")

    dockeree.configure()
    dockeree.provide("status", gather=gather)
    outcome = dockeree("status", "-o", "json")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert "✗ no manager answers" in outcome.stderr
    assert len(dockeree.log_texts()) == 1, "the log of a failed look is kept"


def test_a_look_leaves_no_file(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("status", gather=gathering(HEALTHY))
    dockeree("status")
    assert dockeree.log_texts() == []
    assert [path.name for path in dockeree.folder.iterdir()] == ["config.yaml"]


def test_waiting_ends_as_soon_as_the_cluster_is_healthy(dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockeree.commands.status.WAIT_INTERVAL_SECONDS", 0.01)
    dockeree.configure()
    other = replace(DEGRADED, problems=("apps: there is no balancer",))
    dockeree.provide("status", gather=gathering(DEGRADED, DEGRADED, other, other, HEALTHY))
    outcome = dockeree("status", "--wait", "10m", "-o", "json")
    assert outcome.code == 0
    assert json.loads(outcome.stdout)["healthy"]
    assert outcome.stderr.splitlines() == [
        "waiting: manager-c is down in the swarm; apps: there is no balancer",
        "waiting: apps: there is no balancer",
    ]
    dockeree.provide("status", gather=gathering(DEGRADED))
    outcome = dockeree("status", "--wait", "0s")
    assert outcome.code == 3
    assert "DEGRADED" in outcome.stdout


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10x", "-5s", "m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no duration"):
        Duration().convert(text, None, None)


def test_one_document_alone_on_standard_output(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("status", gather=gathering(HEALTHY))
    outcome = dockeree("status", "-o", "json", "--progress", "json")
    assert (outcome.code, outcome.stdout) == (2, "")


def test_no_cluster_is_said_as_such(dockeree: CommandLine) -> None:
    dockeree.configure()
    nothing = Status("demo", "us-east-1", (), (), (), ("there is no cluster demo in us-east-1",))
    dockeree.provide("status", gather=gathering(nothing))
    outcome = dockeree("status")
    assert (outcome.code, outcome.stdout) == (3, "✗ there is no cluster demo in us-east-1\n")
