"""The command line in an empty folder, with logs of its own and no AWS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command_line import CommandLine


@pytest.fixture
def dockeree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    folder, logs = tmp_path / "work", tmp_path / "state"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in os.environ:
        if name.startswith(("AWS_", "DOCKEREE_")) or name in ("NO_COLOR", "XDG_STATE_HOME"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(logs))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    return CommandLine(folder, logs, capsys, monkeypatch)
