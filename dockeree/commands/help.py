"""`dockeree help`."""

from __future__ import annotations

import click

from dockeree.commands.group import ClusterCommand

TOPICS = {
    "exit-codes": (
        "Exit codes",
        [
            ("0", "done, healthy, or nothing to change"),
            ("1", "failed, or could not tell"),
            ("2", "the command line, an answer to a prompt or the configuration is wrong"),
            ("3", "the answer is no: `status` found the cluster not healthy"),
            ("130", "interrupted with Ctrl-C; the same command again continues"),
        ],
    ),
    "environment": (
        "Environment variables",
        [
            ("AWS_PROFILE, AWS_REGION, …", "credentials and region, as for every AWS tool"),
            ("DOCKEREE_BACKUP_PASSPHRASE", "locks and opens backups of the root CAs, where there are no recipients"),
            ("DOCKEREE_BACKUP_IDENTITY", "file of a recipient's private key, which opens backups of the root CAs"),
            ("DOCKEREE_LAB", "which lab --lab and `dockeree lab` mean (default: default)"),
            ("DOCKEREE_UCP_PASSWORD", "the password of UCP's administrator; kept in the account by `up`"),
            ("DOCKEREE_SSH_PORT", "sshd's port on the nodes; wins over ssh.port of the configuration"),
            ("NO_COLOR", "no colours"),
            ("XDG_STATE_HOME", "where logs are kept: dockeree/NAME/ below it (default: ~/.local/state)"),
        ],
    ),
    "files": (
        "Files",
        [
            ("config.yaml", "the configuration; -c names another"),
            (".dockeree/NAME/", "beside the configuration: state, key and host keys. Losing it loses nothing"),
            ("~/.local/state/dockeree/NAME/", "the full log of every run"),
        ],
    ),
}


@click.command(
    cls=ClusterCommand,
    examples=[("dockeree help scale-workers", "a command"), ("dockeree help exit-codes", "a topic")],
)
@click.argument("subject", required=False)
@click.pass_context
def help(context: click.Context, subject: str | None) -> None:
    """Show help on SUBJECT: a command, or a topic (exit-codes, environment, files)."""
    root = context.find_root()
    group = root.command
    if not isinstance(group, click.Group):
        raise TypeError("help is a command of the group")
    if subject is None:
        click.echo(root.get_help())
    elif subject in TOPICS:
        formatter = root.make_formatter()
        title, lines = TOPICS[subject]
        with formatter.section(title):
            formatter.write_dl(lines)
        click.echo(formatter.getvalue().rstrip())
    elif command := group.get_command(root, subject):
        with click.Context(command, info_name=subject, parent=root) as command_context:
            click.echo(command.get_help(command_context))
    else:
        raise click.UsageError(f"no help on {subject!r}; topics: {', '.join(TOPICS)}", root)
