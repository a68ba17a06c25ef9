"""Flags as Go's flag package reads them, and log lines with and without a terminal."""

from __future__ import annotations

import io
import json
import re

import pytest

from dockeree.lab.standins.program.command_line import Flag, UsageError, parse
from dockeree.lab.standins.program.log import Log
from dockeree.lab.standins.program.release import Release

FLAGS = (
    Flag("debug", "switch", short="D"),
    Flag("keep", "switch", default="true"),
    Flag("port", "number", default="443"),
    Flag("name", environment="NAME"),
    Flag("san", "list", environment="SANS"),
)


@pytest.mark.parametrize("words", [["-D"], ["--debug"], ["-debug"], ["--debug=true"], ["--D"]])
def test_one_dash_or_two_and_the_short_name(words: list[str]) -> None:
    assert parse(FLAGS, words, {}).switch("debug")


def test_values_after_a_space_or_an_equals_sign() -> None:
    values = parse(FLAGS, ["--port", "4443", "--name=a=b", "--keep=false", "--san", "x", "--san", "y"], {})
    assert (values.number("port"), values.text("name"), values.switch("keep")) == (4443, "a=b", False)
    assert values.texts("san") == ["x", "y"]


def test_the_environment_counts_where_the_flag_is_not_given() -> None:
    values = parse(FLAGS, [], {"NAME": "n", "SANS": "x, y"})
    assert (values.text("name"), values.texts("san")) == ("n", ["x", "y"])
    assert parse(FLAGS, ["--name", "m"], {"NAME": "n"}).text("name") == "m"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--other"], "flag provided but not defined: -other"),
        (["--name"], "flag needs an argument: -name"),
        (["--port", "http"], 'invalid value "http" for flag -port'),
        (["--debug=maybe"], 'invalid boolean value "maybe"'),
        (["word"], "unexpected argument: word"),
        (["--debug", "true"], "unexpected argument: true"),
    ],
)
def test_what_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse(FLAGS, words, {})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_log_lines_on_a_terminal() -> None:
    stream = Terminal()
    Log(stream).fatal('it is "so"')
    assert re.fullmatch(r'FATA\[\d{4}\] it is "so"\n', stream.getvalue())


def test_log_lines_without_one() -> None:
    stream = io.StringIO()
    Log(stream).warning('it is "so"')
    assert re.fullmatch(r'time="\S+Z" level=warning msg="it is \\"so\\""\n', stream.getvalue())


def test_log_lines_as_json_and_debug_lines_only_when_asked_for() -> None:
    stream = io.StringIO()
    log = Log(stream)
    log.debug("nothing")
    log.as_json = log.shows_debug = True
    log.debug("something")
    assert json.loads(stream.getvalue()) | {"time": ""} == {"level": "debug", "msg": "something", "time": ""}


def test_a_release_is_told_by_its_image() -> None:
    release = Release("mirantis/ucp:3.8.12-fail-agents")
    assert (release.repository, release.version, release.fails_at) == ("mirantis/ucp", "3.8.12", "agents")
    assert Release("docker/ucp:3.2.6").fails_at is None
    assert release.is_at_least(3, 3)
    assert release.is_at_least(3, 8, 12)
    assert not release.is_at_least(3, 8, 13)
    assert not Release("docker/ucp:3.2.6").is_at_least(3, 3)
    assert Release("mirantis/ucp:3.10.0").is_at_least(3, 9)
