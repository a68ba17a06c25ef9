"""Running UCP's and DTR's installers: containers that do their work and end, whose log says how it went.

A password goes to the shell's standard input and from there into the container's environment: it stands in no process's
arguments.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dockeree.node.engine import DOCKER
from dockeree.ssh.remote import Result

LAST_LINES = 3

_PLAIN = re.compile(r'time="[^"]*" level=(?P<level>\w+) msg=(?P<message>"(?:[^"\\]|\\.)*"|\S+)')
_TERMINAL = re.compile(r"(?P<level>DEBU|INFO|WARN|ERRO|FATA)\[\d+\] ?(?P<message>.*)")
_LEVELS = {"DEBU": "debug", "INFO": "info", "WARN": "warning", "ERRO": "error", "FATA": "fatal"}
_STEP = re.compile(r"Step \d+ of \d+: \[(?P<phase>[^\]]+)\]")


@dataclass(frozen=True)
class LogLine:
    """A line of an installer's log. `level` is debug, info, warning, error or fatal; empty for what is no log line."""

    level: str
    message: str


@dataclass(frozen=True)
class Failure:
    """How an installer failed: what it was at, its own reason, and the end of its log before that."""

    phase: str
    reason: str
    last_lines: tuple[str, ...]


def docker_run(image: str, arguments: Sequence[str], options: Sequence[str] = (), *, environment: str = "") -> str:
    """`docker container run --rm … IMAGE ARGUMENTS` as a command line.

    `environment` is the name of a variable whose value is the first line of standard input. sudo passes no variables
    on, so it is read inside: `read` takes that line and no byte more.
    """
    words = ["docker", "container", "run", "--rm", *options]
    if environment:
        words += ["-e", environment]
    words += [image, *arguments]
    if not environment:
        return f"sudo -n {shlex.join(words)}"
    script = f"IFS= read -r {environment} && export {environment} && exec {shlex.join(words)}"
    return f"sudo -n sh -c {shlex.quote(script)}"


def secret_line(value: str) -> bytes:
    """Standard input for `docker_run` with an environment variable. Raises ValueError for a value of several lines."""
    if "\n" in value or "\0" in value:
        raise ValueError("a password of several lines cannot be handed over")
    return value.encode() + b"\n"


def image_present_command(images: Sequence[str]) -> str:
    """Print those of `images` that the engine has, one a line; a name that it has not is an error in between."""
    return f"{DOCKER} image inspect --format '{{{{index .RepoTags 0}}}}' {shlex.join(images)}"


def pull_command(image: str) -> str:
    """Pull one image."""
    return f"{DOCKER} image pull --quiet {shlex.quote(image)}"


def image_list_command() -> str:
    """Print every image of the engine as `repository:tag`, one a line."""
    return f"{DOCKER} image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}'"


def parse_images(stdout: str) -> tuple[str, ...]:
    """Image names, one a line, without what is no image's name (an installer may log before them)."""
    return tuple(line for line in stdout.split() if re.fullmatch(r"[a-z0-9][\w./:-]*:[\w][\w.-]*", line))


def parse_log(output: str) -> list[LogLine]:
    """Read an installer's output, with or without a terminal's format."""
    return [_line(line.strip()) for line in output.splitlines() if line.strip()]


def judge(result: Result) -> Failure | None:
    """Whether an installer failed: its exit status is not 0, or it logged a fatal line."""
    lines = parse_log(f"{result.stdout}\n{result.stderr}")
    fatal = [line.message for line in lines if line.level == "fatal"]
    if result.exit_status == 0 and not fatal:
        return None
    errors = fatal or [line.message for line in lines if line.level == "error"]
    messages = [line.message for line in lines]
    reason = (
        errors[-1] if errors else (messages[-1] if messages else f"exit status {result.exit_status}, and no output")
    )
    last = tuple([message for message in messages if message != reason][-LAST_LINES:])
    return Failure(_phase(lines), reason, last)


def _phase(lines: Sequence[LogLine]) -> str:
    """What an installer was at when it failed: the last thing that it announced."""
    announced = [line.message for line in lines if line.level in ("info", "")]
    for message in reversed(announced):
        if step := _STEP.search(message):
            return step.group("phase")
        if message:
            return message
    return "its beginning"


def _line(text: str) -> LogLine:
    if found := _PLAIN.search(text):
        return LogLine(found.group("level"), _unquoted(found.group("message")))
    if found := _TERMINAL.match(text):
        return LogLine(_LEVELS[found.group("level")], found.group("message").strip())
    return LogLine("", text)


def _unquoted(message: str) -> str:
    """A message is quoted as Go does where it is more than a word; JSON's rules are the same for what occurs."""
    if not message.startswith('"'):
        return message
    try:
        return str(json.loads(message))
    except ValueError:
        return message[1:-1]
