"""The log of a run, and the net that keeps secrets out of it."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from dockeree.logfile import LogFile, log_folder
from dockeree.redaction import redact, register_secret


def test_every_line_has_its_time_and_the_file_is_private(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "demo", "up")
    log.write("first\nsecond")
    log.write("third")
    log.close()
    assert log.path is not None
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d-\d\d-\d\d-up\.log", log.path.name)
    lines = log.path.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["first", "second", "third"]
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in lines)
    assert log.line_count == 3


def test_runs_are_kept_also_when_they_begin_in_the_same_second(tmp_path: Path) -> None:
    logs = [LogFile(tmp_path, "up") for _ in range(3)]
    for number, log in enumerate(logs):
        log.write(f"run {number}")
        log.close()
    assert len({log.path for log in logs}) == 3
    assert sorted(path.read_text().split(" ", 1)[1] for path in tmp_path.iterdir()) == ["run 0\n", "run 1\n", "run 2\n"]


def test_a_deferred_log_writes_nothing_until_it_is_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "demo", "status", deferred=True)
    log.write("asked")
    assert log.path is None
    assert list(tmp_path.iterdir()) == []
    path = log.keep()
    log.write("failed")
    log.close()
    assert [line.split(" ", 1)[1] for line in path.read_text().splitlines()] == ["asked", "failed"]


def test_threads_do_not_mix_lines(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "up")
    threads = [threading.Thread(target=log.write, args=(f"{number}" * 200,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert log.path is not None
    texts = {line.split(" ", 1)[1] for line in log.path.read_text().splitlines()}
    assert texts == {f"{number}" * 200 for number in range(10)}


def test_logs_lie_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert log_folder("demo") == tmp_path / "dockeree" / "demo"


def test_secrets_never_reach_the_log(tmp_path: Path) -> None:
    register_secret("correct horse battery")
    token = "SWMTKN-1-" + "0a" * 25 + "-" + "b1" * 12
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
    log = LogFile(tmp_path, "up")
    log.write(f"password correct horse battery, join {token} now, key {key} end")
    log.close()
    assert log.path is not None
    assert log.path.read_text().split(" ", 1)[1] == "password ***, join *** now, key *** end\n"


def test_of_two_secrets_that_overlap_the_longer_goes_first() -> None:
    register_secret("overlapping")
    register_secret("overlapping-secret")
    assert redact("an overlapping-secret") == "an ***"


def test_short_words_are_no_secrets() -> None:
    register_secret("up")
    assert redact("dockeree up") == "dockeree up"


def test_a_private_key_that_is_cut_off_is_hidden_too() -> None:
    assert redact("x -----BEGIN RSA PRIVATE KEY-----\nMIIE") == "x ***"
