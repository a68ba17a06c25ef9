"""Who a node is: pinned at first sight, checked against its console, refused when changed. And who we are to it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from dockeree.errors import SshError, TimedOut
from dockeree.ssh.connect import KEY_REFUSED_SECONDS, wait_for_ssh
from dockeree.ssh.failures import HostKeyChanged, KeyRefused, NobodyAnswers
from dockeree.ssh.keys import generate_private_key
from dockeree.ssh.known_hosts import KnownHosts, fingerprint, fingerprints_in

INSTANCE_ID = "i-0123456789abcdef0"

CONSOLE = """\
[    5.1] cloud-init[500]: Generating public/private ed25519 key pair.
ci-info: | ssh-ed25519 | SHA256:LOGINKEYLOGINKEYLOGINKEYLOGINKEYLOGINKEYLOG | -
<14>Nov 24 03:00:00 ec2: #############################################################
<14>Nov 24 03:00:00 ec2: -----BEGIN SSH HOST KEY FINGERPRINTS-----
<14>Nov 24 03:00:00 ec2: 256 {fingerprint} root@ip-10-32-0-5 (ED25519)
<14>Nov 24 03:00:00 ec2: -----END SSH HOST KEY FINGERPRINTS-----
"""


def test_a_host_key_is_pinned_at_first_sight_in_a_private_file(start_server: Any, operator: Any) -> None:
    server = start_server()
    operator.connect(server)
    assert operator.known_hosts.stat().st_mode & 0o777 == 0o600
    line = operator.known_hosts.read_text()
    assert line == f"{INSTANCE_ID} {' '.join(server.host_key.export_public_key().decode().split()[:2])}\n"


def test_a_changed_host_key_is_refused_with_what_to_do(start_server: Any, operator: Any) -> None:
    first = start_server()
    operator.connect(first)
    other = start_server()
    with pytest.raises(HostKeyChanged, match=f"the host key of {INSTANCE_ID} at 127.0.0.1 has changed") as changed:
        operator.connect(other)
    assert f"ssh-keygen -R {INSTANCE_ID} -f {operator.known_hosts}" in changed.value.hint
    with pytest.raises(HostKeyChanged):
        operator.connect(other)
    KnownHosts(operator.known_hosts).forget(INSTANCE_ID)
    assert operator.connect(other).run("echo fine").stdout == "fine\n"


def test_a_server_with_several_keys_is_asked_for_the_pinned_one(start_server: Any, operator: Any) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    operator.connect(start_server(host_keys=[rsa]))
    assert set(KnownHosts(operator.known_hosts).pinned(INSTANCE_ID)) == {"ssh-rsa"}
    both = start_server(host_keys=[asyncssh.generate_private_key("ssh-ed25519"), rsa])
    assert operator.connect(both).run("echo same").stdout == "same\n"


def test_a_first_sight_is_checked_against_the_console(start_server: Any, operator: Any) -> None:
    server = start_server()
    right = fingerprint(server.host_key.public_data)
    assert right == server.host_key.get_fingerprint()
    wrong = "SHA256:" + "A" * 43
    asked: list[str] = []

    def console(text: str) -> Any:
        return lambda instance_id: (asked.append(instance_id), fingerprints_in(CONSOLE.format(fingerprint=text)))[1]

    with pytest.raises(HostKeyChanged, match=f"its console output names {wrong}"):
        operator.connect(server, fingerprints=console(wrong))
    assert not operator.known_hosts.exists()
    operator.connect(server, fingerprints=console(right))
    operator.connect(server, fingerprints=console(wrong))
    assert asked == [INSTANCE_ID, INSTANCE_ID]  # and not of a node that is known


def test_a_key_pinned_while_the_node_booted_is_confirmed_by_its_console(start_server: Any, operator: Any) -> None:
    server = start_server()
    operator.connect(server)
    known = KnownHosts(operator.known_hosts)
    assert not known.is_confirmed(INSTANCE_ID)
    known.confirm(INSTANCE_ID, "127.0.0.1", frozenset())
    assert not known.is_confirmed(INSTANCE_ID)
    with pytest.raises(HostKeyChanged, match="but its console output names SHA256:A"):
        known.confirm(INSTANCE_ID, "127.0.0.1", frozenset({"SHA256:" + "A" * 43}))
    known.confirm(INSTANCE_ID, "127.0.0.1", frozenset({fingerprint(server.host_key.public_data)}))
    assert known.is_confirmed(INSTANCE_ID)
    assert operator.known_hosts.read_text().endswith(" confirmed-by-console\n")
    operator.connect(server)
    assert known.is_confirmed(INSTANCE_ID)


def test_of_a_console_only_the_last_block_of_host_keys_counts() -> None:
    old, new = "SHA256:" + "B" * 43, "SHA256:" + "C" * 43
    assert fingerprints_in(CONSOLE.format(fingerprint=old) + CONSOLE.format(fingerprint=new)) == {new}
    assert fingerprints_in("ci-info: SHA256:" + "D" * 43) == frozenset()


def test_many_threads_pin_many_nodes_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / ".dockeree" / "demo" / "known_hosts"

    def pin(number: int) -> None:
        KnownHosts(path).check(f"i-{number:017x}", "127.0.0.1", "ssh-ed25519", b"key %d" % number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(pin, range(60)))
    assert [KnownHosts(path).pinned(f"i-{n:017x}") for n in range(60)] == [
        {"ssh-ed25519": b"key %d" % n} for n in range(60)
    ]
    assert [entry.name for entry in path.parent.iterdir()] == ["known_hosts"]


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client")
def test_openssh_reads_the_same_file(start_server: Any, operator: Any, client_key: Path) -> None:
    server = start_server()
    operator.connect(server)

    def ssh(alias: str) -> subprocess.CompletedProcess[str]:
        options = [
            f"HostKeyAlias={alias}", f"UserKnownHostsFile={operator.known_hosts}", "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes", "BatchMode=yes", "IdentityAgent=none", "ConnectTimeout=10",
        ]  # fmt: skip
        arguments = [argument for option in options for argument in ("-o", option)]
        command = ["ssh", "-F", "none", *arguments, "-i", str(client_key), "-p", str(server.port), "ubuntu@127.0.0.1"]
        return subprocess.run([*command, "echo hello"], capture_output=True, text=True, timeout=30, check=False)

    assert ssh(INSTANCE_ID).stdout == "hello\n"
    assert "Host key verification failed" in ssh("i-00000000000000bad").stderr


def test_a_wrong_key_is_refused_with_its_name(start_server: Any, operator: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(generate_private_key())
    with pytest.raises(KeyRefused, match=f"takes no key of {other} for the user ubuntu"):
        operator.connect(start_server(), key=other)


def test_nobody_answers(start_server: Any, operator: Any) -> None:
    server = start_server()
    server.stop()
    with pytest.raises(NobodyAnswers, match=rf"manager-a \(127.0.0.1:{server.port}\) cannot be reached.*refused") as no:
        operator.connect(server)
    assert "admin_cidrs" in no.value.hint


def test_something_else_answers(operator: Any, start_server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: listener.accept()[0].close())
        with pytest.raises(NobodyAnswers, match="answers, but not as an SSH server"):
            operator.connect(start_server(), port=listener.getsockname()[1])


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def _wait(connect: Any, clock: FakeClock) -> Any:
    return wait_for_ssh(
        connect, name="manager-a", host="198.18.0.1", host_key_id=INSTANCE_ID, timeout_seconds=300, clock=clock
    )


class Booting:
    """A node that fails with each of `errors` in turn and then lets one in."""

    def __init__(self, *errors: SshError) -> None:
        self.errors = list(errors)

    def __call__(self, **_address: str) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "connected"


def test_the_wait_for_sshd_passes_over_what_passes_by_itself() -> None:
    clock = FakeClock()
    booting = Booting(NobodyAnswers("no answer"), NobodyAnswers("refused"), KeyRefused("no user yet"))
    assert _wait(booting, clock) == "connected"
    assert clock.time == 6.0


def test_the_wait_for_sshd_ends_with_the_last_reason() -> None:
    with pytest.raises(
        TimedOut, match=r"SSH to manager-a at 198.18.0.1: not within 300 s; the last answer was: silence"
    ):
        _wait(Booting(*[NobodyAnswers("silence")] * 1000), FakeClock())


def test_the_wait_for_sshd_does_not_wait_for_what_stays() -> None:
    clock = FakeClock()
    with pytest.raises(HostKeyChanged):
        _wait(Booting(HostKeyChanged("changed")), clock)
    assert clock.time == 0
    with pytest.raises(KeyRefused):
        _wait(Booting(*[KeyRefused("refused")] * 1000), clock)
    assert clock.time == KEY_REFUSED_SECONDS
