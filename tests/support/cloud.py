"""A cluster's context over the lab's API in this process: what the tests of aws/, steps/ and workflows/ stand on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab.aws.conftest import Api

from dockeree.aws.session import Aws
from dockeree.config import Config
from dockeree.context import Cluster
from dockeree.report import SilentReport
from dockeree.state import State

READING = ("Describe", "Get", "List", "Head")


class FastClock:
    """Waits pass a hundred times as fast; the lab's delays are scaled down by more than that."""

    def __init__(self) -> None:
        self._slept_seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return time.monotonic() + self._slept_seconds

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 100)
        with self._lock:
            self._slept_seconds += seconds


class NotingReport(SilentReport):
    """Keeps what was said, warned and planned."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.changed: dict[str, bool] = {}
        self.failures: dict[str, BaseException] = {}

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def finished(self, key: str, seconds: float, changed: bool) -> None:
        self.changed[key] = changed

    def failed(self, key: str, seconds: float, error: BaseException) -> None:
        self.failures[key] = error


class Cloud:
    """The lab's API, and clusters in it."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.folder = folder

    def aws(self, region: str = "us-east-1") -> Aws:
        """A session as the tool makes it: endpoint and credentials from the environment."""
        return Aws(region)

    def cluster(self, *, folder: Path | None = None, **config: Any) -> Cluster:
        """A context of a cluster called `demo`, unless `config` says otherwise; the same folder is the same state.

        Unless `config` says otherwise, it goes without backups of the root CAs, and with DTR.
        """
        values: dict[str, Any] = {"name": "demo", "admin_cidrs": ["203.0.113.0/24"]}
        values |= {"backup": {"skip": True}, "dtr": {"enabled": True}} | config
        parsed = Config.model_validate(values)

        def connect(*, name: str, host: str, host_key_id: str) -> Any:
            raise AssertionError(f"no step of these tests goes to a node, and {name} was dialled")

        return Cluster(
            config=parsed,
            state=State.open(folder or self.folder, parsed.name),
            aws=self.aws(),
            connect=connect,
            report=NotingReport(),
            clock=FastClock(),
        )

    def calls(self, do: Callable[[], Any]) -> list[str]:
        """What `do` called, as the lab saw it: `ec2 DescribeVpcs`."""
        before = len(self.api.control("GET", "/lab/calls"))
        do()
        return [f"{call['service']} {call['action']}" for call in self.api.control("GET", "/lab/calls")[before:]]


def changing(calls: list[str]) -> list[str]:
    """Those of `calls` that change something."""
    return [call for call in calls if not call.split()[1].startswith(READING)]


@contextmanager
def running_cloud(folder: Path, monkeypatch: pytest.MonkeyPatch, time_scale: float = 0.001) -> Iterator[Cloud]:
    """The lab's API, with the environment pointing at it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "DOCKEREE_SSH_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    api = Api(time_scale)
    try:
        api.control("POST", "/lab/faults", {"eventual_consistency": False})
        key, secret = api.server.operator
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield Cloud(api, folder)
    finally:
        api.close()
