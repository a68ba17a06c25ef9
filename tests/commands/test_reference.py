"""Generated documentation is what the schema says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dockeree.commands import reference


def test_generated_files_are_not_stale() -> None:
    assert reference.stale_files() == [], "python -m dockeree.commands.reference"


def test_a_stale_file_is_found_and_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    runner = CliRunner()
    assert runner.invoke(reference.main, ["--check"]).exit_code == 1
    assert list(tmp_path.iterdir()) == []
    assert runner.invoke(reference.main, []).exit_code == 0
    assert runner.invoke(reference.main, ["--check"]).exit_code == 0
    (tmp_path / "configuration.md").write_text("old")
    assert runner.invoke(reference.main, ["--check"]).exit_code == 1


def test_every_key_is_described() -> None:
    text = reference.reference()
    for key in ("name", "admin_cidrs", "network.vpc_cidr", "workers.count", "apps.ports", "dns.hosted_zone_id"):
        assert f"| `{key}` |" in text
    assert "|  |" not in text, "a key without a description"
