"""`--lab`: the command sees the lab and nothing of the operator's own AWS."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import pytest
from support.command_line import CommandLine

LAB = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
    "AWS_ACCESS_KEY_ID": "lab",
    "AWS_SECRET_ACCESS_KEY": "lab-secret",
    "DOCKEREE_SSH_PORT": "2222",
}
PASSPHRASE = {"DOCKEREE_BACKUP_PASSPHRASE": "only a rehearsal"}


@pytest.fixture
def lab(dockeree: CommandLine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A lab that only says its environment; the list holds the names it was asked for."""
    asked: list[str] = []
    control = types.ModuleType("dockeree.lab.control")

    def ensure_started(name: str, progress: Any) -> dict[str, str]:
        asked.append(name)
        progress("simulated nodes: no root")
        return LAB

    vars(control).update(ensure_started=ensure_started, lab_name=lambda: os.environ.get("DOCKEREE_LAB", "default"))
    monkeypatch.setitem(sys.modules, "dockeree.lab.control", control)
    monkeypatch.setattr("dockeree.lab.control", control, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return asked


def seen_environment(dockeree: CommandLine) -> list[dict[str, str]]:
    seen: list[dict[str, str]] = []

    def gather(cluster: Any) -> Any:
        seen.append({k: v for k, v in os.environ.items() if k.startswith(("AWS", "DOCKEREE"))} | {"at": cluster.name})
        raise KeyboardInterrupt

    dockeree.provide("status", gather=gather)
    return seen


@pytest.mark.parametrize("arguments", [("--lab", "status"), ("status", "--lab")])
def test_the_environment_is_the_labs_alone(dockeree: CommandLine, lab: list[str], arguments: tuple[str, ...]) -> None:
    os.environ.update(
        AWS_PROFILE="production",
        AWS_SESSION_TOKEN="mine",
        AWS_ENDPOINT_URL_EC2="https://ec2.example.com",
        AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true",
        DOCKEREE_LAB="second",
        NO_PROXY="corp.example.com",
    )
    dockeree.configure()
    seen = seen_environment(dockeree)
    outcome = dockeree(*arguments)
    assert lab == ["second"]
    assert os.environ["NO_PROXY"] == "corp.example.com,127.0.0.1,localhost"
    assert "simulated nodes: no root" in outcome.stderr
    assert seen == [
        LAB | PASSPHRASE | {"AWS_DEFAULT_REGION": "us-east-1", "DOCKEREE_LAB": "second", "at": "demo"},
    ]


def test_the_operators_own_passphrase_locks_a_labs_backups_too(dockeree: CommandLine, lab: list[str]) -> None:
    os.environ["DOCKEREE_BACKUP_PASSPHRASE"] = "my own dozen words"
    dockeree.configure()
    seen = seen_environment(dockeree)
    dockeree("--lab", "status")
    assert seen[0]["DOCKEREE_BACKUP_PASSPHRASE"] == "my own dozen words"


def test_without_the_option_no_lab_is_asked(dockeree: CommandLine, lab: list[str]) -> None:
    dockeree.configure()
    seen = seen_environment(dockeree)
    dockeree("status")
    assert lab == []
    assert seen[0]["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"


def test_without_a_configuration_the_lab_takes_the_example_and_says_so(dockeree: CommandLine, lab: list[str]) -> None:
    seen = seen_environment(dockeree)
    outcome = dockeree("--lab", "status")
    assert "no config.yaml here: using " in outcome.stderr
    assert "config.example.yaml" in outcome.stderr
    assert seen[0]["at"] == "demo"
    dockeree.configure("name: mine\nadmin_cidrs: [auto]\n")
    assert "using" not in dockeree("--lab", "status").stderr
    assert seen[1]["at"] == "mine"


def test_a_profile_and_the_lab_exclude_each_other(dockeree: CommandLine, lab: list[str]) -> None:
    dockeree.configure()
    assert dockeree("--lab", "--profile", "ops", "status").code == 2
    assert lab == []


def test_a_lab_that_does_not_start_is_an_error_with_what_to_do(
    dockeree: CommandLine, lab: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dockeree.lab.world import LabError

    def ensure_started(name: str, progress: Any) -> dict[str, str]:
        raise LabError("no free address range")

    monkeypatch.setattr(sys.modules["dockeree.lab.control"], "ensure_started", ensure_started)
    dockeree.configure()
    outcome = dockeree("--lab", "status")
    assert outcome.code == 1
    assert "✗ no free address range" in outcome.stderr
    assert "dockeree lab stop" in outcome.stderr
