"""A lab of a test's own, and the command line as a person in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml

from dockeree.lab.control import RunningLab, ask

BACKUP_PASSPHRASE = "only a rehearsal"
CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal: a lab, a folder with config.yaml, and the command."""

    lab: RunningLab
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DOCKEREE_"))}
        more = {"XDG_STATE_HOME": str(self.folder / "xdg-state"), "DOCKEREE_BACKUP_PASSPHRASE": BACKUP_PASSPHRASE}
        return own | self.lab.environment() | more

    def configure(self, **changes: Any) -> None:
        """Write config.yaml: the example's, with `changes` (sections are merged)."""
        config = yaml.safe_load((CHECKOUT / "config.example.yaml").read_text())
        for key, value in changes.items():
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def run(self, *arguments: str, code: int = 0, timeout_seconds: float = 300, stdin: str = "") -> str:
        """Run `dockeree ARGUMENTS`; the exit code must be `code`. Returns standard output."""
        ended = self.start(*arguments, timeout_seconds=timeout_seconds, stdin=stdin)
        assert ended.returncode == code, f"{arguments}: exit {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def start(self, *arguments: str, timeout_seconds: float = 300, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `dockeree ARGUMENTS` and return how it ended."""
        return subprocess.run(
            [sys.executable, "-m", "dockeree.commands.main", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def status(self, code: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.run("status", "-o", "json", code=code))
        return document

    def on(self, node: str, command: str, code: int = 0) -> str:
        """Run one line in the shell of a node."""
        return self.run("ssh", node, "--", command, code=code)

    def client(self, service: str) -> Any:
        """A boto3 client with the operator's credentials."""
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.lab.endpoint_url,
            aws_access_key_id=self.lab.access_key_id,
            aws_secret_access_key=self.lab.secret_access_key,
        )

    def credentials(self) -> dict[str, str]:
        """What account_scan.scan takes."""
        return {
            "endpoint_url": self.lab.endpoint_url,
            "aws_access_key_id": self.lab.access_key_id,
            "aws_secret_access_key": self.lab.secret_access_key,
        }

    def calls(self) -> list[dict[str, Any]]:
        """Every API call since the last `forget_calls`."""
        answer = ask(self.lab, "calls")
        calls: list[dict[str, Any]] = answer["calls"] if isinstance(answer, dict) else answer
        return calls

    def forget_calls(self) -> None:
        ask(self.lab, "calls", method="DELETE")
