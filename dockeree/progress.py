"""How far a workflow is, and how that looks on a screen of a given size. Knows no terminal: text in, lines out.

Steps are told one by one; the screen shows a row a group. A group is finished when its last step is: its row then
scrolls up. Below stand the running groups, then the waiting ones with what they wait for.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Literal

State = Literal["waiting", "running", "done", "failed", "skipped"]

MOST_CAUSES = 3
"""Groups named after `waits for`."""


@dataclass(frozen=True)
class Symbols:
    """The marks before rows."""

    done: str = "✓"
    failed: str = "✗"
    waiting: str = "·"
    warning: str = "!"
    more: str = "…"
    spinner: str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


UNICODE = Symbols()
ASCII = Symbols(done="+", failed="x", waiting=".", more="...", spinner="-\\|/")


def symbols_for(encoding: str | None) -> Symbols:
    """The marks that a stream of this encoding can write."""
    try:
        "".join((UNICODE.done, UNICODE.failed, UNICODE.waiting, UNICODE.more, UNICODE.spinner)).encode(
            encoding or "ascii"
        )
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


@dataclass
class StepRow:
    """One step. Times are seconds of the report's clock."""

    key: str
    title: str
    after: tuple[str, ...]
    state: State = "waiting"
    began: float = 0.0
    ended: float = 0.0
    detail: str = ""
    detail_at: float = 0.0
    changed: bool = False
    problem: str = ""

    @property
    def group(self) -> str:
        """The screen's row: keys are `group/ClassName`."""
        return self.key.partition("/")[0]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("done", "failed", "skipped")


@dataclass(frozen=True)
class GroupRow:
    """A row of the screen."""

    name: str
    state: State
    text: str
    seconds: float


@dataclass
class Board:
    """Every step of a workflow and what became of it."""

    steps: dict[str, StepRow] = field(default_factory=dict)
    began: float = 0.0

    @classmethod
    def of(cls, steps: list[tuple[str, str, tuple[str, ...]]], now: float) -> Board:
        """A board of steps (key, title, keys of the steps it waits for), none begun."""
        return cls({key: StepRow(key, title, after) for key, title, after in steps}, now)

    @property
    def done_count(self) -> int:
        """Steps that are done."""
        return sum(step.state == "done" for step in self.steps.values())

    @property
    def is_over(self) -> bool:
        """Whether every step has ended."""
        return all(step.has_ended for step in self.steps.values())

    def group_names(self) -> list[str]:
        """The groups, in screen order."""
        return list(dict.fromkeys(step.group for step in self.steps.values()))

    def group(self, name: str, now: float) -> GroupRow:
        """The row of group `name` at this moment."""
        steps = [step for step in self.steps.values() if step.group == name]
        state = _group_state(steps)
        begun = [step.began for step in steps if step.state not in ("waiting", "skipped") or step.began]
        until = max((step.ended for step in steps), default=now) if state in ("done", "failed", "skipped") else now
        seconds = max(0.0, until - min(begun)) if begun else 0.0
        return GroupRow(name, state, self._group_text(name, steps, state), seconds)

    def failed_before(self, key: str) -> StepRow | None:
        """The failed step that keeps step `key` from starting, None when none does."""
        open_keys, seen = list(self.steps[key].after), {key}
        while open_keys:
            earlier = open_keys.pop(0)
            if earlier in seen or earlier not in self.steps:
                continue
            seen.add(earlier)
            if self.steps[earlier].state == "failed":
                return self.steps[earlier]
            open_keys += self.steps[earlier].after
        return None

    def _group_text(self, name: str, steps: list[StepRow], state: State) -> str:
        if state == "running":
            latest = max((step for step in steps if step.state == "running"), key=lambda step: step.detail_at)
            return latest.detail or latest.title
        if state == "waiting":
            return self._waits_for(name, steps)
        if state == "done":
            return "" if any(step.changed for step in steps) else "nothing to change"
        return next((step.problem for step in steps if step.state == state), "")

    def _waits_for(self, name: str, steps: list[StepRow]) -> str:
        open_keys = {key for step in steps if step.state == "waiting" for key in step.after if self._is_open(key)}
        causes = [group for group in self.group_names() if group != name and _holds(group, open_keys)]
        shown = ", ".join(causes[:MOST_CAUSES]) + (" and more" if len(causes) > MOST_CAUSES else "")
        return f"waits for {shown}" if causes else "about to start"

    def _is_open(self, key: str) -> bool:
        return key in self.steps and self.steps[key].state != "done"


def _group_state(steps: list[StepRow]) -> State:
    states = {step.state for step in steps}
    order: tuple[State, ...] = ("running", "waiting", "failed", "skipped", "done")
    return next(state for state in order if state in states)


def _holds(group: str, keys: set[str]) -> bool:
    return any(key.partition("/")[0] == group for key in keys)


def duration(seconds: float) -> str:
    """Seconds in words as short as a screen wants them: 4s, 1m58s, 2h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


@dataclass(frozen=True)
class Line:
    """A line of the screen: its mark, the style of the mark (done, failed, running, waiting, header), and its text."""

    style: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark} {self.text}" if self.mark else self.text


@dataclass(frozen=True)
class Frame:
    """The moving part of the screen: what is needed to draw it. `width` and `height` are the screen's, in cells."""

    width: int
    height: int
    symbols: Symbols
    hint: str = "Ctrl-C stops safely"
    typical_seconds: float | None = None

    def lines(self, board: Board, now: float) -> list[Line]:
        """A header, the running groups, the waiting ones; one line less than the screen, none wider than it."""
        rows = [board.group(name, now) for name in board.group_names()]
        ordered = [row for row in rows if row.state == "running"] + [row for row in rows if row.state == "waiting"]
        pad = max((cells(row.name) for row in rows), default=0)
        spinner = self.symbols.spinner[int(now * 8) % len(self.symbols.spinner)]
        shown = ordered[: self._room(len(ordered))]
        lines = [self._header(board, now)] + [self._row(row, pad, spinner) for row in shown]
        if len(shown) < len(ordered):
            lines.append(Line("waiting", self.symbols.more, f"{len(ordered) - len(shown)} more"))
        return lines

    def finished(self, board: Board, name: str, now: float) -> Line:
        """The line that a group leaves behind."""
        row = board.group(name, now)
        pad = max(cells(other) for other in board.group_names())
        if row.state == "done":
            text = f"{_padded(name, pad)}  {duration(row.seconds):>6}" + (f"  {row.text}" if row.text else "")
        else:
            text = f"{_padded(name, pad)}  {row.text}"
        mark = {"done": self.symbols.done, "failed": self.symbols.failed}.get(row.state, self.symbols.waiting)
        return Line(row.state, mark, shortened(text, self.width - 3, self.symbols.more))

    def _room(self, rows: int) -> int:
        """Rows that fit: a line for the header, one left free for the cursor, one for `more` where it is needed."""
        room = max(1, self.height - 2)
        return room if rows <= room else max(1, room - 1)

    def _header(self, board: Board, now: float) -> Line:
        left = f"{board.done_count}/{len(board.steps)}  {duration(now - board.began)}"
        if self.typical_seconds is not None:
            left += f", typical {duration(self.typical_seconds)}"
        gap = min(self.width - 1, 72) - cells(left) - cells(self.hint)
        text = f"{left}{' ' * gap}{self.hint}" if gap >= 2 else left
        return Line("header", "", shortened(text, self.width - 1, self.symbols.more))

    def _row(self, row: GroupRow, pad: int, spinner: str) -> Line:
        time = f"   {duration(row.seconds)}" if row.state == "running" else ""
        mark = spinner if row.state == "running" else self.symbols.waiting
        room = self.width - 1 - 2 - pad - 2 - cells(time)
        text = f"{_padded(row.name, pad)}  {shortened(row.text, room, self.symbols.more)}{time}"
        return Line(row.state, mark, shortened(text, self.width - 3, self.symbols.more))


def cells(text: str) -> int:
    """How many cells of a terminal `text` takes."""
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def printable(text: str) -> str:
    """One line without control characters: what a node answers must not steer the terminal."""
    words = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in words)


def shortened(text: str, width: int, more: str) -> str:
    """`text` on one line of `width` cells at most, its end replaced by `more` where it is longer."""
    text = printable(text) if not text.isprintable() else text
    if cells(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += _cell(character)
        if used > width - cells(more):
            break
        kept += character
    return (kept.rstrip() + more)[: max(0, width)]
