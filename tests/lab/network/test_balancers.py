"""Balancers with real connections: whom they reach, whom they check, when they let go."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.lab_network import (
    ANYWHERE,
    TARGET_GROUP_ARN,
    TCP_CHECK,
    Net,
    balancer,
    balancer_world,
    group,
    target_group,
    tcp,
)

from dockeree.lab.world import HealthCheck, InstanceNetwork, Listener, Rule, Target

pytestmark = pytest.mark.machines

WAIT_SECONDS = 10

# One line in, its upper case and the server's name out; ends when the client ends.
ECHO = """
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.wfile.write((sys.argv[2] + " " + self.client_address[0] + "\\n").encode())
            for line in self.rfile:
                self.wfile.write(line.upper())
        except ConnectionError:
            pass  # Health checks and clients may leave as they like.
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 512
server = Server(("", int(sys.argv[1])), Handler)
print("ready", flush=True)
server.serve_forever()
"""

# Reads to the end, then answers with what it got: works only if the end of one direction is passed on.
DIGEST = """
import hashlib, socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    digest, count = hashlib.sha256(), 0
    while part := connection.recv(1 << 18):
        digest.update(part); count += len(part)
    connection.sendall(f"{count} {digest.hexdigest()}".encode())
    connection.close()
"""

HTTP = """
import http.server, ssl, sys
status = {"code": int(sys.argv[2])}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = status["code"] if self.path == "/_ping" and self.headers["Host"] else 404
        self.send_response(code); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""


class World:
    """`balancer_world`, applied, and ways to change it and look at it."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.snapshot = balancer_world(net)
        self.first, self.second = self.snapshot.instances
        net.wiring.apply(self.snapshot)

    def change(self, **parts: object) -> None:
        self.snapshot = replace(self.snapshot, **parts)  # type: ignore[arg-type]
        self.net.wiring.apply(self.snapshot)

    def serve(self, instance: InstanceNetwork, program: str = ECHO) -> subprocess.Popen[str]:
        return self.net.start(self.net.node(instance), program, "8000", instance.instance_id)

    def state(self, instance: InstanceNetwork, port: int = 8000) -> str:
        health = self.net.wiring.target_health(TARGET_GROUP_ARN, Target(instance.instance_id, port))
        return f"{health.state} {health.reason}".strip()

    def await_state(self, instance: InstanceNetwork, state: str) -> None:
        await_condition(lambda: self.state(instance) == state, lambda: self.state(instance))

    def connect(self, address: str = "") -> socket.socket:
        connection = socket.create_connection((address or self.net.public(90), 443), 3)
        connection.settimeout(5)
        return connection

    def who_answers(self, count: int = 12) -> set[str]:
        """The instances that answer `count` new connections; "reset" where one was."""
        answers = set()
        for _ in range(count):
            try:
                with self.connect() as connection:
                    answers.add(connection.makefile().readline().split(" ")[0] or "closed")
            except ConnectionResetError:
                answers.add("reset")
        return answers


def await_condition(condition: Callable[[], bool], last: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, last()
        time.sleep(0.02)


@pytest.fixture
def world(net: Net) -> World:
    return World(net)


def test_targets_are_initial_then_healthy_and_share_the_flows(world: World) -> None:
    assert world.state(world.first) == "initial Elb.InitialHealthChecking"
    world.serve(world.first)
    world.serve(world.second)
    world.await_state(world.first, "healthy")
    world.await_state(world.second, "healthy")
    assert world.who_answers(30) == {world.first.instance_id, world.second.instance_id}
    # Targets see the balancer's private address: so they can admit its group.
    with world.connect() as connection:
        assert connection.makefile().readline().split()[1] == "10.32.0.200"
    with world.connect(world.net.public(91)) as connection:
        assert connection.makefile().readline().split()[1] == "10.32.1.200"


def test_the_host_reaches_a_balancer_by_name(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    with world.connect(world.net.balancer_name) as connection:
        assert connection.makefile().readline().split()[0] == world.first.instance_id
    assert world.net.balancer_name in Path("/etc/hosts").read_text()


def test_failover_and_recovery(world: World) -> None:
    server, _ = world.serve(world.first), world.serve(world.second)
    world.await_state(world.first, "healthy")
    world.await_state(world.second, "healthy")
    world.net.end(server)
    world.await_state(world.first, "unhealthy Target.FailedHealthChecks")
    assert world.who_answers() == {world.second.instance_id}
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    assert world.who_answers(30) == {world.first.instance_id, world.second.instance_id}


def test_fails_open_when_nobody_is_healthy(world: World) -> None:
    # The check asks a port that nobody listens on; the traffic port works.
    check = replace(TCP_CHECK, port=8999)
    targets = world.snapshot.target_groups[0].targets
    world.change(target_groups=(target_group(*targets, check=check),))
    world.serve(world.first)
    world.serve(world.second)
    world.await_state(world.first, "unhealthy Target.FailedHealthChecks")
    world.await_state(world.second, "unhealthy Target.FailedHealthChecks")
    assert world.who_answers(30) == {world.first.instance_id, world.second.instance_id}


def test_flows_to_a_target_that_turned_unhealthy_are_reset_unless_all_are(world: World) -> None:
    """The check has a port of its own, so that a target can fail it while its traffic port still works."""
    targets = world.snapshot.target_groups[0].targets
    world.change(
        security_groups=(
            group("sg-node", tcp(8000, groups=("sg-lb",)), tcp(8999, groups=("sg-lb",))),
            group("sg-lb", tcp(443, cidrs=ANYWHERE)),
        ),
        target_groups=(target_group(*targets, check=replace(TCP_CHECK, port=8999)),),
    )
    checked = {}
    for instance in (world.first, world.second):
        world.serve(instance)
        checked[instance.instance_id] = world.net.serve(instance, 8999)
    for instance in (world.first, world.second):
        world.await_state(instance, "healthy")
    flows: dict[str, socket.socket] = {}
    while len(flows) < 2:
        connection = world.connect()
        name = connection.makefile().readline().split()[0]
        if name in flows:
            connection.close()
        else:
            flows[name] = connection
    one, two = world.first.instance_id, world.second.instance_id
    with flows[one], flows[two]:
        world.net.end(checked[one])
        with pytest.raises(ConnectionResetError):
            flows[one].recv(1)
        world.net.end(checked[two])  # Nobody is left: fail open.
        world.await_state(world.second, "unhealthy Target.FailedHealthChecks")
        flows[two].sendall(b"still here\n")
        assert flows[two].recv(99) == b"STILL HERE\n"


def test_a_draining_target_keeps_its_flows_until_the_delay_is_over(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    one, two = world.snapshot.target_groups[0].targets
    with world.connect() as connection:
        lines = connection.makefile("rw")
        assert lines.readline().split()[0] == world.first.instance_id

        world.serve(world.second)
        world.await_state(world.second, "healthy")
        world.change(target_groups=(target_group(replace(one, draining=True), two),))
        assert world.state(world.first) == "draining Target.DeregistrationInProgress"
        assert world.who_answers() == {world.second.instance_id}
        lines.write("still here\n")
        lines.flush()
        assert lines.readline() == "STILL HERE\n"

        world.change(target_groups=(target_group(two),))
        assert world.state(world.first) == "unused Target.NotRegistered"
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


@contextmanager
def client_in(net: Net, instance: InstanceNetwork, address: str, timeout: str) -> Iterator[str]:
    program = (
        "import socket, sys; s = socket.create_connection((sys.argv[1], 443), 3); s.settimeout(float(sys.argv[2]))\n"
        "try:\n  print(s.recv(99).decode().split()[0])\nexcept TimeoutError:\n  print('hangs')"
    )
    yield net.python(net.node(instance), program, address, timeout)


@pytest.mark.parametrize("way", ["private", "public"])
def test_with_client_ip_preservation_a_target_cannot_call_itself(world: World, way: str) -> None:
    world.serve(world.first)
    only = Target(world.first.instance_id, 8000)
    world.change(target_groups=(target_group(only, preserve_client_ip=True),))
    world.await_state(world.first, "healthy")
    address = "10.32.0.200" if way == "private" else world.net.public(90)
    with client_in(world.net, world.first, address, "1") as answer:
        assert answer == "hangs"
    with client_in(world.net, world.second, address, "3") as answer:
        assert answer == world.first.instance_id
    world.change(target_groups=(target_group(only, preserve_client_ip=False),))
    with client_in(world.net, world.first, address, "3") as answer:
        assert answer == world.first.instance_id


def test_a_balancer_in_the_making_is_silent_and_so_is_a_port_without_listener(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    assert world.net.ask(None, world.net.public(90), 444) == "timeout"
    world.change(balancers=(balancer(world.net, active=False),))
    assert world.net.ask(None, world.net.public(90), 443) == "timeout"
    assert world.state(world.first) == "initial Elb.RegistrationInProgress"
    world.change(balancers=(balancer(world.net, listeners=()),))
    assert world.state(world.first) == "unused Target.NotInUse"
    world.change(balancers=(balancer(world.net),))
    world.await_state(world.first, "healthy")
    assert world.who_answers(3) == {world.first.instance_id}


def test_the_balancers_groups_bind_its_clients_and_its_own_checks(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    node = group("sg-node", tcp(8000, groups=("sg-lb",)))
    world.change(security_groups=(node, group("sg-lb", tcp(443, cidrs=("10.0.0.0/8",)))))
    assert world.net.ask(None, world.net.public(90), 443) == "timeout"
    assert world.state(world.first) == "healthy"  # Inbound rules are not asked for checks,
    world.change(security_groups=(node, group("sg-lb", tcp(443, cidrs=ANYWHERE), egress=())))
    world.await_state(world.first, "unhealthy Target.FailedHealthChecks")  # outbound rules are.


def test_a_balancer_without_groups_lets_all_pass(world: World) -> None:
    """Its targets can admit it by address alone then."""
    bare = balancer(world.net)
    bare = replace(bare, interfaces=tuple(replace(entry, group_ids=()) for entry in bare.interfaces))
    world.serve(world.first)
    world.change(balancers=(bare,), security_groups=(group("sg-node", tcp(8000, groups=("sg-lb",))), group("sg-lb")))
    world.await_state(world.first, "unhealthy Target.FailedHealthChecks")
    world.change(security_groups=(group("sg-node", tcp(8000, cidrs=("10.32.0.200/32", "10.32.1.200/32"))),))
    world.await_state(world.first, "healthy")
    assert world.who_answers(3) == {world.first.instance_id}


def test_a_listener_that_goes_ends_its_flows(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    two = (
        Listener("arn:listener/443", 443, "TCP", TARGET_GROUP_ARN),
        Listener("arn:listener/444", 444, "TCP", TARGET_GROUP_ARN),
    )
    world.change(
        balancers=(balancer(world.net, listeners=two),),
        security_groups=(
            group("sg-node", tcp(8000, groups=("sg-lb",))),
            group("sg-lb", Rule("tcp", 443, 444, ANYWHERE)),
        ),
    )
    with socket.create_connection((world.net.public(90), 444), 3) as going, world.connect() as staying:
        for connection in (going, staying):
            connection.settimeout(3)
            assert connection.recv(99)
        world.change(balancers=(balancer(world.net, listeners=two[:1]),))
        with pytest.raises(ConnectionResetError):
            going.recv(1)
        staying.sendall(b"still here\n")
        assert staying.recv(99) == b"STILL HERE\n"


def test_a_target_that_forgets_to_admit_the_balancer_is_unhealthy(world: World) -> None:
    world.serve(world.first)
    world.change(security_groups=(group("sg-node"), group("sg-lb", tcp(443, cidrs=ANYWHERE))))
    world.await_state(world.first, "unhealthy Target.FailedHealthChecks")


def test_without_cross_zone_an_address_serves_its_own_zone(world: World) -> None:
    world.serve(world.first)
    world.serve(world.second)
    world.change(balancers=(balancer(world.net, cross_zone=False),))
    world.await_state(world.first, "healthy")
    world.await_state(world.second, "healthy")
    for address, instance in ((90, world.first), (91, world.second)):
        for _ in range(6):
            with world.connect(world.net.public(address)) as connection:
                assert connection.makefile().readline().split()[0] == instance.instance_id


def certificate(path: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
def test_http_checks_ask_the_path_and_judge_the_status(world: World, tmp_path: Path, protocol: str) -> None:
    check = HealthCheck(protocol, None, "/_ping", 10, 6, 2, 2, "200-399")  # type: ignore[arg-type]
    targets = world.snapshot.target_groups[0].targets
    world.change(target_groups=(target_group(*targets, check=check),))
    more = [str(certificate(tmp_path / "pem"))] if protocol == "HTTPS" else []
    world.net.start(world.net.node(world.first), HTTP, "8000", "200", *more)
    world.net.start(world.net.node(world.second), HTTP, "8000", "503", *more)
    world.await_state(world.first, "healthy")
    world.await_state(world.second, "unhealthy Target.FailedHealthChecks")


def test_https_passes_through_untouched(world: World, tmp_path: Path) -> None:
    world.net.start(world.net.node(world.first), HTTP, "8000", "200", str(certificate(tmp_path / "pem")))
    world.await_state(world.first, "healthy")
    context = ssl.create_default_context(cafile=str(tmp_path / "pem"))
    context.check_hostname = False
    with context.wrap_socket(world.connect()) as connection:
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: x\r\n\r\n")
        assert b" 200 " in connection.recv(4096)


def test_half_close_and_a_large_stream(world: World) -> None:
    import hashlib

    world.serve(world.first, DIGEST)
    world.await_state(world.first, "healthy")
    block, digest, count = bytes(range(256)) * 4096, hashlib.sha256(), 0
    with world.connect() as connection:
        connection.settimeout(30)
        for _ in range(64):
            connection.sendall(block)
            digest.update(block)
            count += len(block)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.decode() == f"{count} {digest.hexdigest()}"


def test_a_reader_that_stands_still_stops_the_writer(world: World) -> None:
    """Nothing between the two may hold more than a few sockets' buffers."""
    stuck = (
        "import socket, sys, time; l = socket.create_server(('', int(sys.argv[1])));"
        "l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536); print('ready', flush=True)\n"
        "kept = []\nwhile True: kept.append(l.accept())"
    )
    world.serve(world.first, stuck)
    world.await_state(world.first, "healthy")
    with world.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.settimeout(0.5)
        sent = 0
        try:
            while sent < 100_000_000:
                sent += connection.send(bytes(65536))
        except TimeoutError:
            pass
    assert sent < 20_000_000


def test_an_idle_flow_is_reset(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    listener = Listener("arn:listener/443", 443, "TCP", TARGET_GROUP_ARN, idle_timeout_seconds=1)
    world.change(balancers=(balancer(world.net, listeners=(listener,)),))
    with world.connect() as connection:
        lines = connection.makefile("rw")
        assert lines.readline()
        for _ in range(4):  # Longer than the timeout in all, never idle for as long.
            time.sleep(0.4)
            lines.write("x\n")
            lines.flush()
            assert lines.readline() == "X\n"
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_target_that_refuses_resets_its_client(world: World) -> None:
    assert world.who_answers(3) == {"reset"}


def test_many_flows_at_once(world: World) -> None:
    world.serve(world.first)
    world.serve(world.second)
    world.await_state(world.first, "healthy")
    world.await_state(world.second, "healthy")
    connections = [world.connect() for _ in range(150)]
    answers: list[str] = []

    def read(part: list[socket.socket]) -> None:
        for connection in part:
            answers.append(connection.makefile().readline().split()[0])

    threads = [threading.Thread(target=read, args=(connections[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in connections:
        connection.close()
    assert len(answers) == 150
    assert set(answers) == {world.first.instance_id, world.second.instance_id}


def test_a_deleted_balancer_leaves_the_rest_alone(world: World) -> None:
    world.serve(world.first)
    world.await_state(world.first, "healthy")
    with world.connect() as connection:
        assert connection.makefile().readline()
        world.change(balancers=(), security_groups=(group("sg-node", Rule("-1", None, None, ANYWHERE)),))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert world.net.ask(world.second, "10.32.0.5", 8001) == "ConnectionRefusedError"
    assert world.net.ask(None, world.net.public(90), 443) == "timeout"
    assert world.net.balancer_name not in Path("/etc/hosts").read_text()
