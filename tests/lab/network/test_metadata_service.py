"""The metadata service and the resolver, asked from inside nodes and from behind a node, as a container would."""

from __future__ import annotations

from dataclasses import replace

import dns.message
import dns.rcode
import pytest
from support.lab_network import Net, group, vpc_parts, with_parts

from dockeree.lab.network.addresses import mac_address
from dockeree.lab.network.metadata_server import Tokens
from dockeree.lab.world import Credentials, InstanceNetwork, Metadata, Rule

machines = pytest.mark.machines

HTTP = """
import http.client, json, sys
method, path, headers, timeout = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), float(sys.argv[4])
connection = http.client.HTTPConnection("169.254.169.254", 80, timeout=timeout)
try:
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
except TimeoutError:
    print("timeout")
"""

QUERY = """
import socket, struct, sys
wire, address, transport = bytes.fromhex(sys.argv[1]), sys.argv[2], sys.argv[3]
if transport == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
    s.sendto(wire, (address, 53)); print(s.recv(4096).hex())
else:
    s = socket.create_connection((address, 53), 3)
    s.sendall(struct.pack("!H", len(wire)) + wire)
    f = s.makefile("rb"); (n,) = struct.unpack("!H", f.read(2)); print(f.read(n).hex())
"""


class FakeRegion:
    """Metadata by address, credentials for everyone."""

    def __init__(self) -> None:
        self.by_address: dict[tuple[str, str], Metadata] = {}

    def metadata_by_address(self, vpc_id: str, private_ip: str) -> Metadata | None:
        return self.by_address.get((vpc_id, private_ip))

    def role_credentials(self, instance_id: str) -> Credentials | None:
        return Credentials(f"ASIA-{instance_id}", "secret", "token", "2026-11-24T10:00:00Z")


def describe(instance: InstanceNetwork, vpc_id: str = "vpc-1", **changes: object) -> Metadata:
    plain = Metadata(
        instance_id=instance.instance_id,
        image_id="ami-1",
        instance_type="m6i.large",
        region="us-east-1",
        zone=instance.zone,
        account_id="123456789012",
        private_ip=instance.interface.private_ip,
        public_ip=instance.interface.public_ip,
        hostname=instance.hostname,
        mac=mac_address(instance.interface.id),
        subnet_cidr="10.32.0.0/24",
        vpc_cidr="10.32.0.0/16",
        vpc_id=vpc_id,
        subnet_id=instance.interface.subnet_id,
        security_groups=("demo",),
        authorized_key="ssh-ed25519 AAAA",
        key_name="demo",
        user_data=b"#!/bin/sh\n",
        tokens_required=True,
        hop_limit=1,
        enabled=True,
        instance_tags={},
        profile_arn="arn:aws:iam::123456789012:instance-profile/demo",
        role_name="demo",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


class Service:
    """One node in a network, and what the metadata service says to it."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.region = FakeRegion()
        net.wiring.region = self.region
        self.node = net.instance(5, ("sg-none",))
        self.set()
        # No rule allows anything: neither resolver nor metadata service are subject to security groups.
        self.world = with_parts(vpc_parts(), security_groups=(group("sg-none", egress=()),), instances=(self.node,))
        net.wiring.apply(self.world)

    def set(self, **changes: object) -> None:
        self.region.by_address["vpc-1", "10.32.0.5"] = describe(self.node, **changes)

    def ask(
        self, method: str, path: str, *, namespace: str = "", timeout: float = 3, **headers: str
    ) -> tuple[str, str]:
        import json

        named = {name.replace("_", "-"): value for name, value in headers.items()}
        text = self.net.python(
            namespace or self.net.node(self.node), HTTP, method, path, json.dumps(named), str(timeout)
        )
        status, _, body = text.partition(" ")
        return status, body

    def token(self, **more: str) -> tuple[str, str]:
        return self.ask("PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60", **more)


@pytest.fixture
def service(net: Net) -> Service:
    return Service(net)


@machines
def test_version_two_alone_where_tokens_are_required(service: Service) -> None:
    assert service.ask("GET", "/latest/meta-data/instance-id")[0] == "401"
    assert service.ask("GET", "/latest/meta-data/instance-id", X_aws_ec2_metadata_token="nonsense")[0] == "401"
    status, token = service.token()
    assert status == "200"
    answer = service.ask("GET", "/latest/meta-data/instance-id", X_aws_ec2_metadata_token=token)
    assert answer == ("200", service.node.instance_id)
    answer = service.ask("GET", "/latest/user-data", X_aws_ec2_metadata_token=token)
    assert answer == ("200", "#!/bin/sh")
    _, document = service.ask("GET", "/latest/meta-data/iam/security-credentials/demo", X_aws_ec2_metadata_token=token)
    assert f"ASIA-{service.node.instance_id}" in document


@machines
def test_version_one_where_it_is_allowed_and_nothing_where_it_is_off(service: Service) -> None:
    service.set(tokens_required=False, user_data=b"")
    assert service.ask("GET", "/latest/meta-data/instance-id") == ("200", service.node.instance_id)
    assert service.ask("GET", "/latest/user-data")[0] == "404"
    assert service.ask("GET", "/latest/meta-data/instance-id", X_aws_ec2_metadata_token="nonsense")[0] == "401"
    service.set(enabled=False)
    assert service.ask("GET", "/latest/meta-data/instance-id")[0] == "403"
    assert service.token()[0] == "403"


@machines
def test_tokens_are_refused_to_proxies_and_without_a_good_lifetime(service: Service) -> None:
    assert service.token(X_Forwarded_For="1.2.3.4")[0] == "403"
    assert service.ask("PUT", "/latest/api/token")[0] == "400"
    for lifetime in ("0", "21601", "-1", "ten", ""):
        answer = service.ask("PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds=lifetime)
        assert answer[0] == "400", lifetime
    assert service.ask("POST", "/latest/api/token")[0] == "405"


@machines
def test_a_container_behind_a_node_gets_a_token_only_with_a_hop_limit_of_two(service: Service) -> None:
    net, node = service.net, service.net.node(service.node)
    container = f"{net.settings.tag}-container"
    net.run(None, "ip", "netns", "add", container)
    net.run(node, "ip", "link", "add", "docker0", "type", "veth", "peer", "name", "eth0", "netns", container)
    for command in ("addr add 172.17.0.1/16 dev docker0", "link set docker0 up"):
        net.run(node, "ip", *command.split())
    for command in ("addr add 172.17.0.2/16 dev eth0", "link set eth0 up", "route add default via 172.17.0.1"):
        net.run(container, "ip", *command.split())
    net.run(node, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    net.run(
        node,
        "nft",
        "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; };"
        "add rule ip nat post ip saddr 172.17.0.0/16 masquerade",
    )

    assert service.token()[0] == "200"
    assert service.token(namespace=container, timeout="1.5")[0] == "timeout"  # type: ignore[arg-type]
    service.set(hop_limit=2)
    status, token = service.token(namespace=container)
    assert status == "200"
    answer = service.ask("GET", "/latest/meta-data/local-ipv4", namespace=container, X_aws_ec2_metadata_token=token)
    assert answer == ("200", "10.32.0.5")


@machines
def test_a_stranger_learns_nothing(service: Service) -> None:
    service.region.by_address.clear()
    assert service.ask("GET", "/latest/meta-data/instance-id")[0] == "404"
    assert service.token()[0] == "404"


@machines
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_resolver_answers_at_the_base_address_plus_two(service: Service, transport: str) -> None:
    def ask(name: str) -> dns.message.Message:
        wire = dns.message.make_query(name, "A").to_wire().hex()
        node = service.net.node(service.node)
        return dns.message.from_wire(bytes.fromhex(service.net.python(node, QUERY, wire, "10.32.0.2", transport)))

    assert ask("ip-10-32-0-5.ec2.internal").answer[0][0].to_text() == "10.32.0.5"
    assert ask("ssm.us-east-1.amazonaws.com").answer[0][0].to_text() == service.net.wiring.service_address
    assert ask("archive.ubuntu.com").rcode() == dns.rcode.NXDOMAIN
    service.net.wiring.tell_names({"archive.ubuntu.com": service.net.wiring.service_address})
    assert ask("archive.ubuntu.com").answer[0][0].to_text() == service.net.wiring.service_address


def test_tokens_end_and_belong_to_one_instance() -> None:
    now = [100.0]
    tokens = Tokens(lambda: now[0])
    token = tokens.issue("i-1", 60)
    assert tokens.is_valid(token, "i-1")
    assert not tokens.is_valid(token, "i-2")
    now[0] += 60
    assert not tokens.is_valid(token, "i-1")


@machines
def test_who_asks_is_known_by_vpc_and_address(net: Net) -> None:
    region = FakeRegion()
    net.wiring.region = region
    one, two = net.instance(5, ("sg-1",)), net.instance(5, ("sg-2",), vpc="2")
    region.by_address["vpc-1", "10.32.0.5"] = describe(one, tokens_required=False)
    region.by_address["vpc-2", "10.32.0.5"] = describe(two, "vpc-2", tokens_required=False)
    first, second = vpc_parts("1"), vpc_parts("2")
    all_in = Rule("-1", None, None, ("0.0.0.0/0",))
    net.wiring.apply(
        with_parts(
            first,
            vpcs=first.vpcs + second.vpcs,
            subnets=first.subnets + second.subnets,
            security_groups=(group("sg-1", all_in), group("sg-2", all_in, vpc="2")),
            instances=(one, two),
        )
    )
    for instance in (one, two):
        answer = net.python(net.node(instance), HTTP, "GET", "/latest/meta-data/instance-id", "{}", "3")
        assert answer == f"200 {instance.instance_id}"
