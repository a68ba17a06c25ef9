"""Installers run: what a shell really does with the command lines, and how their logs are judged."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from dockeree.node import installer
from dockeree.ssh.remote import Result

SECRET = "p4ss 'wörd' $HOME `id` \\n end "
SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec env -i PATH="$PATH" "$@"\n'
"""As sudo does: no variable of the caller's comes through."""
DOCKER = """#!/bin/sh
printf 'argument:%s\\n' "$@"
printf 'variable:%s\\n' "$UCP_ADMIN_PASSWORD"
printf 'arguments of all:'; cat /proc/$$/cmdline /proc/$PPID/cmdline | tr '\\0' ' '
printf '\\nrest of input:'; cat
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name, text in (("sudo", SUDO), ("docker", DOCKER)):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def run(programs: Path, command: str, stdin: bytes) -> str:
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    ended = subprocess.run(["sh", "-c", command], input=stdin, env=environment, capture_output=True, check=True)
    return ended.stdout.decode()


def test_the_password_is_in_the_environment_and_in_no_process_s_arguments(programs: Path) -> None:
    command = installer.docker_run("image:1", ["install", "--san", "a b"], environment="UCP_ADMIN_PASSWORD")
    output = run(programs, command, installer.secret_line(SECRET) + b"more\n")
    assert f"variable:{SECRET}\n" in output
    assert SECRET not in output.split("arguments of all:")[1].split("\nrest of input:")[0]
    assert "p4ss" not in command
    assert output.endswith("rest of input:more\n"), "the shell took more than the first line"
    words = [line.removeprefix("argument:") for line in output.splitlines() if line.startswith("argument:")]
    assert words == ["container", "run", "--rm", "-e", "UCP_ADMIN_PASSWORD", "image:1", "install", "--san", "a b"]


def test_without_input_nothing_is_run(programs: Path) -> None:
    command = installer.docker_run("image:1", ["install"], environment="UCP_ADMIN_PASSWORD")
    with pytest.raises(subprocess.CalledProcessError):
        run(programs, command, b"")


def test_a_password_of_several_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="several lines"):
        installer.secret_line("one\ntwo")


def test_logs_of_every_format_are_read() -> None:
    lines = installer.parse_log(
        'time="2026-11-24T05:00:00Z" level=info msg="Installing \\"UCP\\""\n'
        'time="2026-11-24T05:00:01Z" level=info msg=Done\n'
        "INFO[0007] Generating UCP Client Root CA\n"
        "FATA[0658] reconcile exited with non-zero status: 1\n"
        "\nStep 3 of 39: [Deploy RethinkDB Server]\n"
    )
    assert [(line.level, line.message) for line in lines] == [
        ("info", 'Installing "UCP"'),
        ("info", "Done"),
        ("info", "Generating UCP Client Root CA"),
        ("fatal", "reconcile exited with non-zero status: 1"),
        ("", "Step 3 of 39: [Deploy RethinkDB Server]"),
    ]


def test_a_failure_tells_its_phase_its_reason_and_what_came_before() -> None:
    log = "INFO[0001] Step 4 of 39: [Deploy RethinkDB Server]\nWARN[0002] slow\nFATA[0007] no space left on device\n"
    failure = installer.judge(Result(1, "", log))
    assert failure is not None
    assert (failure.phase, failure.reason) == ("Deploy RethinkDB Server", "no space left on device")
    assert failure.last_lines == ("Step 4 of 39: [Deploy RethinkDB Server]", "slow")


def test_a_fatal_line_is_a_failure_whatever_the_exit_status_says() -> None:
    assert installer.judge(Result(0, "", "FATA[0001] no\n")) is not None
    assert installer.judge(Result(0, "INFO[0001] Installation completed\n", "")) is None
    silent = installer.judge(Result(137, "", ""))
    assert silent is not None
    assert silent.reason == "exit status 137, and no output"
    assert silent.phase == "its beginning"


def test_an_image_list_is_told_from_the_log_around_it() -> None:
    output = "INFO[0000] the images:\nmirantis/ucp-agent:3.8.12\nregistry.example.com:5000/a/b:1.0-x\nno-tag\n"
    assert installer.parse_images(output) == ("mirantis/ucp-agent:3.8.12", "registry.example.com:5000/a/b:1.0-x")
