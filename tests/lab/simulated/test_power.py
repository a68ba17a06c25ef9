"""Launch, boot, login, stop, reboot, power cut, destroy: over the real protocol."""

from __future__ import annotations

import gzip
import socket
import time
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import paramiko
import pytest
from simulated_cluster import Cluster, eventually, private_key, simulated_cluster, ssh_rule

from dockeree.lab.world import LabError


def connects(address: str | None, port: int, timeout: float = 1.0) -> str:
    """open, refused or silent."""
    try:
        with socket.create_connection((address, port), timeout=timeout):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"


def test_a_node_boots_and_lets_its_key_in(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    assert shell.ok("hostname") == "ip-10-32-0-4\n"
    assert shell.ok("whoami") == "ubuntu\n"
    assert shell.ok("sudo -n whoami") == "root\n"
    assert shell.ok("cloud-init status --wait") == "status: done\n"
    assert cluster.driver.is_on(node)


def test_another_key_another_user_and_a_password_are_refused(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    wrong_key, _ = private_key()
    with pytest.raises(paramiko.AuthenticationException):
        cluster.shell(node, key=wrong_key)
    address = cluster.specs[node].public_ip or ""
    for user, extra in (("root", {"pkey": cluster.key}), ("ubuntu", {"password": "ubuntu"})):
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        cluster.clients.append(client)
        with pytest.raises(paramiko.SSHException):
            client.connect(address, cluster.driver.ssh_port, user, allow_agent=False, look_for_keys=False, **extra)


def test_a_node_without_a_key_lets_nobody_in(cluster: Cluster) -> None:
    [node] = cluster.launch(1, authorized_key=None)
    cluster.wait_booted([node])
    with pytest.raises(paramiko.AuthenticationException):
        cluster.shell(node)


def test_the_console_shows_the_host_keys_that_sshd_has(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    console = cluster.driver.console_output(node)
    key = cluster.shell(node).client.get_transport().get_remote_server_key()  # type: ignore[union-attr]
    fingerprint = "SHA256:" + b64encode(sha256(key.asbytes()).digest()).decode().rstrip("=")
    between = console.split("-----BEGIN SSH HOST KEY FINGERPRINTS-----")[1].split("-----END SSH HOST KEY")[0]
    assert fingerprint in between
    keys = console.split("-----BEGIN SSH HOST KEY KEYS-----\n")[1].split("-----END SSH HOST KEY KEYS-----")[0]
    assert f"{key.get_name()} {key.get_base64()}" in keys


def test_a_reboot_keeps_the_disk_and_the_host_keys_and_prints_them_no_more(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    before = shell.client.get_transport().get_remote_server_key()  # type: ignore[union-attr]
    shell.ok("sudo -n tee /etc/mark", b"kept")
    shell.ok("tee /tmp/mark", b"gone")
    cluster.driver.reboot(node)
    cluster.wait_booted([node])
    again = cluster.shell(node)
    assert again.client.get_transport().get_remote_server_key() == before  # type: ignore[union-attr]
    assert again.ok("cat /etc/mark") == "kept"
    assert again.run("cat /tmp/mark") == (1, "", "cat: /tmp/mark: No such file or directory\n")
    assert "HOST KEY" not in cluster.driver.console_output(node)


def test_stop_and_start_change_the_address(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    old, port = cluster.specs[node], cluster.driver.ssh_port
    cluster.driver.shut_down(node)
    assert not cluster.driver.is_on(node)
    assert connects(old.public_ip, port) == "refused"
    cluster.specs[node] = replace(old, public_ip=(old.public_ip or "").replace(".1.1", ".2.9"))
    cluster.apply()
    cluster.driver.power_on(cluster.specs[node])
    cluster.wait_booted([node])
    assert cluster.shell(node).ok("hostname") == "ip-10-32-0-4\n"
    assert connects(old.public_ip, port) == "refused"


def test_nothing_answers_after_a_power_cut_and_a_reboot_brings_it_back(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    cluster.driver.power_cut(node)
    assert not cluster.driver.is_on(node)
    assert connects(cluster.specs[node].public_ip, cluster.driver.ssh_port, timeout=0.5) == "silent"
    with pytest.raises(TimeoutError):
        shell.run("true", timeout=0.5)
    cluster.driver.reboot(node)
    cluster.wait_booted([node])
    assert cluster.shell(node).ok("hostname") == "ip-10-32-0-4\n"


def test_a_node_turns_itself_off_and_reboots(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    booted_at = cluster.shell(node).ok("uptime -s")
    time.sleep(1.1)
    cluster.shell(node).run("sudo -n reboot")
    eventually(lambda: "login:" not in cluster.driver.console_output(node))
    cluster.wait_booted([node])
    assert cluster.shell(node).ok("uptime -s") != booted_at
    assert cluster.shell(node).run("reboot")[0] == 1
    cluster.shell(node).run("sudo -n systemctl poweroff")
    eventually(lambda: not cluster.driver.is_on(node))


def test_a_missing_rule_for_ssh_is_silence(cluster: Cluster) -> None:
    cluster.extra_rules = ()
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    address, port = cluster.specs[node].public_ip, cluster.driver.ssh_port
    assert connects(address, port, timeout=0.5) == "silent"
    cluster.extra_rules = (ssh_rule(cluster.driver.ssh_port),)
    cluster.apply()
    assert connects(address, port) == "open"


def test_destroyed_and_unknown_nodes(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    with pytest.raises(LabError, match="has a node already"):
        cluster.driver.launch(cluster.specs[node])
    cluster.driver.destroy(node)
    cluster.driver.destroy(node)
    cluster.driver.destroy("i-never")
    assert not cluster.driver.is_on(node)
    assert connects(cluster.specs[node].public_ip, cluster.driver.ssh_port) == "refused"
    with pytest.raises(LabError, match="has no node"):
        cluster.driver.console_output(node)


def test_destroyed_while_it_boots(slow_cluster: Cluster) -> None:
    [node] = slow_cluster.launch(1)
    slow_cluster.driver.destroy(node)
    time.sleep(1.2)
    assert connects(slow_cluster.specs[node].public_ip, slow_cluster.driver.ssh_port) == "refused"


USER_DATA = """#cloud-config
write_files:
- {path: /opt/a/plain, content: "hello\\n", permissions: "0640", owner: "root:ubuntu"}
- {path: /opt/a/packed, encoding: gz+b64, content: %s}
- {path: /opt/a/coded, encoding: b64, content: aGVsbG8=}
runcmd:
- [cp, /opt/a/plain, /opt/a/copy]
- [chmod, "0644", /opt/a/copy]
- echo done > /opt/a/said
"""


def test_user_data_writes_files_and_runs_commands_once(cluster: Cluster) -> None:
    text = USER_DATA % b64encode(gzip.compress(b"squeezed")).decode()
    [node] = cluster.launch(1, user_data=gzip.compress(text.encode()))
    cluster.wait_booted([node])
    shell = cluster.shell(node)
    assert shell.ok("cat /opt/a/plain /opt/a/copy /opt/a/said /opt/a/packed /opt/a/coded") == (
        "hello\nhello\ndone\nsqueezedhello"
    )
    assert shell.ok("stat -c '%a %U %G' /opt/a/plain") == "640 root ubuntu\n"
    shell.ok("sudo -n rm /opt/a/said")
    cluster.driver.reboot(node)
    cluster.wait_booted([node])
    assert cluster.shell(node).run("cat /opt/a/said")[0] == 1


@pytest.mark.parametrize(
    ("user_data", "reason"),
    [
        (b"#cloud-config\nfrobnicate: true\n", "frobnicate"),
        (b"#cloud-config\nruncmd:\n- [frobnicate, now]\n", "frobnicate now"),
        (b"#cloud-config\nruncmd:\n- ['false']\n", "scripts_user"),
        (b"#cloud-config\nwrite_files:\n- {path: /a, encoding: rot13, content: x}\n", "rot13"),
        (b"#cloud-config\nwrite_files: [\n", "Failed loading yaml"),
        (b"#!/bin/sh\ntrue\n", "is a script"),
        (b"\x1f\x8bnot gzip at all", "looks like gzip"),
    ],
)
def test_user_data_that_is_not_understood_is_an_error(cluster: Cluster, user_data: bytes, reason: str) -> None:
    [node] = cluster.launch(1, user_data=user_data)
    cluster.wait_booted([node])
    status, stdout, _ = cluster.shell(node).run("cloud-init status --long")
    assert status == 1
    assert stdout.startswith("status: error\n")
    assert reason in stdout
    assert reason in cluster.driver.console_output(node)


def test_a_person_at_a_terminal(cluster: Cluster) -> None:
    [node] = cluster.launch(1)
    cluster.wait_booted([node])
    channel = cluster.shell(node).client.invoke_shell()
    channel.settimeout(10)
    text = ""

    def type_line(line: str) -> str:
        nonlocal text
        channel.send(f"{line}\r".encode())
        start = len(text)
        while not text.endswith("$ ") or len(text) == start:
            text += channel.recv(4096).decode()
        return text[start:]

    while not text.endswith("$ "):
        text += channel.recv(4096).decode()
    assert text.endswith("ubuntu@ip-10-32-0-4:~$ ")
    assert type_line("hostname") == "hostname\r\nip-10-32-0-4\r\nubuntu@ip-10-32-0-4:~$ "
    assert type_line("cd /opt").endswith("ubuntu@ip-10-32-0-4:/opt$ ")
    assert "frobnicate: command not found" in type_line("frobnicate")
    channel.send(b"exit\r")
    assert channel.recv_exit_status() == 0


def test_without_root_sshd_listens_elsewhere_and_the_rule_must_name_that_port() -> None:
    with simulated_cluster(ssh_port=2222) as cluster:
        [node] = cluster.launch(1)
        cluster.wait_booted([node])
        assert cluster.shell(node).ok("hostname") == "ip-10-32-0-4\n"
        cluster.extra_rules = (ssh_rule(22),)
        cluster.apply()
        assert eventually(lambda: connects(cluster.specs[node].public_ip, 2222) == "silent")
