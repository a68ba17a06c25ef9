"""The real agent on simulated workers: the parameter is read from an API, the join is confirmed by the model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from simulated_cluster import Cluster, eventually, simulated_cluster

from dockeree.config import Config
from dockeree.lab.world import Credentials
from dockeree.node.boot import user_data


class Account:
    """An account whose one parameter may be read by those who have credentials. `asked` keeps the signatures' keys."""

    def __init__(self) -> None:
        self.value = ""
        self.credentials: Credentials | None = Credentials("AKIAWORKER", "secret", "token", "2099-01-01T00:00:00Z")
        self.asked: list[str] = []
        account = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                account.asked.append(self.headers["Authorization"])
                found = bool(account.value)
                answer = {"Parameter": {"Value": account.value}} if found else {"__type": "ParameterNotFound"}
                body = json.dumps(answer).encode()
                self.send_response(200 if found else 400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def metadata_by_address(self, vpc_id: str, private_ip: str) -> None:
        return None

    def role_credentials(self, instance_id: str) -> Credentials | None:
        return self.credentials


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def joined(account: Account) -> Iterator[Cluster]:
    """A world whose nodes ask `account`."""
    with simulated_cluster() as cluster:
        cluster.driver.region = account
        cluster.driver.endpoint_url = f"http://127.0.0.1:{account.server.server_port}"
        yield cluster


def worker_data() -> bytes:
    config = Config.model_validate({"name": "demo", "admin_cidrs": ["203.0.113.0/24"]})
    return user_data(
        role="worker",
        cluster_name="demo",
        cluster_id="0a1b2c3d",
        region="us-east-1",
        engine=config.engine,
        join_parameter="/dockeree/demo/worker/join",
    )


def test_a_worker_joins_by_itself_and_again_after_a_reboot(joined: Cluster, account: Account) -> None:
    _, shells = joined.swarm(1, 0)
    [worker] = joined.launch(1, user_data=worker_data(), image_variant="bare")
    eventually(lambda: "not joined yet" in joined.driver.console_output(worker))
    assert "ParameterNotFound" in joined.driver.console_output(worker)
    token = shells[0].docker("swarm join-token -q worker")
    account.value = json.dumps({"format_version": 1, "token": token, "managers": ["10.32.0.9:2377", "10.32.0.4:2377"]})
    eventually(lambda: shells[0].docker("node ls --format '{{.Hostname}}'").count("ip-") == 2)
    eventually(lambda: "dockeree-agent: joined" in joined.driver.console_output(worker))
    assert all("AKIAWORKER" in signature for signature in account.asked)
    assert token not in joined.driver.console_output(worker)
    joined.driver.reboot(worker)
    eventually(lambda: "dockeree-agent: joined" in joined.driver.console_output(worker))
    assert shells[0].docker("node ls --format '{{.Status}}'").split() == ["Ready", "Ready"]


def test_without_credentials_the_reason_is_on_the_console(joined: Cluster, account: Account) -> None:
    account.credentials = None
    [worker] = joined.launch(1, user_data=worker_data())
    eventually(lambda: "Unable to locate credentials" in joined.driver.console_output(worker))
    assert not account.asked
    assert joined.shell(worker).docker("info --format '{{.Swarm.LocalNodeState}}'") == "inactive"


def test_a_missing_rule_is_named(joined: Cluster, account: Account) -> None:
    _, shells = joined.swarm(1, 0)
    token = shells[0].docker("swarm join-token -q worker")
    account.value = json.dumps({"format_version": 1, "token": token, "managers": ["10.32.0.4:2377"]})
    joined.ports = ()
    joined.apply()
    [worker] = joined.launch(1, user_data=worker_data())
    eventually(lambda: "10.32.0.4:2377: " in joined.driver.console_output(worker))
    assert "Timeout was reached before node joined" in joined.driver.console_output(worker)
