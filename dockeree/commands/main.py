"""The entry point: `dockeree`, its commands, and the one place where errors become screens and exit codes.

0    done, healthy, nothing to change
1    failed, or could not tell
2    the command line, an answer to a prompt or the configuration is wrong
3    the answer is no: `status` found the cluster not healthy
130  interrupted
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

import click

from dockeree import __version__
from dockeree.commands.group import Entry, LazyGroup
from dockeree.commands.session import Session
from dockeree.context import Interrupted
from dockeree.errors import DockereeError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

COMMANDS = {
    "up": Entry("dockeree.commands.up", "Cluster", "Create the cluster, or finish and mend it."),
    "status": Entry("dockeree.commands.status", "Cluster", "Show the cluster as it is now; exit 3 unless healthy."),
    "scale-workers": Entry("dockeree.commands.scale_workers", "Cluster", "Change the number of workers."),
    "backup-ca": Entry("dockeree.commands.backup_ca", "Cluster", "Back up the root CAs to S3, encrypted."),
    "destroy": Entry("dockeree.commands.destroy", "Cluster", "Delete the cluster and prove that nothing is left."),
    "ssh": Entry("dockeree.commands.ssh", "Nodes", "Open a shell on a node, or run one command there."),
    "context": Entry("dockeree.commands.context", "UCP and DTR", "Make a docker context that goes through UCP."),
    "password": Entry("dockeree.commands.password", "UCP and DTR", "Print the password of UCP's administrator."),
    "lab": Entry("dockeree.commands.lab", "Around", "An AWS region on this machine, to try everything in."),
    "schema": Entry("dockeree.commands.schema", "Around", "Print the configuration's JSON Schema."),
    "help": Entry("dockeree.commands.help", "Around", "Help on a command or a topic, such as exit-codes."),
}
EXAMPLES = (
    ("dockeree --lab up", "a whole cluster on this machine"),
    ("dockeree up", "a cluster on AWS, as config.yaml says"),
    ("dockeree status", "what stands, and what is wrong with it"),
    ("dockeree ssh manager-a -- sudo docker node ls", "one command on a node"),
    ("dockeree destroy", "take everything away again"),
)


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    examples=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="dockeree turns an AWS account into a production Docker Enterprise cluster, and back into nothing.",
    epilog="dockeree COMMAND -h tells more of a command, `dockeree help exit-codes` what exit codes mean.",
)
@click.version_option(__version__, "-V", "--version", prog_name="dockeree", message="%(prog)s %(version)s")
def cli() -> None:
    """The command line; see `help` above."""


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run `dockeree ARGUMENTS` and return its exit code, every error shown."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    session = Session(arguments=tuple(arguments))
    try:
        result: Any = cli.main(list(arguments), prog_name="dockeree", standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except DockereeError as error:
        _end_report(session)
        _failures().show_error(session, error)
        return error.exit_code
    except (click.Abort, Interrupted, KeyboardInterrupt):
        _end_report(session)
        _failures().show_interrupted(session)
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: a defect is named on the screen, its traceback logged
        _end_report(session)
        _failures().show_unexpected(session, error)
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def _failures() -> Any:
    """The error screens, imported when there is an error: rich is not needed before."""
    from dockeree.commands import failures

    return failures


def _end_report(session: Session) -> None:
    if session.report is not None:
        session.report.close()


def _never_fail_to_encode(stream: TextIO) -> None:
    """A node's or AWS's words may hold what this stream's encoding lacks: `?` is better than an error."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


if __name__ == "__main__":
    main()
