"""Plain, JSON and quiet reports: what a pipe gets."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from dockeree.errors import AwsError
from dockeree.logfile import LogFile
from dockeree.redaction import register_secret
from dockeree.workflow_report import HEARTBEAT_SECONDS, JsonReport, PlainReport, QuietReport, WorkflowReport

STEPS = [
    ("network/CreateVpc", "Create the VPC", ()),
    ("managers/Launch", "Launch three managers", ("network/CreateVpc",)),
    ("swarm/Init", "Initialise the swarm", ("managers/Launch",)),
]


class FakeClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log_file(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path, "up")


def tell_a_story(report: WorkflowReport, clock: FakeClock) -> None:
    report.say("demo in us-east-1")
    report.plan(STEPS)
    report.started("network/CreateVpc")
    clock.sleep(2)
    report.finished("network/CreateVpc", 2.0, True)
    report.started("managers/Launch")
    clock.sleep(6)
    report.detail("managers/Launch", "manager-a is\x1b[31m pending")
    report.detail("managers/Launch", "manager-a is\x1b[31m pending")
    clock.sleep(1)
    report.detail("managers/Launch", "manager-b is pending")
    clock.sleep(60)
    report.failed("managers/Launch", 67.0, AwsError("no capacity in us-east-1a\nmore words"))
    report.skipped("swarm/Init", "managers/Launch")
    report.warn("2 volumes are not encrypted")
    report.close()


def test_a_pipe_gets_a_line_an_event_and_no_escapes(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    tell_a_story(PlainReport(log_file, stream, clock), clock)
    assert stream.getvalue().splitlines() == [
        "demo in us-east-1",
        "3 steps",
        "    0s . network: Create the VPC",
        "    2s + network: Create the VPC: done, 2s",
        "    2s . managers: Launch three managers",
        "    8s . managers: Launch three managers: manager-a is?[31m pending",
        " 1m09s x managers: Launch three managers: no capacity in us-east-1a",
        " 1m09s - swarm: Initialise the swarm: not started: managers failed",
        "warning: 2 volumes are not encrypted",
    ]


def test_the_log_holds_what_the_screen_leaves_out(log_file: LogFile, clock: FakeClock) -> None:
    tell_a_story(QuietReport(log_file, io.StringIO(), clock), clock)
    assert log_file.path is not None
    text = log_file.path.read_text()
    for words in (
        "plan managers/Launch: Launch three managers (after network/CreateVpc)",
        "started network/CreateVpc",
        "finished network/CreateVpc in 2.0 s, changed",
        "managers/Launch: manager-b is pending",
        "failed managers/Launch after 67.0 s",
        "skipped swarm/Init because of managers/Launch",
        "warning: 2 volumes",
        "demo in us-east-1",
    ):
        assert words in text


def test_a_pipe_shows_a_sign_of_life_at_least_once_a_minute(log_file: LogFile, clock: FakeClock) -> None:
    assert HEARTBEAT_SECONDS * 7 / 6 <= 60
    stream = io.StringIO()
    report = PlainReport(log_file, stream, clock)
    report.plan(STEPS)
    report.started("managers/Launch")
    clock.sleep(2)
    report.detail("managers/Launch", "manager-a is pending")
    before = stream.getvalue()
    report.beat()
    assert stream.getvalue() == before, "something was said a moment ago"
    clock.sleep(HEARTBEAT_SECONDS)
    report.beat()
    report.close()
    assert stream.getvalue()[len(before) :] == (
        "   32s . managers: Launch three managers: manager-a is pending (since 32s)\n"
    )


def test_typical_time_is_said_where_it_is_known(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    report = PlainReport(log_file, stream, clock)
    report.typical_seconds = 648.0
    report.plan(STEPS)
    report.close()
    assert stream.getvalue() == "3 steps, typical 10m48s\n"


def test_after_an_interruption_nothing_is_blamed_on_a_step(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    report = PlainReport(log_file, stream, clock)
    report.plan(STEPS)
    report.started("network/CreateVpc")
    report.skipped("network/CreateVpc", "the interruption")
    report.skipped("managers/Launch", "network/CreateVpc")
    report.close()
    assert stream.getvalue().splitlines()[-2:] == [
        "    0s - network: Create the VPC: stopped: interrupted",
        "    0s - managers: Launch three managers: not started: interrupted",
    ]


def test_only_a_run_that_went_through_and_changed_something_has_a_duration(log_file: LogFile, clock: FakeClock) -> None:
    report = QuietReport(log_file, io.StringIO(), clock)
    assert report.changing_seconds() is None
    report.plan(STEPS[:2])
    for number, (key, _, _) in enumerate(STEPS[:2]):
        assert report.changing_seconds() is None
        report.started(key)
        clock.sleep(5)
        report.finished(key, 5.0, number == 0)
    assert report.changing_seconds() == 10
    report.plan(STEPS[:1])
    report.started("network/CreateVpc")
    report.finished("network/CreateVpc", 1.0, False)
    assert report.changing_seconds() is None


def test_an_unchanged_step_says_so(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    report = PlainReport(log_file, stream, clock)
    report.plan(STEPS)
    report.started("network/CreateVpc")
    report.finished("network/CreateVpc", 0.2, False)
    report.close()
    assert stream.getvalue().splitlines()[-1] == "    0s + network: Create the VPC: unchanged, 0s"


def test_json_lines_begin_with_the_version(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    tell_a_story(JsonReport(log_file, stream, clock), clock)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert events[0]["type"] == "version"
    assert events[0]["format_version"] == 1
    assert [event["type"] for event in events[1:]] == [
        "message",
        "plan",
        "started",
        "finished",
        "started",
        "detail",
        "detail",
        "failed",
        "skipped",
        "message",
    ]
    assert events[2]["steps"][1] == {
        "key": "managers/Launch",
        "title": "Launch three managers",
        "after": ["network/CreateVpc"],
    }
    assert events[4] == {
        "type": "finished",
        "key": "network/CreateVpc",
        "seconds": 2.0,
        "changed": True,
        "problem": None,
    }


def test_quiet_says_warnings_alone(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    tell_a_story(QuietReport(log_file, stream, clock), clock)
    assert stream.getvalue() == "warning: 2 volumes are not encrypted\n"


def test_secrets_are_on_no_screen(log_file: LogFile, clock: FakeClock) -> None:
    register_secret("hunter2-hunter2")
    stream = io.StringIO()
    report = PlainReport(log_file, stream, clock)
    report.is_verbose = True
    report.plan(STEPS)
    report.started("network/CreateVpc")
    report.log("password hunter2-hunter2")
    report.say("password hunter2-hunter2")
    clock.sleep(10)
    report.detail("network/CreateVpc", "password hunter2-hunter2")
    report.failed("network/CreateVpc", 1.0, AwsError("password hunter2-hunter2"))
    report.close()
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("password ***") >= 4


def test_a_detail_outside_of_any_step_goes_to_the_log_alone(log_file: LogFile, clock: FakeClock) -> None:
    stream = io.StringIO()
    report = PlainReport(log_file, stream, clock)
    report.detail("", "draining worker-1")
    assert stream.getvalue() == ""
    assert log_file.path is not None
    assert "draining worker-1" in log_file.path.read_text()


def test_where_it_stands(log_file: LogFile, clock: FakeClock) -> None:
    report = QuietReport(log_file, io.StringIO(), clock)
    assert report.standing() == ""
    tell_a_story(report, clock)
    assert report.standing() == "1 of 3 steps done"


@pytest.mark.parametrize("kind", [PlainReport, JsonReport, QuietReport])
def test_a_reader_that_goes_away_does_not_end_the_work(log_file: LogFile, clock: FakeClock, kind: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        report = kind(log_file, stream, clock)
        tell_a_story(report, clock)
        tell_a_story(report, clock)
    assert report.standing() == "1 of 3 steps done"
    assert log_file.path is not None
    assert log_file.path.read_text().count("the reader of the output is gone") == 1
