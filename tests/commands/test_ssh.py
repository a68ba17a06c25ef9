"""`dockeree ssh`: which node is meant, what the system's ssh is called with, and whose exit code comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import MINIMAL

from dockeree.aws.instances import Instance
from dockeree.commands.ssh import command_line, find_node
from dockeree.errors import UsageError

TESTS = Path(__file__).parent.parent


def instance(role: str, identifier: str, private_ip: str, launched_at: str = "2026-11-24 03:00:00") -> Instance:
    return Instance(
        id=identifier,
        role=role,
        state="running",
        zone="us-east-1a",
        private_ip=private_ip,
        public_ip="198.51.100.7",
        subnet_id="subnet-1",
        image_id="ami-1",
        instance_type="m5.large",
        launched_at=launched_at,
    )


NODES = [
    instance("manager-a", "i-0000000000000000a", "10.32.0.5"),
    instance("worker", "i-000000000000000b2", "10.32.0.9", "2026-11-24 04:00:00"),
    instance("worker", "i-000000000000000b1", "10.32.64.9", "2026-11-24 05:00:00"),
]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("manager-a", 0),
        ("i-0000000000000000a", 0),
        ("10.32.0.5", 0),
        ("ip-10-32-0-5", 0),
        ("ip-10-32-0-5.ec2.internal", 0),
        ("worker-1", 1),
        ("worker-2", 2),
        ("worker-000b1", 2),
    ],
)
def test_a_node_goes_by_many_names(wanted: str, number: int) -> None:
    assert find_node(NODES, wanted) is NODES[number]


def test_an_unknown_node_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no node worker-3") as caught:
        find_node(NODES, "worker-3")
    assert caught.value.hint == "There are manager-a, worker-1, worker-2."
    with pytest.raises(UsageError):
        find_node(NODES, "worker-0")


def test_words_of_a_command_stay_words_and_a_single_one_is_a_line() -> None:
    assert command_line(()) == []
    assert command_line(("docker", "node", "ls", "--format", "{{.ID}} $x")) == ["docker node ls --format '{{.ID}} $x'"]
    assert command_line(("cd /etc && ls *.conf",)) == ["cd /etc && ls *.conf"]


FAKE_SSH = """#!{python}
import json, os, sys
json.dump({{"argv": sys.argv, "stdin": sys.stdin.buffer.read().hex()}}, open(os.environ["RECORD"], "w"))
sys.stdout.buffer.write(bytes(range(256)))
sys.stderr.write("from the node")
sys.exit(7)
"""


def run_ssh(tmp_path: Path, *arguments: str, stdin: bytes = b"") -> tuple[subprocess.CompletedProcess[bytes], Path]:
    """Run the command in a process of its own, as it becomes another program."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "ssh"
    program.write_text(FAKE_SSH.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "config.yaml").write_text(MINIMAL)
    record = tmp_path / "record.json"
    done = subprocess.run(
        [sys.executable, str(TESTS / "support" / "ssh_story.py"), *arguments],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
            "RECORD": str(record),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "DOCKEREE_SSH_PORT": "2222",
        },
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done, record


def test_the_systems_ssh_gets_the_key_the_pinned_host_key_and_the_command(tmp_path: Path) -> None:
    done, record = run_ssh(tmp_path, "ssh", "manager-a", "--", "docker", "info", stdin=b"\x00\xff")
    assert done.returncode == 7, done.stderr
    assert done.stdout == bytes(range(256)), "binary output arrives as it is"
    assert done.stderr == b"from the node"
    seen = json.loads(record.read_text())
    folder = tmp_path / ".dockeree" / "demo"
    argv = seen["argv"]
    assert seen["stdin"] == "00ff"
    assert argv[1:5] == ["-p", "2222", "-i", str(folder / "ssh.key")]
    options = {argv[n + 1] for n, word in enumerate(argv) if word == "-o"}
    assert {
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={folder / 'known_hosts'}",
        "GlobalKnownHostsFile=/dev/null",
        "HostKeyAlias=i-0000000000000000a",
        "StrictHostKeyChecking=yes",
    } <= options
    assert argv[-2:] == ["ubuntu@198.51.100.7", "docker info"]
    assert not {"-t", "-tt"} & set(argv), "no terminal for a command"
    assert (folder / "ssh.key").read_text() == "the key from the account"
    assert (folder / "ssh.key").stat().st_mode & 0o777 == 0o600


def test_a_stopped_node_says_so(tmp_path: Path) -> None:
    done, record = run_ssh(tmp_path, "ssh", "manager-b")
    assert done.returncode == 1
    assert b"manager-b (i-0000000000000000b) is stopped and has no public address" in done.stderr
    assert not record.exists()
