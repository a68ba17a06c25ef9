"""The kernel's limits: raised for the first lab, set back after the last one."""

from pathlib import Path

import pytest

from dockeree.lab.nodes.machines import limits


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "max_user_instances"
    path.write_text("128\n")
    monkeypatch.setattr(limits, "NEEDED", {str(path): 8192})
    monkeypatch.setattr(limits, "BEFORE", tmp_path / "before")
    monkeypatch.setattr(limits, "hierarchies", lambda: [(tmp_path / "cgroup", "cgroup2")])
    (tmp_path / "cgroup").mkdir()
    return path


def test_raised_once_and_set_back_by_the_last_lab(limit: Path, tmp_path: Path) -> None:
    limits.raise_limits()
    limits.raise_limits()
    assert limit.read_text() == "8192"
    other = tmp_path / "cgroup/dockeree-dffffff"
    other.mkdir()
    limits.restore_limits("dockeree-d000000")
    assert limit.read_text() == "8192"
    other.rmdir()
    limits.restore_limits("dockeree-d000000")
    assert limit.read_text() == "128"
    assert not limits.BEFORE.exists()
    limits.restore_limits("dockeree-d000000")


def test_a_limit_high_enough_is_left_alone(limit: Path) -> None:
    limit.write_text("65536")
    limits.raise_limits()
    limits.restore_limits("dockeree-d000000")
    assert limit.read_text() == "65536"


def test_somebody_elses_change_stays(limit: Path) -> None:
    limits.raise_limits()
    limit.write_text("9000")
    limits.restore_limits("dockeree-d000000")
    assert limit.read_text() == "9000"
