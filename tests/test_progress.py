"""The board and its picture: what is where on the screen, and never more than fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockeree.progress import ASCII, UNICODE, Board, Frame, cells, duration, printable, shortened, symbols_for

STEPS = [
    ("network/CreateVpc", "Create the VPC", ()),
    ("network/CreateSubnets", "Create three public subnets", ("network/CreateVpc",)),
    ("managers/LaunchManagers", "Launch three managers", ("network/CreateSubnets",)),
    ("workers/CreateGroup", "Create the workers' group", ("network/CreateSubnets", "managers/LaunchManagers")),
    ("swarm/InitSwarm", "Initialise the swarm", ("managers/LaunchManagers",)),
]


@pytest.fixture
def board() -> Board:
    return Board.of(STEPS, 100.0)


def put(board: Board, key: str, state: str, *, began: float = 100.0, ended: float = 0.0, detail: str = "") -> None:
    step = board.steps[key]
    step.state, step.began, step.ended, step.detail = state, began, ended, detail  # type: ignore[assignment]


def test_a_group_waits_for_other_groups_by_name(board: Board) -> None:
    assert board.group("workers", 100).text == "waits for network, managers"
    put(board, "network/CreateVpc", "done")
    put(board, "network/CreateSubnets", "done")
    assert board.group("workers", 100).text == "waits for managers"
    assert board.group("managers", 100).text == "about to start"


def test_a_group_runs_until_its_last_step_is_done(board: Board) -> None:
    put(board, "network/CreateVpc", "done", began=100, ended=103)
    row = board.group("network", 104)
    assert (row.state, row.seconds) == ("waiting", 4)
    put(board, "network/CreateSubnets", "running", began=103, detail="subnet-b")
    row = board.group("network", 110)
    assert (row.state, row.text, row.seconds) == ("running", "subnet-b", 10)
    put(board, "network/CreateSubnets", "done", began=103, ended=112)
    row = board.group("network", 200)
    assert (row.state, row.text, row.seconds) == ("done", "nothing to change", 12)
    board.steps["network/CreateSubnets"].changed = True
    assert board.group("network", 200).text == ""


def test_the_culprit_of_a_skipped_step_is_found_through_others(board: Board) -> None:
    put(board, "network/CreateSubnets", "failed")
    culprit = board.failed_before("swarm/InitSwarm")
    assert culprit is not None
    assert culprit.key == "network/CreateSubnets"
    assert board.failed_before("network/CreateSubnets") is None


def test_the_picture_has_running_groups_above_waiting_ones(board: Board) -> None:
    put(board, "network/CreateVpc", "done", ended=101)
    put(board, "network/CreateSubnets", "done", ended=102)
    put(board, "managers/LaunchManagers", "running", detail="manager-a is pending")
    lines = [str(line) for line in Frame(80, 24, UNICODE).lines(board, 161.0)]
    assert lines == [
        "2/5  1m01s                                           Ctrl-C stops safely",
        f"{UNICODE.spinner[8]} managers  manager-a is pending   1m01s",
        "· workers   waits for managers",
        "· swarm     waits for managers",
    ]
    assert str(Frame(80, 24, UNICODE).finished(board, "network", 161.0)) == "✓ network       2s  nothing to change"


def test_typical_time_is_shown_where_it_is_known(board: Board) -> None:
    assert str(Frame(80, 24, UNICODE, typical_seconds=660.0).lines(board, 412.0)[0]).startswith(
        "0/5  5m12s, typical 11m00s"
    )


@settings(deadline=None)
@given(
    groups=st.integers(1, 40),
    running=st.integers(0, 40),
    width=st.integers(20, 120),
    height=st.integers(4, 40),
    detail=st.text("aé日 \t\n\x1b[", max_size=150),
)
def test_no_picture_is_larger_than_its_screen(groups: int, running: int, width: int, height: int, detail: str) -> None:
    board = Board.of([(f"group-{n}/Step", "Do it", (f"group-{n - 1}/Step",) if n else ()) for n in range(groups)], 0.0)
    for number in range(min(running, groups)):
        put(board, f"group-{number}/Step", "running", began=0, detail=detail)
    lines = Frame(width, height, UNICODE).lines(board, 3725.0)
    assert len(lines) < height
    assert all(cells(str(line)) < width for line in lines)
    assert all(str(line).isprintable() for line in lines)
    shown = len(lines) - 1
    if shown < groups:
        assert str(lines[-1]) == f"… {groups - shown + 1} more"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (3.6, "4s"), (59.6, "1m00s"), (118, "1m58s"), (3600, "1h00m"), (7530, "2h05m")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_a_node_says_cannot_steer_the_terminal() -> None:
    assert printable("\x1b[2Jgone\r\nnext\x07") == "?[2Jgone next?"
    assert shortened("a\x1b]0;title\x07b", 80, "…") == "a?]0;title?b"


def test_a_wide_character_is_not_cut_in_half() -> None:
    assert shortened("日本語の文", 7, "…") == "日本語…"
    assert cells(shortened("日本語の文", 6, "…")) <= 6


def test_streams_that_cannot_write_the_marks_get_ascii() -> None:
    assert symbols_for("utf-8") is UNICODE
    assert symbols_for("ascii") is ASCII
    assert symbols_for("iso-8859-1") is ASCII
    assert symbols_for(None) is ASCII
    "".join(vars(ASCII).values()).encode("ascii")
