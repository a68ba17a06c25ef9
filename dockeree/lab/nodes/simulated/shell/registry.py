"""The commands that a simulated node knows, and what each is handed."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dockeree.lab.nodes.simulated.answer import Answer, refused
from dockeree.lab.nodes.simulated.machine import Machine, Say

ReadStdin = Callable[[], bytes]


def no_stdin() -> bytes:
    """An empty standard input."""
    return b""


@dataclass
class Session:
    """A shell: whose it is, where it stands, its variables. `nested` shells and sudo get copies."""

    machine: Machine
    user: str
    folder: str = "/"
    variables: dict[str, str] = field(default_factory=dict)
    say: Say | None = None
    """Where a long program's lines go as they come (a unit's journal); None where nobody reads along."""

    @property
    def is_root(self) -> bool:
        """Whether it may do everything."""
        return self.user == "root"

    def path(self, name: str) -> str:
        """An absolute path."""
        home = "/root" if self.is_root else f"/home/{self.user}"
        if name == "~" or name.startswith("~/"):
            name = home + name[1:]
        return posixpath.normpath(posixpath.join(self.folder, name))


@dataclass(frozen=True)
class Call:
    """One command as it runs. `run_words` and `run_line` run others (for sudo, env, sh -c) in a session."""

    session: Session
    name: str
    words: Sequence[str]
    """What follows the name."""
    read_stdin: ReadStdin
    run_words: Callable[[Session, Sequence[str], ReadStdin], Answer]
    run_line: Callable[[Session, str, ReadStdin], Answer]

    @property
    def machine(self) -> Machine:
        """The node."""
        return self.session.machine

    def failed(self, text: str, exit_status: int = 1) -> Answer:
        """`NAME: text` on standard error."""
        return refused(f"{self.name}: {text}\n", exit_status)

    def unknown(self, what: str, exit_status: int = 1) -> Answer:
        """An option or argument that a real command may know and the model does not: noted, and an error."""
        self.machine.site.note_unknown(self.machine, " ".join((self.name, *self.words)))
        return self.failed(f"unrecognized option '{what}'", exit_status)


Handler = Callable[[Call], Answer]
COMMANDS: dict[str, Handler] = {}


def command(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler under its names."""

    def register(handler: Handler) -> Handler:
        for name in names:
            COMMANDS[name] = handler
        return handler

    return register
