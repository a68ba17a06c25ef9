"""What can go wrong, as one family of exceptions.

    DockereeError
    ├── UsageError       the command line or an answer to a prompt is wrong        exit 2
    ├── ConfigError      the configuration file is wrong, all mistakes at once     exit 2
    ├── PreflightError   the account cannot hold this cluster                      exit 1
    ├── AwsError         AWS refused or did not answer                             exit 1
    ├── SshError         a node could not be reached, or is not who it was         exit 1
    ├── CommandFailed    a command on a node ended with another code than 0        exit 1
    ├── TimedOut         something awaited did not come                            exit 1
    ├── StateLocked      another command works on this cluster                     exit 1
    └── StepsFailed      one or more steps of a workflow failed                    exit 1

Each carries what failed (`message`), and what to do next (`hint`). `commands.main` is the only place that catches
them all, prints them and exits.
"""

from __future__ import annotations

from collections.abc import Sequence


class DockereeError(Exception):
    """Something failed in a way that the person at the terminal can act on.

    `message` is one sentence: what failed and why. `hint` is what to do next, a command where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DockereeError):
    """The command line, or an answer typed at a prompt, is wrong."""

    exit_code = 2


class ConfigError(DockereeError):
    """The configuration file is wrong. `problems` holds every mistake, rendered with file, line and suggestion."""

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint)
        self.problems = tuple(problems)


class PreflightError(DockereeError):
    """The account, region or machine cannot hold this cluster. `problems` holds every reason found."""

    def __init__(self, message: str, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint)
        self.problems = tuple(problems)


class AwsError(DockereeError):
    """AWS refused a call, or did not answer. `code` is AWS's own error code, `operation` the API's name."""

    def __init__(self, message: str, hint: str = "", *, code: str = "", operation: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
        self.operation = operation


class SshError(DockereeError):
    """A node could not be reached by SSH, refused the key, or shows another host key than before."""


class CommandFailed(DockereeError):
    """A command on a node ended with another code than 0. The whole output is in the log."""

    def __init__(self, node: str, command: str, exit_status: int, stderr: str, hint: str = "") -> None:
        last_lines = "\n".join(stderr.strip().splitlines()[-5:])
        super().__init__(f"{node}: `{command}` ended with {exit_status}: {last_lines or '(no output)'}", hint)
        self.node = node
        self.command = command
        self.exit_status = exit_status
        self.stderr = stderr


class TimedOut(DockereeError):
    """Something awaited did not come. `last_answer` is what was seen last."""

    def __init__(self, awaited: str, seconds: float, last_answer: str, hint: str = "") -> None:
        super().__init__(f"{awaited}: not within {seconds:.0f} s; the last answer was: {last_answer}", hint)
        self.awaited = awaited
        self.last_answer = last_answer


class StateLocked(DockereeError):
    """Another command works on this cluster: who, on which host, since when, with which command."""


class StepsFailed(DockereeError):
    """One or more steps failed; what depended on them was not started, everything else was finished."""

    def __init__(self, failures: Sequence[tuple[str, BaseException]], message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.failures = tuple(failures)
        self.done = 0
        self.total = 0
