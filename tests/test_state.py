"""The address book: whole at every moment, private, locked by one command at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from dockeree.errors import StateLocked
from dockeree.state import State, StateError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.open(tmp_path, "demo")


def claim(state: State, cluster_id: str = "0a1b2c3d") -> None:
    state.record_cluster(
        cluster_id=cluster_id, region="us-east-1", account="123456789012", created_at="2026-11-24T03:00:00+00:00"
    )


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_opening_writes_nothing(tmp_path: Path) -> None:
    assert not State.open(tmp_path, "demo").exists
    assert list(tmp_path.iterdir()) == []


def test_everything_is_read_back(tmp_path: Path, state: State) -> None:
    claim(state)
    state.put("vpc", "vpc-1")
    state.put("gone", "x")
    state.forget("gone")
    state.decide("ami", "ami-0123")
    token = state.token_for("manager-a")
    again = State.open(tmp_path, "demo")
    assert (again.cluster_id, again.region, again.account) == ("0a1b2c3d", "us-east-1", "123456789012")
    assert again.created_at.startswith("2026")
    assert again.ids == {"vpc": "vpc-1"}
    assert (again.get("vpc"), again.get("gone")) == ("vpc-1", None)
    assert (again.decision("ami"), again.decision("zones")) == ("ami-0123", None)
    assert again.tokens == {"manager-a": token}


@pytest.mark.parametrize("cluster_id", ["12345678", "00000017", "1e234567", "0x123456", "12:34:56"])
def test_ids_that_look_like_numbers_stay_text(tmp_path: Path, state: State, cluster_id: str) -> None:
    claim(state, cluster_id)
    assert State.open(tmp_path, "demo").cluster_id == cluster_id


def test_files_are_the_operators_alone(tmp_path: Path, state: State) -> None:
    before = os.umask(0)
    try:
        claim(state)
        with state.lock("dockeree up"):
            modes = {path.name: mode(path) for path in state.folder.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"state.yaml": 0o600, "lock": 0o600, "lock-owner": 0o600}
    assert mode(state.folder) == mode(state.folder.parent) == 0o700
    assert state.ssh_key_path.parent == state.known_hosts_path.parent == state.lock_path.parent == state.folder


def test_a_token_is_on_disk_before_it_is_used_and_stays_until_replaced(tmp_path: Path, state: State) -> None:
    first = state.token_for("manager-a")
    assert State.open(tmp_path, "demo").token_for("manager-a") == first
    assert state.token_for("manager-b") != first
    second = state.new_token("manager-a")
    assert second != first
    assert State.open(tmp_path, "demo").token_for("manager-a") == second
    assert len(first) <= 64, "EC2's client tokens have 64 characters at most"


def test_another_cluster_of_the_same_name_takes_nothing_over(state: State) -> None:
    claim(state)
    state.put("vpc", "vpc-1")
    claim(state)
    assert state.ids == {"vpc": "vpc-1"}
    claim(state, "ffffffff")
    assert (state.ids, state.decisions, state.tokens) == ({}, {}, {})


def test_threads_lose_no_change(tmp_path: Path, state: State) -> None:
    def put(number: int) -> None:
        state.put(f"key-{number}", str(number))
        state.token_for(f"token-{number % 3}")

    threads = [threading.Thread(target=put, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = State.open(tmp_path, "demo")
    assert again.ids == {f"key-{number}": str(number) for number in range(24)}
    assert len(again.tokens) == 3


def test_a_kill_between_writing_and_renaming_leaves_the_state_before(tmp_path: Path, state: State) -> None:
    claim(state)
    state.put("vpc", "before")
    code = """
import os, pathlib, signal, sys
from dockeree.state import State
pathlib.Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
State.open(pathlib.Path(sys.argv[1]), "demo").put("vpc", "after")
"""
    process = child(code, str(tmp_path))
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert (state.folder / "state.yaml.new").exists(), "it was killed after the new file was written"
    again = State.open(tmp_path, "demo")
    assert again.get("vpc") == "before"
    again.put("vpc", "after")
    assert State.open(tmp_path, "demo").get("vpc") == "after"
    assert not (state.folder / "state.yaml.new").exists()


def test_a_failed_write_leaves_memory_and_disk_as_they_were(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(state)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        state.put("vpc", "vpc-1")
    assert state.get("vpc") is None
    monkeypatch.undo()
    state.put("vpc", "vpc-1")
    assert yaml.safe_load(state.path.read_text())["ids"] == {"vpc": "vpc-1"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no format_version"),
        ("format_version: [1", "parsing"),
        ("format_version: 1\nname: demo\nids: 3\n", "ids"),
        ("format_version: 1\nname: demo\nids: {vpc: 3}\n", r"ids\.vpc"),
        ("format_version: 1\nname: other\n", "state of other"),
        ("format_version: 99\nname: demo\n", "written by a newer dockeree"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / ".dockeree" / "demo" / "state.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(StateError, match=reason) as caught:
        State.open(tmp_path, "demo")
    assert "move it away and run `dockeree up`" in caught.value.hint
    assert f"mv {path}" in caught.value.hint
    assert path.read_text() == text


def test_remove_takes_dockerees_files_and_no_others(tmp_path: Path, state: State) -> None:
    claim(state)
    with state.lock("dockeree destroy"):
        state.ssh_key_path.write_text("key")
        state.known_hosts_path.write_text("host")
        (state.folder / "known_hosts.new").write_text("half")
        state.remove()
    assert list(tmp_path.iterdir()) == []
    claim(state)
    (state.folder / "notes.txt").write_text("mine")
    state.remove()
    assert [path.name for path in state.folder.iterdir()] == ["notes.txt"]


def test_a_second_command_is_told_who_works(tmp_path: Path, state: State) -> None:
    other = State.open(tmp_path, "demo")
    with state.lock("dockeree up -c config.yaml"), pytest.raises(StateLocked) as caught, other.lock("dockeree destroy"):
        pass
    assert f"process {os.getpid()}" in caught.value.message
    assert "dockeree up -c config.yaml" in caught.value.message
    assert " since 20" in caught.value.message
    assert caught.value.hint
    with other.lock("dockeree destroy"):
        owner = json.loads((state.folder / "lock-owner").read_text())
        assert set(owner) == {"who", "host", "pid", "since", "command"}


def test_a_lock_ends_with_its_holder_killed(tmp_path: Path, state: State) -> None:
    code = """
import pathlib, sys
from dockeree.state import State
with State.open(pathlib.Path(sys.argv[1]), "demo").lock("dockeree up"):
    print("held", flush=True)
    sys.stdin.read()
"""
    process = child(code, str(tmp_path))
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StateLocked, match=f"process {process.pid}"), state.lock("dockeree up"):
        pass
    process.kill()
    process.communicate(timeout=30)
    with state.lock("dockeree up"):
        assert str(os.getpid()) in (state.folder / "lock-owner").read_text()


def test_a_lock_on_nothing_leaves_nothing(tmp_path: Path, state: State) -> None:
    with state.lock("dockeree destroy"):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError), state.lock("dockeree destroy"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_many_commands_at_once_never_work_together(tmp_path: Path) -> None:
    """Each takes the lock, removes the folder with it, and lets go: the file under the lock changes all the time."""
    code = """
import pathlib, sys
from dockeree.errors import StateLocked
from dockeree.state import State
folder = pathlib.Path(sys.argv[1])
held = 0
while held < 8:
    try:
        with State.open(folder, "demo").lock("dockeree up"):
            (folder / "inside").touch(exist_ok=False)
            (folder / "inside").unlink()
            held += 1
    except StateLocked:
        pass
"""
    processes = [child(code, str(tmp_path)) for _ in range(3)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
