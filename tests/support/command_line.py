"""The command line in this process, in an empty folder, with workflows that a test provides."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dockeree.commands.main import run

MINIMAL = "name: demo\nregion: us-east-1\nadmin_cidrs: [203.0.113.7/32]\n"


@dataclass(frozen=True)
class Outcome:
    """How a run of the command line ended."""

    code: int
    stdout: str
    stderr: str


@dataclass
class CommandLine:
    """Runs `dockeree …`; `folder` is the current one, `logs` where the logs go."""

    folder: Path
    logs: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> Outcome:
        self.capsys.readouterr()
        code = run(arguments)
        captured = self.capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def configure(self, text: str = MINIMAL) -> Path:
        """Write config.yaml."""
        path = self.folder / "config.yaml"
        path.write_text(text)
        return path

    def provide(self, module: str, **functions: Callable[..., Any]) -> None:
        """Put functions in the place of a module of `dockeree.workflows`."""
        fake = types.ModuleType(f"dockeree.workflows.{module}")
        vars(fake).update(functions)
        self.monkeypatch.setitem(sys.modules, fake.__name__, fake)

    def log_texts(self) -> list[str]:
        """What the logs hold, oldest first."""
        return [path.read_text() for path in sorted(self.logs.rglob("*.log"))]
