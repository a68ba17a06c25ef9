"""A controller of the UCP stand-in in this process: its real server and routes, over a swarm in memory."""

from __future__ import annotations

import http.client
import io
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.fake_docker_api import FakeDockerApi

from dockeree.lab.standins.program.certificates import KeyPair, issue, new_root
from dockeree.lab.standins.program.log import Log
from dockeree.lab.standins.ucp.accounts import Accounts, new_account
from dockeree.lab.standins.ucp.controller.cluster import Cluster
from dockeree.lab.standins.ucp.controller.serving import application, server_context
from dockeree.lab.standins.ucp.controller.sessions import Sessions
from dockeree.lab.standins.ucp.settings import Settings
from dockeree.lab.standins.ucp.swarm_store import SwarmStore
from dockeree.lab.standins.ucp.tls_server import TlsServer

NODE = {
    "ID": "node-1",
    "Spec": {"Role": "manager", "Availability": "active"},
    "Description": {"Hostname": "ip-10-32-0-5"},
    "Status": {"State": "ready", "Addr": "10.32.0.5"},
    "ManagerStatus": {"Addr": "10.32.0.5:2377"},
}
PASSWORD = "a-long-password"


@dataclass
class Controller:
    """What a test talks to."""

    port: int
    engine: FakeDockerApi
    volumes: Path
    client_root: KeyPair
    client_certificate: Path | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body (read as JSON where it is), headers."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self._context())
        try:
            connection.request(method, path, content, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text), dict(answer.headers)
        except ValueError:
            return answer.status, text, dict(answer.headers)

    def log_in(self, name: str = "admin", password: str = PASSWORD) -> str:
        """A token."""
        status, answer, _ = self.ask("POST", "/auth/login", {"username": name, "password": password})
        assert status == 200
        token: str = answer["auth_token"]
        return token

    def as_admin(self) -> Controller:
        """With an administrator's token."""
        return self.with_headers(Authorization=f"Bearer {self.log_in()}")

    def with_headers(self, **headers: str) -> Controller:
        return Controller(self.port, self.engine, self.volumes, self.client_root, None, headers)

    def with_certificate(self, pair: KeyPair) -> Controller:
        path = self.volumes / f"client-{id(pair)}.pem"
        path.write_bytes(pair.certificate_pem + pair.key_pem)
        return Controller(self.port, self.engine, self.volumes, self.client_root, path)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.volumes / "ucp-controller-server-certs" / "ca.pem")
        # Python's default from 3.13 on.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if self.client_certificate:
            context.load_cert_chain(self.client_certificate)
        return context


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    root = new_root("UCP Client Root CA")
    server = issue(root, "ip-10-32-0-5", server_names=["127.0.0.1"])
    for name, pair in (("ucp-client-root-ca", root), ("ucp-controller-server-certs", server)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "cert.pem").write_bytes(pair.certificate_pem)
        (folder / "key.pem").write_bytes(pair.key_pem)
        (folder / "ca.pem").write_bytes(root.certificate_pem)
    engine = FakeDockerApi(
        {
            "GET /info": {"Swarm": {"NodeID": "node-1"}},
            "GET /nodes": [NODE],
            "GET /nodes/node-1": NODE,
            "GET /version": {"Version": "20.10.24", "ApiVersion": "1.41", "Components": [{"Name": "Engine"}]},
        }
    )
    store = SwarmStore(engine)
    Accounts(store).create(new_account("admin", PASSWORD, is_admin=True))
    log = Log(io.StringIO())
    cluster = Cluster(engine)
    sessions = Sessions(Accounts(store), tmp_path / "ucp-client-root-ca" / "key.pem")
    served = application(cluster, sessions, Settings("mirantis/ucp:3.8.12", "instance"), log, tmp_path)
    tls_server = TlsServer("127.0.0.1", 0, lambda: server_context(tmp_path), served.serve, log)
    thread = threading.Thread(target=tls_server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Controller(tls_server.server_address[1], engine, tmp_path, root)
    finally:
        tls_server.shutdown()
        tls_server.server_close()
        thread.join()
