"""`dockeree schema`."""

from __future__ import annotations

import json

import click

from dockeree.commands.group import ClusterCommand


@click.command(
    cls=ClusterCommand,
    examples=[("dockeree schema > config.schema.json", "for an editor, or check-jsonschema")],
)
def schema() -> None:
    """Print the configuration's JSON Schema."""
    from dockeree.config_file import config_schema

    click.echo(json.dumps(config_schema(), indent=2))
