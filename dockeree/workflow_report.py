"""Reports of a running workflow that need no terminal: the base of all of them, plain lines, JSON lines, silence.

Whatever is shown, everything is in the log file.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any, TextIO

from dockeree import __version__
from dockeree.logfile import LogFile
from dockeree.progress import Board, StepRow, Symbols, duration, printable, symbols_for
from dockeree.redaction import redact
from dockeree.waiting import REAL_CLOCK, Clock

HEARTBEAT_SECONDS = 30.0
"""A pipe that is silent for longer than a minute looks dead, to people and to CI systems."""
DETAIL_INTERVAL_SECONDS = 5.0
"""What a step does at the moment may change faster than anybody reads."""


class WorkflowReport:
    """Keeps the board and the log. Subclasses show what they are told; their `show_*` run without the mutex held."""

    def __init__(self, log_file: LogFile, clock: Clock = REAL_CLOCK) -> None:
        self.log_file = log_file
        self.clock = clock
        self.board = Board()
        self.mutex = threading.RLock()
        self.is_interrupted = False
        self.is_verbose = False
        self.typical_seconds: float | None = None
        """What earlier runs took, where it is known."""

    def plan(self, steps: list[tuple[str, str, tuple[str, ...]]]) -> None:
        """Begin a workflow."""
        with self.mutex:
            self.board = Board.of(steps, self.clock.now())
        for key, title, after in steps:
            self.log(f"plan {key}: {title}" + (f" (after {', '.join(after)})" if after else ""))
        self.show_plan()

    def started(self, key: str) -> None:
        """Step `key` began."""
        with self.mutex:
            step = self.board.steps[key]
            step.state, step.began, step.detail_at = "running", self.clock.now(), self.clock.now()
        self.log(f"started {key}")
        self.show_started(step)

    def detail(self, key: str, text: str) -> None:
        """What step `key` does at this moment; outside of any step it goes to the log alone."""
        shown = printable(redact(text))
        with self.mutex:
            step = self.board.steps.get(key)
            if step is not None:
                if step.detail == shown:
                    return
                step.detail, step.detail_at = shown, self.clock.now()
        self.log(f"{key}: {text}" if key else text)
        if step is not None:
            self.show_detail(step)

    def finished(self, key: str, seconds: float, changed: bool) -> None:
        """Step `key` is done."""
        self._end(key, "done", changed=changed)
        self.log(f"finished {key} in {seconds:.1f} s, {'changed' if changed else 'unchanged'}")
        self.show_ended(self.board.steps[key])

    def failed(self, key: str, seconds: float, error: BaseException) -> None:
        """Step `key` failed."""
        step = self._end(key, "failed", problem=f"{self.board.steps[key].title}: {first_line(str(error))}")
        self.log(f"failed {key} after {seconds:.1f} s: {error!r}")
        self.show_ended(step)

    def skipped(self, key: str, because_of: str) -> None:
        """Step `key` was not started, or stopped half-way by the interruption."""
        with self.mutex:
            was_running = self.board.steps[key].state == "running"
            culprit = self.board.failed_before(key)
        reason = f"{culprit.group} failed" if culprit else "interrupted"
        step = self._end(key, "skipped", problem=f"{'stopped' if was_running else 'not started'}: {reason}")
        self.log(f"skipped {key} because of {because_of}")
        self.show_ended(step)

    def say(self, text: str) -> None:
        """A line for the person at the terminal."""
        self.log_file.write(text)
        self.show_message(redact(text), "")

    def warn(self, text: str) -> None:
        """Something to look at."""
        self.log_file.write(f"warning: {text}")
        self.show_message(redact(text), "warning")

    def log(self, text: str) -> None:
        """A line for the log; on the screen too where that is asked for."""
        self.log_file.write(text)
        if self.is_verbose:
            self.show_message(redact(text), "log")

    def interrupt(self) -> None:
        """Ctrl-C was pressed: what runs is finished, nothing more is started."""
        self.is_interrupted = True
        self.log_file.write("interrupted: finishing the calls under way")
        self.show_message("Stopping: finishing the calls under way. Ctrl-C again leaves at once.", "warning")

    def close(self) -> None:
        """End showing; closing twice is fine."""

    def changing_seconds(self) -> float | None:
        """How long the workflow took, when every step is done and any changed something; else None."""
        with self.mutex:
            steps = self.board.steps.values()
            if not any(step.changed for step in steps) or self.board.done_count < len(steps):
                return None
            return max(step.ended for step in steps) - self.board.began

    def standing(self) -> str:
        """How far the workflow came, in words; empty when none was begun."""
        with self.mutex:
            total = len(self.board.steps)
            return f"{self.board.done_count} of {total} steps done" if total else ""

    def write_line(self, stream: TextIO, text: str) -> None:
        """Write to a stream that may be a pipe. When its reader is gone the work goes on, told to the log alone."""
        try:
            stream.write(f"{text}\n")
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            self.log_file.write("the reader of the output is gone; going on")

    def _end(self, key: str, state: str, *, changed: bool = False, problem: str = "") -> StepRow:
        with self.mutex:
            step = self.board.steps[key]
            step.state, step.ended = state, self.clock.now()  # type: ignore[assignment]
            step.changed, step.problem = changed, printable(redact(problem))
            return step

    def show_plan(self) -> None: ...
    def show_started(self, step: StepRow) -> None: ...
    def show_detail(self, step: StepRow) -> None: ...
    def show_ended(self, step: StepRow) -> None: ...
    def show_message(self, text: str, kind: str) -> None: ...


class QuietReport(WorkflowReport):
    """Says warnings, and nothing else."""

    def __init__(self, log_file: LogFile, stream: TextIO, clock: Clock = REAL_CLOCK) -> None:
        super().__init__(log_file, clock)
        self._stream = stream

    def show_message(self, text: str, kind: str) -> None:
        """Warnings only."""
        if kind == "warning":
            self.write_line(self._stream, f"warning: {text}")


class PlainReport(WorkflowReport):
    """A line an event, for pipes and logs of other tools: no escapes, and a sign of life when nothing happens."""

    def __init__(self, log_file: LogFile, stream: TextIO, clock: Clock = REAL_CLOCK) -> None:
        super().__init__(log_file, clock)
        self._stream = stream
        self._symbols: Symbols = symbols_for(getattr(stream, "encoding", None))
        self._told_at: dict[str, float] = {}
        self._last_line_at = clock.now()
        self._closed = threading.Event()
        self._heartbeat: threading.Thread | None = None

    def show_plan(self) -> None:
        """Say how much there is to do, and start the heartbeat."""
        typical = f", typical {duration(self.typical_seconds)}" if self.typical_seconds is not None else ""
        count = len(self.board.steps)
        self._line(f"{count} {'step' if count == 1 else 'steps'}{typical}")
        if self._heartbeat is None:
            self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._heartbeat.start()

    def show_started(self, step: StepRow) -> None:
        """One line."""
        self._tell(step, self._symbols.waiting, step.title)

    def show_detail(self, step: StepRow) -> None:
        """One line, unless the step has just had one: the heartbeat shows what is left out."""
        if self.clock.now() - self._told_at.get(step.key, 0.0) >= DETAIL_INTERVAL_SECONDS:
            self._tell(step, self._symbols.waiting, f"{step.title}: {step.detail}")

    def show_ended(self, step: StepRow) -> None:
        """One line."""
        if step.state == "done":
            seconds = duration(step.ended - step.began)
            self._tell(step, self._symbols.done, f"{step.title}: {'done' if step.changed else 'unchanged'}, {seconds}")
        elif step.state == "failed":
            self._tell(step, self._symbols.failed, step.problem)
        else:
            self._tell(step, "-", f"{step.title}: {step.problem}")

    def show_message(self, text: str, kind: str) -> None:
        """The text as it is."""
        self._line(f"{kind}: {text}" if kind else text)

    def beat(self) -> None:
        """Say what is still running, when nothing was said for a while. Called by the heartbeat's thread."""
        with self.mutex:
            if self.clock.now() - self._last_line_at < HEARTBEAT_SECONDS:
                return
            running = [step for step in self.board.steps.values() if step.state == "running"]
            now = self.clock.now()
        for step in running:
            doing = f": {step.detail}" if step.detail else ""
            self._tell(step, self._symbols.waiting, f"{step.title}{doing} (since {duration(now - step.began)})")

    def close(self) -> None:
        """Stop the heartbeat."""
        self._closed.set()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS / 6):
            self.beat()

    def _tell(self, step: StepRow, mark: str, text: str) -> None:
        self._told_at[step.key] = self.clock.now()
        elapsed = duration(self.clock.now() - self.board.began)
        self._line(f"{elapsed:>6} {mark} {step.group}: {text}")

    def _line(self, text: str) -> None:
        with self.mutex:
            self._last_line_at = self.clock.now()
            self.write_line(self._stream, text)


class JsonReport(WorkflowReport):
    """An event a line, JSON: the first names the format's version; keys are only ever added."""

    def __init__(self, log_file: LogFile, stream: TextIO, clock: Clock = REAL_CLOCK) -> None:
        super().__init__(log_file, clock)
        self._stream = stream
        self._event("version", format_version=1, dockeree=__version__)

    def show_plan(self) -> None:
        """The steps, and what each waits for."""
        steps = [{"key": s.key, "title": s.title, "after": list(s.after)} for s in self.board.steps.values()]
        self._event("plan", steps=steps)

    def show_started(self, step: StepRow) -> None:
        """The step's key."""
        self._event("started", key=step.key)

    def show_detail(self, step: StepRow) -> None:
        """What it does."""
        self._event("detail", key=step.key, text=step.detail)

    def show_ended(self, step: StepRow) -> None:
        """How it ended."""
        seconds = round(step.ended - step.began, 3) if step.began else 0.0
        kind = "finished" if step.state == "done" else step.state
        self._event(kind, key=step.key, seconds=seconds, changed=step.changed, problem=step.problem or None)

    def show_message(self, text: str, kind: str) -> None:
        """A line for people."""
        self._event("message", severity=kind or "info", text=text)

    def _event(self, kind: str, **fields: Any) -> None:
        with self.mutex:
            self.write_line(self._stream, json.dumps({"type": kind} | fields))


def first_line(text: str) -> str:
    """The first line of a message that may have several."""
    return text.strip().splitlines()[0] if text.strip() else "no message"
