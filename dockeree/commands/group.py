"""How the command line is built: commands that are imported when they run, and options that work everywhere.

`dockeree --help` imports no command: names, one-line helps and modules stand in `main.COMMANDS`. Options of every
command (`-c`, `--region`, …) may stand before or after its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from dockeree.commands.session import Session

PROGRESS = ("auto", "tty", "plain", "json", "quiet")


@dataclass(frozen=True)
class Entry:
    """A command before it is imported: where it is, in which section of the help, and its one-line help."""

    module: str
    section: str
    summary: str


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Put an option that was given into the session: given after the command, it wins over one before it."""
    source = context.get_parameter_source(parameter.name or "")
    if source in (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT):
        setattr(context.ensure_object(Session), parameter.name or "", value)
    return value


def common_options() -> list[click.Parameter]:
    """The options of every command, made anew for each."""
    options = [
        click.Option(
            ["-c", "--config", "config_path"],
            metavar="FILE",
            help="Configuration; - reads standard input.  [default: config.yaml]",
        ),
        click.Option(["--profile"], metavar="NAME", help="Profile of AWS's configuration.  [default: $AWS_PROFILE]"),
        click.Option(["--region"], metavar="REGION", help="AWS region; wins over the configuration's."),
        click.Option(["--no-input", "no_input"], is_flag=True, help="Never ask: fail and name the option instead."),
        click.Option(["--progress"], type=click.Choice(PROGRESS), help="How work is shown.  [default: auto]"),
        click.Option(["-v", "--verbose", "is_verbose"], is_flag=True, help="Show the log's lines on the screen too."),
        click.Option(["--lab", "in_lab"], is_flag=True, help="Work in the lab on this machine; starts it if needed."),
    ]
    for option in options:
        option.callback, option.expose_value = _keep, False
    return list(options)


class ClusterCommand(click.Command):
    """A command with the common options, whose help shows examples first."""

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(examples)
        self.own_params = tuple(self.params)
        self.params += common_options()

    def invoke(self, context: click.Context) -> Any:
        """Run the command, in the lab when that was asked for."""
        begin(context)
        return super().invoke(context)

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, examples, what it does, its options, the common ones."""
        self.format_usage(context, formatter)
        write_examples(formatter, self.examples)
        self.format_help_text(context, formatter)
        own = [record for p in self.own_params if (record := p.get_help_record(context))]
        common = [
            record
            for p in self.get_params(context)
            if p not in self.own_params and (record := p.get_help_record(context))
        ]
        for title, records in (("Options", own), ("Options of every command", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        self.format_epilog(context, formatter)


def begin(context: click.Context) -> None:
    """Tell the session which command runs, and enter the lab when that was asked for."""
    session = context.ensure_object(Session)
    session.command = context.info_name or ""
    parent = context.parent
    if parent is not None and isinstance(parent.command, ClusterGroup):
        session.command = f"{parent.info_name}-{session.command}"
    if session.in_lab:
        from dockeree.commands.lab_environment import enter_lab

        enter_lab(session)


class ClusterGroup(click.Group):
    """A command with further ones below it, all with the common options.

    Where it works by itself too, its function calls `begin` first; a command below it begins by itself.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(examples)
        self.own_params = tuple(self.params)
        self.params += common_options()

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, examples, what it does, the commands below it, the common options."""
        self.format_usage(context, formatter)
        write_examples(formatter, self.examples)
        self.format_help_text(context, formatter)
        self.format_commands(context, formatter)
        with formatter.section("Options of every command"):
            formatter.write_dl([record for p in self.get_params(context) if (record := p.get_help_record(context))])
        self.format_epilog(context, formatter)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def __init__(
        self, *args: Any, entries: dict[str, Entry], examples: Sequence[tuple[str, str]] = (), **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.entries = entries
        self.examples = tuple(examples)
        self.params += common_options()

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the help."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the command; it stands in its module under its own name, `_` for `-`."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module} holds no command {cmd_name}")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a slip, suggest among all that could be imported."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=self.entries, ctx=ctx) from None

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples first, then the commands by section; no command is imported for it."""
        formatter.write_text(self.help or "")
        write_examples(formatter, self.examples)
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            with formatter.section(section):
                formatter.write_dl([(n, e.summary) for n, e in self.entries.items() if e.section == section])
        self.format_options_only(context, formatter)
        self.format_epilog(context, formatter)

    def format_options_only(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, without click's list of commands."""
        click.Command.format_options(self, context, formatter)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Command lines and what each is for."""
    if examples:
        with formatter.section("Examples"):
            formatter.write_dl(list(examples), col_max=48)
