"""Nothing of a network stays on the host: after an orderly end, and after a kill -9."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lab_network import Net, free_slot, why_not

from dockeree.lab.network import remove_network
from dockeree.lab.settings import LabSettings

pytestmark = pytest.mark.machines

PROGRAM = """
import sys, time
from support.lab_network import Net, balancer_world
net = Net(sys.argv[1], int(sys.argv[2]))
net.wiring.apply(balancer_world(net))
print("ready", flush=True)
time.sleep(600)
"""


def host_state(own_tag: str) -> dict[str, object]:
    """What the host shows of namespaces, links, routes, rules, settings and names; other labs' things left out."""

    def lines(*argv: str) -> list[str]:
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        others = re.compile(rf"\bd(?!{own_tag[1:]})[0-9a-f]{{6}}-")
        # An interface's number in another namespace, and counters, are no part of the state.
        return [re.sub(r"@if\d+| \(id: \d+\)", "", line) for line in text.splitlines() if not others.search(line)]

    hosts = Path("/etc/hosts").read_text()
    return {
        "namespaces": lines("ip", "netns"),
        "links": lines("ip", "-br", "link"),
        "routes": lines("ip", "route", "show", "table", "all"),
        "rules": lines("ip", "rule"),
        "nft": lines("nft", "list", "ruleset"),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "hosts": re.sub(rf"\n# dockeree lab (?!{own_tag})(\w+): begin\n.*?: end\n", "", hosts, flags=re.DOTALL),
    }


@pytest.fixture
def settings() -> Iterator[LabSettings]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = LabSettings(f"test-{os.getpid()}-cleanup", "machines", free_slot())
    yield made
    remove_network(made.tag)


def test_an_orderly_end_leaves_nothing(settings: LabSettings) -> None:
    from support.lab_network import balancer_world

    before = host_state(settings.tag)
    net = Net(settings.name, settings.slot)
    try:
        net.wiring.apply(balancer_world(net))
        during = host_state(settings.tag)
        assert all(during[part] != before[part] for part in ("namespaces", "links", "routes", "hosts"))
        assert during["forwarding"] == before["forwarding"]
        assert during["nft"] == before["nft"]
    finally:
        net.close()
    assert host_state(settings.tag) == before


def test_after_kill_9_the_network_goes_by_its_tag_alone(settings: LabSettings) -> None:
    before = host_state(settings.tag)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, settings.name, str(settings.slot)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline().strip() == "ready"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    left = host_state(settings.tag)
    assert left != before
    remove_network(settings.tag)
    assert host_state(settings.tag) == before
    remove_network(settings.tag)


def test_a_new_wiring_clears_what_an_old_one_left(settings: LabSettings) -> None:
    from support.lab_network import balancer_world

    from dockeree.lab.network import MachineWiring

    before = host_state(settings.tag)
    abandoned = Net(settings.name, settings.slot)
    abandoned.wiring.apply(balancer_world(abandoned))
    successor = MachineWiring(settings)
    try:
        assert [line for line in subprocess.getoutput("ip netns").split() if settings.tag in line] == [
            f"{settings.tag}-net"
        ]
    finally:
        successor.close()
        abandoned.close()
    assert host_state(settings.tag) == before
