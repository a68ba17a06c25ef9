"""Security groups and public addresses, tried with real connections between namespaces."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest
from support.lab_network import ANYWHERE, Net, group, tcp, vpc_parts, with_parts

from dockeree.lab.network.addresses import mac_address
from dockeree.lab.world import LabError, Rule, Snapshot

pytestmark = pytest.mark.machines


def test_a_rule_by_cidr_admits_the_operator_and_nobody_else(net: Net) -> None:
    web, other = net.instance(5, ("sg-web",)), net.instance(6, ("sg-web",))
    snapshot = with_parts(
        vpc_parts(),
        security_groups=(group("sg-web", tcp(8000, cidrs=(f"{net.operator}/32",))),),
        instances=(web, other),
    )
    net.wiring.apply(snapshot)
    net.serve(web, 8000)
    net.serve(web, 8001)

    assert net.ask(None, net.public(25), 8000) == f"{web.instance_id} {net.operator}"
    assert net.ask(None, net.public(25), 8001) == "timeout"
    assert net.ask(other, "10.32.0.5", 8000) == "timeout"


def test_a_rule_by_group_admits_its_members_by_private_address_alone(net: Net) -> None:
    server = net.instance(5, ("sg-server",))
    member, stranger = net.instance(6, ("sg-client",), subnet="subnet-b"), net.instance(7, ("sg-stranger",))
    snapshot = with_parts(
        vpc_parts(),
        security_groups=(
            group("sg-server", tcp(8000, groups=("sg-client",))),
            group("sg-client"),
            group("sg-stranger"),
        ),
        instances=(server, member, stranger),
    )
    net.wiring.apply(snapshot)
    net.serve(server, 8000)

    assert net.ask(member, "10.32.0.5", 8000) == f"{server.instance_id} 10.32.1.6"
    assert net.ask(stranger, "10.32.0.5", 8000) == "timeout"
    # By the public address the member comes as its own public address, which is in no group.
    assert net.ask(member, net.public(25), 8000) == "timeout"


def test_what_a_node_sends_to_a_public_address_comes_from_its_own_public_address(net: Net) -> None:
    server, client = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    snapshot = with_parts(
        vpc_parts(), security_groups=(group("sg-all", tcp(8000, cidrs=ANYWHERE)),), instances=(server, client)
    )
    net.wiring.apply(snapshot)
    net.serve(server, 8000)

    assert net.ask(client, net.public(25), 8000) == f"{server.instance_id} {net.public(26)}"
    assert net.ask(client, "10.32.0.5", 8000) == f"{server.instance_id} 10.32.0.6"
    # And so to itself.
    assert net.ask(server, net.public(25), 8000) == f"{server.instance_id} {net.public(25)}"


def test_the_operator_sees_an_instance_by_its_public_address(net: Net) -> None:
    client = net.instance(6, ("sg-all",))
    net.wiring.apply(with_parts(vpc_parts(), security_groups=(group("sg-all"),), instances=(client,)))
    listener = net.wiring.listen(8080)
    listener.settimeout(5)
    with listener:
        process = net.start(
            net.node(client),
            "import socket,sys; print('ready', flush=True);"
            f"s = socket.create_connection(('{net.wiring.service_address}', 8080), 5); s.recv(1)",
        )
        connection, address = listener.accept()
        connection.close()
        process.wait(5)
    assert address[0] == net.public(26)


def test_a_removed_rule_cuts_new_connections(net: Net) -> None:
    server, client = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    snapshot = with_parts(
        vpc_parts(),
        security_groups=(group("sg-all", tcp(8000, groups=("sg-all",))),),
        instances=(server, client),
    )
    net.wiring.apply(snapshot)
    net.serve(server, 8000)
    assert net.ask(client, "10.32.0.5", 8000).startswith(server.instance_id)

    net.wiring.apply(with_parts(snapshot, security_groups=(group("sg-all"),)))
    assert net.ask(client, "10.32.0.5", 8000) == "timeout"

    net.wiring.apply(snapshot)
    assert net.ask(client, "10.32.0.5", 8000).startswith(server.instance_id)


def test_egress_rules_bind_the_sender(net: Net) -> None:
    server = net.instance(5, ("sg-open",))
    client = net.instance(6, ("sg-narrow",))
    snapshot = with_parts(
        vpc_parts(),
        security_groups=(
            group("sg-open", Rule("-1", None, None, ANYWHERE)),
            group("sg-narrow", egress=(tcp(8000, groups=("sg-open",)),)),
        ),
        instances=(server, client),
    )
    net.wiring.apply(snapshot)
    net.serve(server, 8000)
    net.serve(server, 8001)
    assert net.ask(client, "10.32.0.5", 8000) == f"{server.instance_id} 10.32.0.6"
    assert net.ask(client, "10.32.0.5", 8001) == "timeout"
    assert net.ask(client, net.public(25), 8000) == "timeout"


def test_a_subnet_without_a_route_has_no_way_out_and_no_way_in(net: Net) -> None:
    hidden = net.instance(5, ("sg-all",), subnet="subnet-c")
    seen = net.instance(6, ("sg-all",))
    snapshot = with_parts(
        vpc_parts(),
        security_groups=(group("sg-all", tcp(8000, cidrs=ANYWHERE)),),
        instances=(hidden, seen),
    )
    net.wiring.apply(snapshot)
    net.serve(hidden, 8000)
    net.serve(seen, 8000)
    assert net.ask(seen, "10.32.2.5", 8000) == f"{hidden.instance_id} 10.32.0.6"
    assert net.ask(None, net.public(25), 8000) == "timeout"
    assert net.ask(hidden, net.public(26), 8000) == "timeout"


def test_two_vpcs_with_the_same_cidr_stand_side_by_side(net: Net) -> None:
    one, two = net.instance(5, ("sg-1",)), net.instance(5, ("sg-2",), vpc="2")
    client = net.instance(6, ("sg-1",))
    first, second = vpc_parts("1"), vpc_parts("2")
    snapshot = Snapshot(
        vpcs=first.vpcs + second.vpcs,
        subnets=first.subnets + second.subnets,
        security_groups=(
            group("sg-1", tcp(8000, cidrs=ANYWHERE)),
            group("sg-2", tcp(8000, cidrs=ANYWHERE), vpc="2"),
        ),
        instances=(one, two, client),
    )
    net.wiring.apply(snapshot)
    net.serve(one, 8000)
    net.serve(two, 8000)
    assert net.ask(None, net.public(25), 8000).split()[0] == one.instance_id
    assert net.ask(None, net.public(125), 8000).split()[0] == two.instance_id
    # From VPC 1 to VPC 2 there is only the way through both gateways.
    assert net.ask(client, net.public(125), 8000) == f"{two.instance_id} {net.public(26)}"
    assert net.ask(client, "10.32.0.5", 8000) == f"{one.instance_id} 10.32.0.6"


def test_a_stopped_instance_is_silent_and_returns_with_a_new_address(net: Net) -> None:
    server = net.instance(5, ("sg-all",))
    groups = (group("sg-all", tcp(8000, cidrs=ANYWHERE)),)
    snapshot = with_parts(vpc_parts(), security_groups=groups, instances=(server,))
    net.wiring.apply(snapshot)
    net.serve(server, 8000)
    assert net.ask(None, net.public(25), 8000).startswith(server.instance_id)

    stopped = replace(server, running=False, interface=replace(server.interface, public_ip=None))
    net.wiring.apply(with_parts(snapshot, instances=(stopped,)))
    assert net.ask(None, net.public(25), 8000) == "timeout"

    started = replace(server, interface=replace(server.interface, public_ip=net.public(77)))
    net.wiring.apply(with_parts(snapshot, instances=(started,)))
    assert net.ask(None, net.public(25), 8000) == "timeout"
    assert net.ask(None, net.public(77), 8000).startswith(server.instance_id)


def test_an_unplugged_node_does_not_even_refuse(net: Net) -> None:
    server, client = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    groups = (group("sg-all", Rule("-1", None, None, ANYWHERE)),)
    net.wiring.apply(with_parts(vpc_parts(), security_groups=groups, instances=(server, client)))
    assert net.ask(client, "10.32.0.5", 8000) == "ConnectionRefusedError"
    net.wiring.unplug(server.instance_id)
    assert net.ask(client, "10.32.0.5", 8000) == "timeout"
    net.wiring.plug(server.instance_id)
    assert net.ask(client, "10.32.0.5", 8000) == "ConnectionRefusedError"


def test_a_renewed_namespace_is_empty_and_cabled(net: Net) -> None:
    server, client = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    groups = (group("sg-all", Rule("-1", None, None, ANYWHERE)),)
    net.wiring.apply(with_parts(vpc_parts(), security_groups=groups, instances=(server, client)))
    net.run(net.node(server), "ip", "link", "add", "docker0", "type", "bridge")
    mac = net.run(net.node(server), "cat", "/sys/class/net/eth0/address")
    assert net.wiring.renew_namespace(server.instance_id) == net.node(server)
    assert "docker0" not in net.run(net.node(server), "ip", "-br", "link")
    assert net.run(net.node(server), "cat", "/sys/class/net/eth0/address") == mac
    net.serve(server, 8000)
    assert net.ask(client, "10.32.0.5", 8000) == f"{server.instance_id} 10.32.0.6"


def test_a_node_cannot_send_from_another_address(net: Net) -> None:
    server, liar = net.instance(5, ("sg-server",)), net.instance(6, ("sg-liar",))
    friend = net.instance(7, ("sg-friend",))
    snapshot = with_parts(
        vpc_parts(),
        security_groups=(
            group("sg-server", Rule("udp", 9000, 9000, (), ("sg-friend",))),
            group("sg-liar"),
            group("sg-friend"),
        ),
        instances=(server, liar, friend),
    )
    net.wiring.apply(snapshot)
    receiver = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9000));"
        "print('ready', flush=True); s.settimeout(0.8)\n"
        "try:\n  print(s.recvfrom(99)[1][0])\nexcept TimeoutError:\n  print('nothing')"
    )
    sender = (
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.bind((sys.argv[1], 0)); s.sendto(b'x', ('10.32.0.5', 9000))"
    )
    net.run(net.node(liar), "ip", "addr", "add", "10.32.0.7/32", "dev", "eth0")
    results = []
    for source in (liar, friend):
        process = net.start(net.node(server), receiver)
        net.python(net.node(source), sender, "10.32.0.7")
        assert process.stdout is not None
        results.append(process.stdout.readline().strip())
        net.end(process)
    assert results == ["nothing", "10.32.0.7"]


def test_rules_of_every_kind_are_understood(net: Net) -> None:
    odd = (
        Rule("50", None, None, ANYWHERE),
        Rule("icmp", -1, -1, ANYWHERE),
        Rule("icmp", 8, -1, ANYWHERE),
        Rule("icmp", 3, 4, ANYWHERE),
        Rule("17", 4789, 4789, ("10.32.0.0/16", "10.32.0.0/24", "10.32.0.7/24")),
        Rule("6", 0, 65535, (), ("sg-odd", "sg-unknown")),
        Rule("tcp", 8000, 8010, ("::/0",)),
        Rule("58", None, None, ("::/0",)),
        Rule("tcp", 22, 22),
    )
    server, client = net.instance(5, ("sg-odd",)), net.instance(6, ("sg-other",))
    world = with_parts(
        vpc_parts(), security_groups=(group("sg-odd", *odd, egress=odd), group("sg-other")), instances=(server, client)
    )
    net.wiring.apply(world)
    net.serve(server, 8000)
    assert net.ask(client, "10.32.0.5", 8000) == "timeout"  # An IPv6 range admits no IPv4 client.
    range_of_ports = group("sg-odd", Rule("tcp", 7990, 8010, ("10.32.0.0/24",)))
    net.wiring.apply(with_parts(world, security_groups=(range_of_ports, group("sg-other"))))
    assert net.ask(client, "10.32.0.5", 8000) == f"{server.instance_id} 10.32.0.6"


def test_groups_of_an_interface_add_up(net: Net) -> None:
    server, client = net.instance(5, ("sg-a", "sg-b")), net.instance(6, ("sg-c",))
    groups = (group("sg-a", tcp(8000, groups=("sg-c",))), group("sg-b", tcp(8001, groups=("sg-c",))), group("sg-c"))
    net.wiring.apply(with_parts(vpc_parts(), security_groups=groups, instances=(server, client)))
    net.serve(server, 8000)
    net.serve(server, 8001)
    net.serve(server, 8002)
    answers = [net.ask(client, "10.32.0.5", port) for port in (8000, 8001, 8002)]
    assert answers == [f"{server.instance_id} 10.32.0.6"] * 2 + ["timeout"]


def test_an_established_connection_outlives_its_rule_but_not_its_address(net: Net) -> None:
    server = net.instance(5, ("sg-all",))
    world = with_parts(vpc_parts(), security_groups=(group("sg-all", tcp(8000, cidrs=ANYWHERE)),), instances=(server,))
    net.wiring.apply(world)
    echo = (
        "import socket, sys; l = socket.create_server(('', 8000)); print('ready', flush=True); c, _ = l.accept()\n"
        "while part := c.recv(99): c.sendall(part)"
    )
    net.start(net.node(server), echo)
    with socket.create_connection((net.public(25), 8000), 3) as connection:
        connection.settimeout(1)
        connection.sendall(b"one")
        assert connection.recv(9) == b"one"
        world = with_parts(world, security_groups=(group("sg-all"),))
        net.wiring.apply(world)
        connection.sendall(b"two")
        assert connection.recv(9) == b"two"
        moved = replace(server, interface=replace(server.interface, public_ip=net.public(99)))
        net.wiring.apply(with_parts(world, instances=(moved,)))
        connection.sendall(b"three")
        with pytest.raises(TimeoutError):
            connection.recv(9)


def test_the_api_tells_the_mac_address_where_it_has_one(net: Net) -> None:
    own, derived = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    own = replace(own, interface=replace(own.interface, mac="02:00:00:12:34:56"))
    net.wiring.apply(with_parts(vpc_parts(), security_groups=(group("sg-all"),), instances=(own, derived)))
    assert net.run(net.node(own), "cat", "/sys/class/net/eth0/address") == "02:00:00:12:34:56"
    found = net.run(net.node(derived), "cat", "/sys/class/net/eth0/address")
    assert found == mac_address(derived.interface.id)


def test_a_failed_apply_can_be_repeated(net: Net) -> None:
    server, client = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    groups = (group("sg-all", Rule("-1", None, None, ANYWHERE)),)
    good = with_parts(vpc_parts(), security_groups=groups, instances=(server, client))
    broken = replace(server, interface=replace(server.interface, mac="broken"))
    with pytest.raises(LabError, match="address broken"):
        net.wiring.apply(with_parts(good, instances=(client, broken)))
    with pytest.raises(LabError, match="no network"):
        net.wiring.node_namespace(server.instance_id)
    net.wiring.apply(good)
    net.serve(server, 8000)
    assert net.ask(client, "10.32.0.5", 8000) == f"{server.instance_id} 10.32.0.6"
    assert net.wiring.resolver_of(server.instance_id) == "10.32.0.2"


def test_vpcs_gateways_and_subnets_come_and_go(net: Net) -> None:
    server, client = net.instance(5, ("sg-all",)), net.instance(6, ("sg-all",))
    groups = (group("sg-all", Rule("-1", None, None, ANYWHERE)),)
    world = with_parts(vpc_parts(), security_groups=groups, instances=(server, client))
    net.wiring.apply(world)
    net.serve(server, 8000)
    assert net.ask(None, net.public(25), 8000).startswith(server.instance_id)
    net.wiring.apply(with_parts(world, vpcs=(replace(world.vpcs[0], has_internet_gateway=False),)))
    assert net.ask(None, net.public(25), 8000) == "timeout"
    assert net.ask(client, "10.32.0.5", 8000).startswith(server.instance_id)
    net.wiring.apply(world)
    assert net.ask(None, net.public(25), 8000).startswith(server.instance_id)
    net.wiring.apply(Snapshot())
    left = [line.split()[0] for line in net.run(None, "ip", "netns").splitlines() if net.settings.tag in line]
    assert left == [net.wiring.router_namespace]
    net.wiring.apply(world)
    net.serve(server, 8000)
    assert net.ask(None, net.public(25), 8000).startswith(server.instance_id)


def test_one_more_node_costs_less_than_200_milliseconds(net: Net) -> None:
    """Counted in processor time, the tools' included: a busy machine must not fail this."""

    def processor_seconds() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    groups = (group("sg-all", Rule("-1", None, None, ANYWHERE)),)
    nodes = tuple(net.instance(number, ("sg-all",)) for number in range(5, 25))
    snapshot = with_parts(vpc_parts(), security_groups=groups, instances=nodes)
    net.wiring.apply(snapshot)
    used = []
    for number in range(30, 33):
        snapshot = with_parts(snapshot, instances=(*snapshot.instances, net.instance(number, ("sg-all",))))
        before = processor_seconds()
        net.wiring.apply(snapshot)
        used.append(processor_seconds() - before)
    assert min(used) < 0.2, used
