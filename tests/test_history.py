"""What earlier runs took."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockeree.history import KEPT_RUNS, History


def test_typical_is_the_median_of_a_commands_runs(tmp_path: Path) -> None:
    history = History(tmp_path / "demo")
    assert history.typical_seconds("up") is None
    for seconds in (600.0, 660.0, 4000.0):
        history.add("up", seconds)
    history.add("destroy", 90.0)
    assert History(tmp_path / "demo").typical_seconds("up") == 660.0
    assert history.typical_seconds("destroy") == 90.0


def test_old_runs_are_forgotten(tmp_path: Path) -> None:
    history = History(tmp_path)
    for _ in range(KEPT_RUNS):
        history.add("up", 1000.0)
    for _ in range(KEPT_RUNS):
        history.add("up", 10.0)
    assert history.typical_seconds("up") == 10.0


@pytest.mark.parametrize("text", ["", "[]", '{"up": 3}', '{"up": ["x"]}', "\x00"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "durations.json").write_text(text)
    history = History(tmp_path)
    assert history.typical_seconds("up") is None
    history.add("up", 5.0)
    assert history.typical_seconds("up") == 5.0
