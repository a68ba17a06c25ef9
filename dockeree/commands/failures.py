"""How a failure looks: what failed, why, what stands, what to do next, where the whole story is; never a traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dockeree.errors import ConfigError, DockereeError, PreflightError, StepsFailed, UsageError

if TYPE_CHECKING:
    from dockeree.commands.session import Session
    from dockeree.console import Screen

MOST_CAUSE_LINES = 5
MOST_CAUSE_LINES_EACH = 2
MOST_FAILURES = 3
"""With two lines of cause each, the screen stays within 15 lines."""


def show_error(session: Session, error: DockereeError) -> None:
    """The error screen on standard error, and everything there is to know in the log."""
    from dockeree.console import Screen

    screen = Screen(sys.stderr)
    if isinstance(error, ConfigError):
        _show_config_error(screen, error)
        return
    location = "" if isinstance(error, UsageError) else _log(session, error)
    failures: Sequence[BaseException] = [error]
    if isinstance(error, StepsFailed):
        failures = [_named(session, key, failure) for key, failure in error.failures]
    for failure in failures[:MOST_FAILURES]:
        _show_failure(screen, failure, MOST_CAUSE_LINES if len(failures) == 1 else MOST_CAUSE_LINES_EACH)
    if len(failures) > MOST_FAILURES:
        location += f"    (and {len(failures) - MOST_FAILURES} more failures)"
    screen.fields(_closing_fields(session, error, location), indent="  ")


def show_unexpected(session: Session, error: BaseException) -> None:
    """A defect of dockeree's own: said as such, with the traceback in the log alone."""
    from dockeree.console import Screen
    from dockeree.logfile import LogFile

    session.log_file = session.log_file or LogFile.create("dockeree", session.command or "run")
    location = _log(session, error)
    screen = Screen(sys.stderr)
    screen.fail(f"unexpected: {type(error).__name__}: {_words(error)[0]}")
    fields = [("cause", "a defect in dockeree: please report it, with the log")]
    screen.fields(fields + _closing_fields(session, None, location), indent="  ")


def show_interrupted(session: Session) -> None:
    """Where it stands and how to go on."""
    from dockeree.console import Screen

    screen = Screen(sys.stderr)
    standing = session.report.standing() if session.report else ""
    screen.line((screen.symbols.warning, "warning"), f" {session.command or 'dockeree'} was interrupted")
    fields = [("state", ", ".join(filter(None, (standing, session.kept_note))))] if standing else []
    if session.continues:
        fields.append(("fix", f"{session.command_line}    (continues)"))
    if session.log_file and session.log_file.path:
        fields.append(("log", str(session.log_file.path)))
    screen.fields(fields, indent="  ")


def _show_config_error(screen: Screen, error: ConfigError) -> None:
    for problem in error.problems:
        screen.line(problem)
    screen.fail(error.message)
    if error.hint:
        screen.fields([("fix", error.hint)], indent="  ")


def _named(session: Session, key: str, failure: BaseException) -> DockereeError:
    """A step's failure with the step's group before it, as on the screen."""
    group = key.partition("/")[0]
    step = session.report.board.steps.get(key) if session.report else None
    title = f"{group}: {step.title}" if step else group
    words = _words(failure)
    hint = failure.hint if isinstance(failure, DockereeError) else ""
    if not isinstance(failure, DockereeError):
        words = [f"unexpected: {type(failure).__name__}: {words[0]}", *words[1:]]
    named = PreflightError("\n".join((title, *words)), getattr(failure, "problems", ()), hint)
    return named


def _show_failure(screen: Screen, failure: BaseException, most_lines: int) -> None:
    first, *more = _words(failure)
    screen.fail(first)
    causes = [*more, *(f"- {problem}" for problem in getattr(failure, "problems", ()))]
    most = max(most_lines, len(getattr(failure, "problems", ())))
    if len(causes) > most:
        causes = [*causes[: most - 1], "(the rest is in the log)"]
    fields = [("cause", "\n".join(causes))] if causes else []
    if isinstance(failure, DockereeError) and failure.hint:
        fields.append(("fix", failure.hint))
    screen.fields(fields, indent="  ")


def _closing_fields(session: Session, error: DockereeError | None, location: str) -> list[tuple[str, str]]:
    fields = []
    standing = session.report.standing() if session.report else ""
    if standing:
        fields.append(("state", ", ".join(filter(None, (standing, session.kept_note)))))
    if session.continues and standing and (error is None or error.exit_code == 1):
        fields.append(("then", f"{session.command_line}    (continues)"))
    if location:
        fields.append(("log", location))
    return fields


def _log(session: Session, error: BaseException) -> str:
    """Write the error with its traceback to the log; returns the file and the line."""
    log_file = session.log_file
    if log_file is None:
        return ""
    line = log_file.line_count + 1
    for failure in [failure for _, failure in error.failures] if isinstance(error, StepsFailed) else []:
        log_file.write("".join(traceback.format_exception(failure)))
    log_file.write("".join(traceback.format_exception(error)))
    return f"{log_file.keep()}:{line}"


def _words(error: BaseException) -> list[str]:
    message = error.message if isinstance(error, DockereeError) else str(error)
    return message.strip().splitlines() or ["no message"]
