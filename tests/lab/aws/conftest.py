"""An API process in this process: a lab with nodes and network that only write down what they are told."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.server import ApiServer
from dockeree.lab.settings import LabSettings
from dockeree.lab.world import LabError, NodeSpec, Snapshot, Target, TargetHealth

REGION = "us-east-1"
SESSION = boto3.session.Session()
"""One for all tests: it keeps botocore's service models, which take half a second to read."""
NO_RETRIES = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


class RecordingDriver:
    """Nodes that are on or off, and nothing else. `fails` maps an instance's Name tag to the reason it cannot boot."""

    name = "simulated"

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.specs: dict[str, NodeSpec] = {}
        self.on: set[str] = set()
        self.fails: dict[str, str] = {}
        self.before_launch: Callable[[NodeSpec], None] = lambda spec: None
        self._lock = threading.Lock()

    def _note(self, call: str, instance_id: str, on: bool | None) -> None:
        with self._lock:
            self.calls.append((call, instance_id))
            if on is not None:
                (self.on.add if on else self.on.discard)(instance_id)

    def launch(self, spec: NodeSpec) -> None:
        self.before_launch(spec)
        if spec.tags.get("Name") in self.fails:
            raise LabError(self.fails[spec.tags["Name"]])
        self.specs[spec.instance_id] = spec
        self._note("launch", spec.instance_id, True)

    def power_on(self, spec: NodeSpec) -> None:
        self.specs[spec.instance_id] = spec
        self._note("power_on", spec.instance_id, True)

    def shut_down(self, instance_id: str) -> None:
        self._note("shut_down", instance_id, False)

    def reboot(self, instance_id: str) -> None:
        self._note("reboot", instance_id, None)

    def power_cut(self, instance_id: str) -> None:
        self._note("power_cut", instance_id, False)

    def destroy(self, instance_id: str) -> None:
        self._note("destroy", instance_id, False)

    def is_on(self, instance_id: str) -> bool:
        return instance_id in self.on

    def console_output(self, instance_id: str) -> str:
        return f"console of {instance_id}\n"

    def close(self) -> None:
        self.on.clear()

    def did(self, call: str) -> list[str]:
        """The instances that `call` was made for, in order."""
        with self._lock:
            return [instance_id for name, instance_id in self.calls if name == call]


class RecordingWiring:
    """A network that keeps what was applied. `health` answers for targets that no test set."""

    def __init__(self) -> None:
        self.applied: list[Snapshot] = []
        self.health = TargetHealth("healthy")
        self.health_of: dict[str, TargetHealth] = {}
        """By instance id."""

    @property
    def last(self) -> Snapshot:
        return self.applied[-1] if self.applied else Snapshot()

    def apply(self, snapshot: Snapshot) -> None:
        self.applied.append(snapshot)

    def target_health(self, target_group_arn: str, target: Target) -> TargetHealth:
        return self.health_of.get(target.instance_id, self.health)

    def close(self) -> None:
        self.applied.append(Snapshot())


class Refused(Exception):
    """A control endpoint's refusal."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status


class Api:
    """The running lab as a test sees it: clients over HTTP, the driver, the network, the control endpoints."""

    Refused = Refused

    def __init__(self, time_scale: float) -> None:
        self.driver = RecordingDriver()
        self.wiring = RecordingWiring()
        self.settings = LabSettings(name="test", nodes="machines", slot=7, time_scale=time_scale)
        self.lab = Lab(self.settings, self.driver, self.wiring)
        self.server = ApiServer(self.lab)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            self.server.start([listening])
        self._clients: list[Any] = []

    @property
    def url(self) -> str:
        return self.server.endpoint_url

    def client(self, service: str, region: str = REGION, credentials: tuple[str, ...] | None = None) -> Any:
        """A boto3 client without retries; as the operator, or with (id, secret[, token])."""
        key, secret, *token = credentials or self.server.operator
        client = SESSION.client(
            service,
            region,
            endpoint_url=self.url,
            config=NO_RETRIES,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token[0] if token else None,
        )
        self._clients.append(client)
        return client

    def control(self, method: str, path: str, data: Any = None) -> Any:
        """Ask a control endpoint; JSON where it answers JSON."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read().decode()
                return json.loads(text) if answer.headers["Content-Type"] == "application/json" else text
        except urllib.error.HTTPError as error:
            with error:
                raise self.Refused(error.code, error.read().decode()) from None

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.server.close()
        self.lab.close()


def eventually(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Wait until `condition` is true, and give what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never true within {seconds} s"
        time.sleep(0.005)
    return value


@pytest.fixture
def time_scale() -> float:
    """Parametrize this to slow AWS's time down."""
    return 0.001


@pytest.fixture
def api(time_scale: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A lab's API over HTTP, empty but for its operator. Eventual consistency is off; tests of it switch it on."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    running = Api(time_scale)
    running.control("POST", "/lab/faults", {"eventual_consistency": False})
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def ec2(api: Api) -> Any:
    return api.client("ec2")


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    """`eventually(condition)`: see the function."""
    return eventually
