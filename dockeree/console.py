"""The screen: rich is used here and nowhere else.

`Screen` writes lines and tables on one stream, in colours where it is a terminal that wants them, in ASCII where it can
write nothing else. `TerminalReport` is a workflow's live picture: finished groups scroll up, below them what runs and
what waits, never more lines than the screen has.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from dockeree.logfile import LogFile
from dockeree.progress import Frame, Line, StepRow, cells, printable, symbols_for
from dockeree.waiting import REAL_CLOCK, Clock
from dockeree.workflow_report import WorkflowReport

STYLES = {
    "done": "green",
    "failed": "bold red",
    "running": "cyan",
    "waiting": "dim",
    "skipped": "dim",
    "warning": "yellow",
    "header": "bold",
    "label": "dim",
    "plain": "",
}
FRAMES_PER_SECOND = 8
SHOW_CURSOR = b"\x1b[?25h"


class Screen:
    """One stream (standard error for people, standard output for data), written line by line."""

    def __init__(self, stream: TextIO, *, is_terminal: bool | None = None) -> None:
        """`is_terminal` None asks the stream."""
        self.stream = stream
        self.symbols = symbols_for(getattr(stream, "encoding", None))
        self.is_terminal = _is_terminal(stream) if is_terminal is None else is_terminal
        self.is_coloured = self.is_terminal and not os.environ.get("NO_COLOR")
        self.console = Console(
            file=stream,
            force_terminal=self.is_terminal,
            no_color=not self.is_coloured,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the terminal, in cells."""
        size = self.console.size
        return size.width, size.height

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Write one line of texts and (text, style) pairs. Long lines are left to the terminal, to be copied whole."""
        self.console.print(self.styled(*parts), soft_wrap=True)

    def ask(self, question: str) -> None:
        """Write a question; the answer is typed behind it."""
        self.console.print(self.styled((question, "header")), end="", soft_wrap=True)

    def styled(self, *parts: str | tuple[str, str]) -> Text:
        """Texts and (text, style) pairs as rich wants them."""
        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(words, STYLES.get(style, style) if self.is_coloured else "")
        return text

    def fields(self, fields: Sequence[tuple[str, str]], indent: str = "") -> None:
        """Write labels and values below each other; a value's further lines are indented below its first."""
        width = max((len(label) for label, _ in fields), default=0)
        for label, value in fields:
            for number, words in enumerate(value.splitlines() or [""]):
                shown = label if number == 0 else ""
                self.line(indent, (f"{shown:<{width}}", "label"), f"  {words}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], style: Callable[[str], str]) -> None:
        """Write a table without borders, a record a line. `style` gives a cell's style by its text."""
        printed = [[printable(cell) for cell in row] for row in rows]
        columns = list(zip(header, *printed, strict=True))
        widths = [max(cells(cell) for cell in column) for column in columns]
        for number, row in enumerate([list(header), *printed]):
            parts: list[tuple[str, str]] = []
            for cell, width in zip(row, widths, strict=True):
                padded = cell + " " * (width - cells(cell) + 2)
                parts.append((padded, "label" if number == 0 else style(cell)))
            parts[-1] = (parts[-1][0].rstrip(), parts[-1][1])
            self.line(*parts)

    def succeed(self, text: str) -> None:
        """A line that says what is well."""
        self.line((self.symbols.done, "done"), " ", (text, "header"))

    def fail(self, text: str) -> None:
        """A line that says what is not."""
        self.line((self.symbols.failed, "failed"), " ", (text, "header"))


class TerminalReport(WorkflowReport):
    """The live picture of a workflow on a terminal."""

    def __init__(self, log_file: LogFile, screen: Screen, clock: Clock = REAL_CLOCK) -> None:
        super().__init__(log_file, clock)
        self._screen = screen
        self._live: Live | None = None
        self._live_mutex = threading.Lock()
        self._left_behind: set[str] = set()

    def show_plan(self) -> None:
        """Begin the moving part."""
        self.close()
        with self.mutex:
            self._left_behind = set()
        with self._live_mutex:
            self._live = Live(
                get_renderable=self._picture,
                console=self._screen.console,
                refresh_per_second=FRAMES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()

    def show_ended(self, step: StepRow) -> None:
        """Let the group scroll up when this was its last step, and end the picture with the last group."""
        with self.mutex:
            frame = self._frame()
            now = self.clock.now()
            row = self.board.group(step.group, now)
            is_new = row.state not in ("running", "waiting") and step.group not in self._left_behind
            if is_new:
                self._left_behind.add(step.group)
            line = frame.finished(self.board, step.group, now)
            is_over = self.board.is_over
        # The mutex is free here: rich's own lock is taken by the drawing thread, which then asks for ours.
        if is_new:
            self._print(line)
        if is_over:
            self.close()

    def show_message(self, text: str, kind: str) -> None:
        """A line above the moving part."""
        if kind == "warning":
            self._screen.line((self._screen.symbols.warning, "warning"), f" {text}")
        elif kind == "log":
            self._screen.line((text, "label"))
        else:
            self._screen.line(text)

    def close(self) -> None:
        """Take the moving part away; what has scrolled up stays."""
        with self._live_mutex:
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _print(self, line: Line) -> None:
        self._screen.line((line.mark, line.style), f" {line.text}")

    def _frame(self) -> Frame:
        width, height = self._screen.size
        hint = "stopping; Ctrl-C again leaves at once" if self.is_interrupted else "Ctrl-C stops safely"
        return Frame(width, height, self._screen.symbols, hint, self.typical_seconds)

    def _picture(self) -> RenderableType:
        with self.mutex:
            lines = self._frame().lines(self.board, self.clock.now())
        styled = self._screen.styled
        texts = [
            styled((line.mark, line.style), f" {line.text}") if line.mark else styled((line.text, line.style))
            for line in lines
        ]
        for text in texts:
            text.no_wrap = True
        return Group(*texts)


def restore_terminal(stream: TextIO) -> None:
    """Show the cursor again, with nothing but a write: for the way out that waits for no lock."""
    if _is_terminal(stream):
        os.write(stream.fileno(), SHOW_CURSOR + b"\n")


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
