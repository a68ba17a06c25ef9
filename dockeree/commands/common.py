"""What every command on a cluster begins and ends with: configuration, state, AWS, nodes, report."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dockeree.aws.session import Aws
from dockeree.commands.interruption import instant_interruption, safe_interruption
from dockeree.commands.session import DEFAULT_CONFIG, Session
from dockeree.config import Config
from dockeree.config_file import load_config
from dockeree.console import Screen, TerminalReport
from dockeree.context import Cluster
from dockeree.errors import UsageError
from dockeree.history import History
from dockeree.logfile import LogFile, log_folder
from dockeree.state import State
from dockeree.steps.access import recover_key_file
from dockeree.workflow_report import JsonReport, PlainReport, QuietReport, WorkflowReport

if TYPE_CHECKING:
    from dockeree.ssh.paramiko_remote import ParamikoConnector
    from dockeree.ssh.remote import CommandLog, Remote


def config_location(session: Session) -> Path | Literal["-"]:
    """Where the configuration is: -c, else config.yaml in this folder; outside of the lab, nothing else."""
    chosen = session.config_path or session.example_config or DEFAULT_CONFIG
    return "-" if chosen == "-" else Path(chosen)


def state_folder(session: Session) -> Path:
    """Where `.dockeree` is: beside the configuration."""
    location = config_location(session)
    return Path.cwd() if location == "-" else location.resolve().parent


@contextmanager
def looking(session: Session) -> Iterator[Cluster]:
    """A cluster to look at: no lock, no file written unless something fails; Ctrl-C leaves at once."""
    config = load_config(config_location(session))
    with opened(session, config, deferred_log=True) as cluster, instant_interruption(session):
        yield cluster


@contextmanager
def working(session: Session, config: Config | None = None) -> Iterator[Cluster]:
    """A cluster to work on: the local lock held, a log kept, the first Ctrl-C finishes the calls under way.

    Raises StateLocked when another command works on it, ConfigError, UsageError.
    """
    session.continues = True
    config = config or load_config(config_location(session))
    with opened(session, config) as cluster, cluster.state.lock(session.command_line), safe_interruption(session):
        yield cluster
        remember_duration(session, cluster.name)


@contextmanager
def opened(session: Session, config: Config, *, deferred_log: bool = False) -> Iterator[Cluster]:
    """The cluster of `config`, and everything closed at the end."""
    state = State.open(state_folder(session), config.name)
    check_region(session, config, state)
    with ExitStack() as stack:
        session.log_file = LogFile.create(config.name, session.command, deferred=deferred_log)
        session.log_file.write(f"{session.command_line} (process {os.getpid()})")
        session.report = report = new_report(session, session.log_file)
        report.typical_seconds = History(log_folder(config.name)).typical_seconds(session.command)
        stack.callback(report.close)
        aws = Aws(session.region or config.region or state.region or None, session.profile)
        aws.observers.append(lambda service, operation: report.log(f"aws {service} {operation}"))
        connect = connector(config, state, aws, report.log)
        stack.callback(connect.close)
        cluster = Cluster(config, state, aws, connect, report, interrupted=session.interrupted)
        connect.recover_key = lambda: recover_key_file(cluster)
        yield cluster


def remember_duration(session: Session, cluster_name: str) -> None:
    """Keep how long a run took that went through, so that the next one can say what is typical."""
    seconds = session.report.changing_seconds() if session.report else None
    if seconds is not None:
        History(log_folder(cluster_name)).add(session.command, seconds)


def check_region(session: Session, config: Config, state: State) -> None:
    """A cluster stands in one region: going to another by a slip would make a second one.

    Raises UsageError.
    """
    wanted = session.region or config.region
    if wanted and state.region and wanted != state.region:
        raise UsageError(
            f"{config.name} stands in {state.region} (says {state.path}), and {wanted} is asked for",
            f"Use --region {state.region}, or give the other cluster another name or folder.",
        )


def new_report(session: Session, log_file: LogFile) -> WorkflowReport:
    """The report that --progress asks for; by itself live on a terminal and plain lines elsewhere."""
    screen = Screen(sys.stderr)
    kind = session.progress
    if kind == "auto":
        kind = "tty" if screen.is_terminal else "plain"
    reports: dict[str, Any] = {
        "tty": lambda: TerminalReport(log_file, Screen(sys.stderr, is_terminal=True)),
        "plain": lambda: PlainReport(log_file, sys.stderr),
        "json": lambda: JsonReport(log_file, sys.stdout),
        "quiet": lambda: QuietReport(log_file, sys.stderr),
    }
    report: WorkflowReport = reports[kind]()
    report.is_verbose = session.is_verbose
    return report


class ClosableConnector:
    """Connections to the nodes, made when the first one is asked for: many commands need none."""

    def __init__(self, config: Config, state: State, aws: Aws, command_log: CommandLog) -> None:
        self._settings = (config, state, aws, command_log)
        self._mutex = threading.Lock()
        self._connector: ParamikoConnector | None = None
        self.recover_key: Callable[[], object] = lambda: None
        """Called before the first connection: the key may have to be fetched."""

    def __call__(self, *, name: str, host: str, host_key_id: str) -> Remote:
        """Connect to a node; see `ssh.remote.Connector`."""
        with self._mutex:
            if self._connector is None:
                self._connector = self._make()
            connect = self._connector
        return connect(name=name, host=host, host_key_id=host_key_id)

    def close(self) -> None:
        """End every connection."""
        if self._connector is not None:
            self._connector.close()

    def _make(self) -> ParamikoConnector:
        from dockeree.ssh.connect import connector as ssh_connector

        config, state, aws, command_log = self._settings
        self.recover_key()
        return ssh_connector(
            config.ssh,
            key_path(config, state),
            state.known_hosts_path,
            command_log,
            port=ssh_port(config),
            fingerprints=lambda instance_id: console_fingerprints(aws, instance_id),
        )


def connector(config: Config, state: State, aws: Aws, command_log: CommandLog) -> ClosableConnector:
    """A way to the nodes with this cluster's key and pinned host keys."""
    return ClosableConnector(config, state, aws, command_log)


def console_fingerprints(aws: Aws, instance_id: str) -> frozenset[str]:
    """The host key fingerprints that cloud-init wrote to an instance's console; empty where it has not yet."""
    from dockeree.aws.console_output import console_output
    from dockeree.ssh.known_hosts import fingerprints_in

    return fingerprints_in(console_output(aws, instance_id))


def key_path(config: Config, state: State) -> Path:
    """The private key: the operator's own where one is configured, else the cluster's."""
    return Path(config.ssh.key).expanduser() if config.ssh.key else state.ssh_key_path


def ssh_port(config: Config) -> int:
    """sshd's port on the nodes. Raises UsageError when DOCKEREE_SSH_PORT is no port."""
    given = os.environ.get("DOCKEREE_SSH_PORT")
    if not given:
        return config.ssh.port
    if not given.isdigit() or not 1 <= int(given) <= 65535:
        raise UsageError(f"DOCKEREE_SSH_PORT is {given!r}, which is no port")
    return int(given)


def check_standard_output(session: Session, output: str) -> None:
    """Whether standard output is for one document alone. Raises UsageError when progress would go there too."""
    if output == "json" and session.progress == "json":
        raise UsageError("-o json and --progress json would both write to standard output", "Leave one of them out.")


def check_confirmation(session: Session, name: str, confirmed: str | None) -> None:
    """Whether the cluster's name was given, or can be asked for.

    Raises UsageError when another was given, or nobody can be asked.
    """
    if confirmed is not None and confirmed != name:
        raise UsageError(f"--confirm {confirmed} is not {name}: nothing was touched")
    if confirmed is None and (session.no_input or not sys.stdin.isatty()):
        raise UsageError(
            f"{session.command} asks for the cluster's name, and nobody can be asked here", f"Add --confirm {name}"
        )


def ask_for_name(name: str) -> None:
    """Have the cluster's name typed.

    Raises UsageError when another is typed.
    """
    Screen(sys.stderr).ask(f"This cannot be undone. Type {name} to continue: ")
    typed = sys.stdin.readline().strip()
    if typed != name:
        raise UsageError(f"{typed!r} is not {name}: nothing was touched")
