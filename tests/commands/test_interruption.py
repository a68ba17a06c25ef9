"""Ctrl-C: the first lets the calls under way end and says how to continue, the second leaves at once; both are 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command_line import MINIMAL

from dockeree.state import State

TESTS = Path(__file__).parent.parent


@contextmanager
def running_up(folder: Path, manner: str, command: str = "up") -> Iterator[subprocess.Popen[str]]:
    """`dockeree up` in the middle of its work."""
    (folder / "config.yaml").write_text(MINIMAL)
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "support" / "interrupted_up.py"), manner, command],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONIOENCODING": "utf-8",
        },
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stderr is not None
    text = ""
    for line in process.stderr:
        text += line
        if words in line:
            return text
    raise AssertionError(f"{words!r} never came: {text}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_work_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with running_up(tmp_path, "polite") as process:
        read_until(process, "READY")
        process.send_signal(number)
        assert process.stderr is not None
        rest = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "Stopping: finishing the calls under way. Ctrl-C again leaves at once." in rest
    assert "! up was interrupted" in rest
    assert "state  1 of 2 steps done, nothing removed" in rest
    assert "fix    dockeree" in rest
    assert "(continues)" in rest
    assert State.open(tmp_path, "demo").get("vpc") == "vpc-1"
    with State.open(tmp_path, "demo").lock("dockeree up"):
        pass


def test_the_second_signal_leaves_at_once_and_the_state_is_whole(tmp_path: Path) -> None:
    with running_up(tmp_path, "deaf") as process:
        read_until(process, "READY")
        process.send_signal(signal.SIGINT)
        read_until(process, "Stopping")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        rest = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "Left at once. To continue: dockeree" in rest
    assert State.open(tmp_path, "demo").get("vpc") == "vpc-1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_look_is_left_at_once_whatever_it_waits_for(tmp_path: Path, number: signal.Signals) -> None:
    with running_up(tmp_path, "polite", "status") as process:
        read_until(process, "READY")
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read() == "Left at once.\n"
        assert process.wait(timeout=10) == 130
