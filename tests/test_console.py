"""The live picture on real terminals (pexpect) of several sizes, as an emulator (pyte) shows them."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pyte
import pytest

from dockeree.console import Screen, TerminalReport
from dockeree.logfile import LogFile

pytestmark = pytest.mark.alone

HERE = Path(__file__).parent


@dataclass
class Seen:
    """What a terminal showed: snapshots while it ran, and in the end all lines, scrolled away ones first."""

    pictures: list[list[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    raw: bytes = b""


def watch(width: int, height: int, *arguments: str, **environment: str) -> Seen:
    """Run the story on a terminal of that size, looking after each read."""
    child = pexpect.spawn(
        sys.executable,
        [str(HERE / "support" / "terminal_story.py"), *arguments],
        dimensions=(height, width),
        env=os.environ
        | {"PYTHONPATH": str(HERE.parent), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
        | environment,
        timeout=30,
    )
    screen = pyte.HistoryScreen(width, height, history=2000)
    stream = pyte.ByteStream(screen)
    seen = Seen()
    while True:
        try:
            data = child.read_nonblocking(65536, timeout=30)
        except pexpect.EOF:
            break
        seen.raw += data
        stream.feed(data)
        seen.pictures.append([line.rstrip() for line in screen.display])
    child.close()
    scrolled = ["".join(line[column].data for column in range(width)).rstrip() for line in screen.history.top]
    seen.lines = [line for line in scrolled + [line.rstrip() for line in screen.display] if line]
    assert child.exitstatus == 0, seen.lines
    return seen


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10)])
def test_finished_groups_scroll_up_once_each_and_the_picture_leaves_no_trace(
    tmp_path: Path, width: int, height: int
) -> None:
    seen = watch(width, height, str(tmp_path), "14", "-1")
    finished, end = seen.lines[:-1], seen.lines[-1]
    assert end == "THE END"
    assert sorted(line.split()[1] for line in finished) == sorted(f"group{n}" for n in range(14))
    assert all(line.startswith("✓ ") for line in finished)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10)])
def test_running_groups_stand_below_finished_ones_and_waiting_ones_say_for_what(
    tmp_path: Path, width: int, height: int
) -> None:
    seen = watch(width, height, str(tmp_path), "14", "-1")
    full = [p for p in seen.pictures if any("Ctrl-C stops safely" in line for line in p)]
    assert full
    for picture in full:
        lines = [line for line in picture if line]
        header = next(number for number, line in enumerate(lines) if "Ctrl-C stops safely" in line)
        assert all(line.startswith("✓") for line in lines[:header])
        assert not any(line.startswith("✓") for line in lines[header:])
    assert any("waits for group0" in line for picture in full for line in picture)
    if height == 10:
        assert any(line.startswith("… ") and line.endswith(" more") for picture in full for line in picture)


def test_a_failure_and_what_it_kept_from_starting_are_named(tmp_path: Path) -> None:
    seen = watch(80, 24, str(tmp_path), "7", "0")
    assert "✗ group0  Do thing 0: no capacity" in seen.lines
    assert "· group3  not started: group0 failed" in seen.lines
    assert "· group6  not started: group0 failed" in seen.lines
    assert len(seen.lines) == 8


def test_what_a_step_says_never_clears_the_screen(tmp_path: Path) -> None:
    seen = watch(80, 24, str(tmp_path), "3", "-1")
    assert b"\x1b[2J" not in seen.raw
    assert seen.raw.count(b"\x1b[?25l") == seen.raw.count(b"\x1b[?25h") > 0, "the cursor is shown again"


def test_no_color_means_no_colours(tmp_path: Path) -> None:
    coloured = watch(80, 24, str(tmp_path), "3", "-1")
    assert b"\x1b[32m" in coloured.raw
    plain = watch(80, 24, str(tmp_path), "3", "-1", NO_COLOR="1")
    assert b"\x1b[3" not in plain.raw
    assert b"\x1b[1m" not in plain.raw


def test_a_terminal_that_knows_ascii_alone_gets_ascii(tmp_path: Path) -> None:
    seen = watch(80, 24, str(tmp_path), "3", "-1", PYTHONIOENCODING="ascii")
    seen.raw.decode("ascii")
    assert sum(line.startswith("+ group") for line in seen.lines) == 3


def screen_of_text(encoding: str = "utf-8") -> tuple[Screen, io.BytesIO]:
    buffer = io.BytesIO()
    return Screen(io.TextIOWrapper(buffer, encoding=encoding, write_through=True)), buffer


def test_tables_have_no_borders_and_a_record_a_line() -> None:
    screen, buffer = screen_of_text()
    screen.table(["NODE", "ZONE"], [["manager-a", "us-east-1a"], ["w", "a very long zone " * 10]], lambda cell: "done")
    lines = buffer.getvalue().decode().splitlines()
    assert lines[:2] == ["NODE       ZONE", "manager-a  us-east-1a"]
    assert len(lines) == 3
    assert lines[2] == "w          " + ("a very long zone " * 10).strip()


def test_fields_are_indented_below_their_first_line() -> None:
    screen, buffer = screen_of_text()
    screen.fields([("fix", "one\ntwo"), ("state", "three")], indent="  ")
    assert buffer.getvalue().decode().splitlines() == ["  fix    one", "         two", "  state  three"]


def test_brackets_and_numbers_are_left_as_they_are() -> None:
    screen, buffer = screen_of_text()
    screen.line("[red]not markup[/red] 127.0.0.1 :smile:")
    assert buffer.getvalue().decode() == "[red]not markup[/red] 127.0.0.1 :smile:\n"


def test_closing_twice_and_before_any_plan_is_fine(tmp_path: Path) -> None:
    screen, _ = screen_of_text()
    report = TerminalReport(LogFile(tmp_path, "up"), screen)
    report.close()
    report.plan([("a/A", "Do it", ())])
    report.close()
    report.close()
