"""One run of the command line: the options given, and what must be known when it fails.

Imports nothing heavy: `--help` passes through here.
"""

from __future__ import annotations

import shlex
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockeree.logfile import LogFile
    from dockeree.workflow_report import WorkflowReport

DEFAULT_CONFIG = "config.yaml"


@dataclass
class Session:
    """The options of every command as given, and the run's report, log and interruption."""

    config_path: str | None = None
    """-c as given."""
    example_config: str | None = None
    """What stands in where neither -c nor config.yaml is there: in the lab, the example of the checkout."""
    profile: str | None = None
    region: str | None = None
    no_input: bool = False
    progress: str = "auto"
    is_verbose: bool = False
    in_lab: bool = False
    command: str = ""
    arguments: tuple[str, ...] = ()
    kept_note: str = ""
    """What a failure leaves behind, for the error screen: `nothing removed`."""
    continues: bool = False
    """Whether running the same command again goes on where this run ended."""
    report: WorkflowReport | None = None
    log_file: LogFile | None = None
    interrupted: threading.Event = field(default_factory=threading.Event)

    @property
    def command_line(self) -> str:
        """What was typed, to be typed again."""
        return shlex.join(("dockeree", *self.arguments))

    def next_command(self, words: str) -> str:
        """`dockeree WORDS` with the options that lead to the same cluster."""
        options = ["--lab"] if self.in_lab else []
        for option, value in (("-c", self.config_path), ("--profile", self.profile), ("--region", self.region)):
            options += [option, value] if value else []
        return " ".join(filter(None, ("dockeree", shlex.join(options), words)))
