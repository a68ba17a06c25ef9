"""One lab with real nodes for a whole module, and what was on the host before it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.running_lab import Operator

from dockeree.lab import control


def host_lines() -> set[str]:
    """Everything of the host that a lab touches, a line each, without what belongs to other labs that run beside."""
    commands = (["ip", "netns"], ["ip", "-br", "link"], ["ip", "route"], ["nft", "list", "ruleset"])
    lines = {f"{words[0]}: {line}" for words in commands for line in _output(words).splitlines()}
    for path in ("/proc/mounts", "/etc/hosts", "/proc/sys/net/ipv4/ip_forward"):
        lines |= {f"{path}: {line}" for line in Path(path).read_text().splitlines()}
    for pattern in ("run/dockeree-lab/*", "var/lib/dockeree-lab/*", "sys/fs/cgroup/*/*dockeree*"):
        lines |= {str(found) for found in Path("/").glob(pattern)}
    others = [word for name in control.names() for word in (name, control.LabSettings(name, "machines", 0).tag)]
    slots = [f"198.18.{json.loads(path.read_text())['slot']}." for path in _settings_files()]
    return {line for line in lines if not any(word in line for word in (*others, *slots))}


def _settings_files() -> list[Path]:
    return list(Path("/run/dockeree-lab").glob("*/settings.json"))


def _output(words: list[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def lab_processes(name: str) -> list[str]:
    """Command lines of processes that belong to a lab of that name."""
    tag = control.LabSettings(name, "machines", 0).tag
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"/dockeree-lab/{name}" in words or f"{tag}-" in words:
            found.append(words)
    return found


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Operator]:
    name = f"{request.module.__name__.rpartition('.')[2].removeprefix('test_')}-{os.getpid()}"
    before = host_lines()
    running = control.start(name, "machines")
    try:
        yield Operator(running, tmp_path_factory.mktemp(name))
    finally:
        control.stop(name)
    assert lab_processes(name) == []
    assert host_lines() - before == set()
