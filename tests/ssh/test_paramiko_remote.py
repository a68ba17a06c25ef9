"""Commands over the real protocol: streams, deadlines, lost connections, what is logged."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dockeree.errors import CommandFailed, TimedOut
from dockeree.ssh.failures import ConnectionLost
from dockeree.ssh.remote import Result

INSTANCE_ID = "i-0123456789abcdef0"
MEGABYTE = 1024 * 1024


def test_a_command_gives_its_output_and_exit_status(start_server: Any, operator: Any) -> None:
    remote = operator.connect(start_server())
    assert remote.run("echo hello") == Result(0, "hello\n", "")
    assert remote.run("complain loudly", check=False) == Result(3, "", "loudly\n")
    assert remote.run("umlaut").stdout == "Grüße \N{REPLACEMENT CHARACTER}"


def test_megabytes_on_both_streams_do_not_hang(start_server: Any, operator: Any) -> None:
    result = operator.connect(start_server()).run("loud", timeout_seconds=60)
    assert (len(result.stdout), len(result.stderr)) == (5 * MEGABYTE, 5 * MEGABYTE)
    assert (set(result.stdout), set(result.stderr)) == ({"o"}, {"e"})


def test_megabytes_of_standard_input_come_back_whole(start_server: Any, operator: Any) -> None:
    data = os.urandom(MEGABYTE).hex().encode() * 3
    result = operator.connect(start_server()).run("cat", stdin=data, timeout_seconds=60)
    assert result.stdout.encode() == data


def test_standard_input_that_nobody_reads_is_no_error(start_server: Any, operator: Any) -> None:
    assert operator.connect(start_server()).run("half-deaf", stdin=b"x" * 10 * MEGABYTE).exit_status == 0


def test_a_command_without_standard_input_reads_its_end(start_server: Any, operator: Any) -> None:
    assert operator.connect(start_server()).run("cat", timeout_seconds=10).stdout == ""


def test_a_failed_command_is_named_with_its_last_words(start_server: Any, operator: Any) -> None:
    with pytest.raises(CommandFailed, match="manager-a: `complain no space left` ended with 3: no space left"):
        operator.connect(start_server()).run("complain no space left")


def test_a_signal_is_no_success(start_server: Any, operator: Any) -> None:
    assert operator.connect(start_server()).run("killed", check=False).exit_status == -1


def test_a_deadline_ends_the_command_and_not_the_connection(start_server: Any, operator: Any) -> None:
    server = start_server()
    remote = operator.connect(server)
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"manager-a: `sleep`: not within 0 s; the last answer was: still at it"):
        remote.run("sleep", timeout_seconds=0.3)
    assert time.monotonic() - began < 5
    assert remote.run("echo on").stdout == "on\n"
    assert server.connections == 1


def test_a_connection_lost_while_a_command_runs_is_an_error_and_the_next_command_reconnects(
    start_server: Any, operator: Any
) -> None:
    server = start_server()
    remote = operator.connect(server)
    with pytest.raises(ConnectionLost, match="lost while `drop` ran"):
        remote.run("drop", timeout_seconds=20)
    assert remote.run("echo back").stdout == "back\n"
    assert server.connections == 2


def test_a_connection_lost_between_commands_is_renewed(start_server: Any, operator: Any) -> None:
    server = start_server()
    remote = operator.connect(server)
    remote.run("echo one")
    server.drop_connections()
    assert remote.run("echo two").stdout == "two\n"


def test_one_connection_serves_every_step_and_thread(start_server: Any, operator: Any) -> None:
    server = start_server()
    connect = operator.connector(server)

    def work(number: int) -> str:
        remote = connect(name="manager-a", host="127.0.0.1", host_key_id=INSTANCE_ID)
        return str(remote.run(f"echo {number}").stdout)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(work, range(40)))
    assert answers == [f"{number}\n" for number in range(40)]
    assert server.connections == 1


def test_closing_twice_is_fine_and_a_closed_remote_connects_again(start_server: Any, operator: Any) -> None:
    remote = operator.connect(start_server())
    remote.close()
    remote.close()
    assert remote.run("echo again").stdout == "again\n"


def test_bytes_arrive_as_they_are_and_in_no_log(start_server: Any, operator: Any) -> None:
    remote = operator.connect(start_server())
    assert remote.read_bytes("umlaut") == b"Gr\xc3\xbc\xc3\x9fe \xff"
    assert remote.read_bytes("loud", timeout_seconds=60) == b"o" * 5 * MEGABYTE
    logged = "\n".join(operator.log)
    assert "reads: umlaut" in logged
    assert "exit 0, 9 bytes that are not logged" in logged
    assert "Gr" not in logged
    assert "oooo" not in logged
    with pytest.raises(CommandFailed, match="ended with 3: no such file"):
        remote.read_bytes("complain no such file")


def test_the_log_has_every_command_with_what_it_does(start_server: Any, operator: Any) -> None:
    remote = operator.connect(start_server())
    remote.run("echo a", changes=False)
    remote.run("complain b", check=False)
    assert operator.log == [
        "manager-a reads: echo a",
        "manager-a exit 0",
        "manager-a stdout: a",
        "manager-a changes: complain b",
        "manager-a exit 3",
        "manager-a stderr: b",
    ]


TOKEN = "SWMTKN-1-3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl-1awxwuwd3z9j1z3puu7rcgdbx"


@pytest.mark.parametrize("secrets", [("open sesame",), ("sesame", "open sesame")])
def test_secrets_are_blotted_out_of_log_and_errors(start_server: Any, operator: Any, secrets: tuple[str, ...]) -> None:
    remote = operator.connect(start_server())
    assert remote.run("echo open sesame", secrets=secrets).stdout == "open sesame\n"
    with pytest.raises(CommandFailed) as failed:
        remote.run("complain about open sesame", secrets=secrets)
    with pytest.raises(TimedOut) as late:
        remote.run("sleep", secrets=("still at it",), timeout_seconds=0.2)
    everything = "\n".join([*operator.log, failed.value.message, failed.value.stderr, late.value.message])
    assert "sesame" not in everything
    assert "still at it" not in everything
    assert "***" in everything


def test_tokens_and_private_keys_are_blotted_out_unasked(start_server: Any, operator: Any, client_key: Path) -> None:
    remote = operator.connect(start_server())
    assert TOKEN in remote.run(f"echo docker swarm join --token {TOKEN} 10.0.0.1:2377").stdout
    remote.run("cat", stdin=client_key.read_bytes())
    everything = "\n".join(operator.log)
    assert "SWMTKN" not in everything
    assert client_key.read_text().splitlines()[2] not in everything
