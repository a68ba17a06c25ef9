"""Writes what the configuration's schema says: docs/configuration.md and docs/config.schema.json.

`python -m dockeree.commands.reference` writes them, `--check` only says whether they are stale (exit 1).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from dockeree.config_file import config_schema

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
INTRODUCTION = """\
# Configuration

`dockeree` reads `config.yaml` in the current folder; `-c FILE` names another, `-c -` reads standard input. Only
`name` and `admin_cidrs` are required. [config.example.yaml](../config.example.yaml) shows every key with its default;
[config.schema.json](config.schema.json) is the JSON Schema (`dockeree schema` prints it), which editors use through
the line `# yaml-language-server: $schema=…`.

Every mistake is reported at once, with its line and what was probably meant; the exit code is then 2.

*This file is generated from `dockeree/config.py`: `python -m dockeree.commands.reference`.*
"""
WORDS = {"string": "text", "integer": "number", "boolean": "true or false", "object": "keys and values"}
RULES = """\
## Rules between keys

- `network.vpc_cidr` and `network.swarm_pool` overlap neither each other nor UCP's pods (192.168.0.0/16) and services
  (10.96.0.0/16), DTR's overlay network (10.1.0.0/24), the engines' bridges (172.17.0.0/16, 172.18.0.0/16), loopback,
  link-local and multicast addresses. Ranges have no bits set beyond their prefix.
- `workers.min` ≤ `workers.count` ≤ `workers.max`.
- `availability_zones` are three different zones of `region`.
- `apps.ports` are different, and none is SSH's or the swarm's (2377, 4789, 7946), which every worker has.
- `ucp.domain` and `dtr.domain` differ; `dns.hosted_zone_id` needs one of them.
- `dtr.enabled` counts only with `ucp.enabled`; a `certificate` needs the `domain` that it is for.
- `ucp.image` and `dtr.image` are versions that go together, and that this engine can run (dockeree/compatibility.yaml).
- `ssh.port` is none of UCP's and DTR's ports on managers.
- `engine.channel` is for the sources `mirantis` and `docker` alone.
- `tags` begin neither with `aws:` nor `dockeree:`, are not `Name`, and are 40 at most.
"""


def reference() -> str:
    """The text of docs/configuration.md."""
    schema = config_schema()
    sections = [(key, value) for key, value in schema["properties"].items() if "$ref" in value]
    plain = {key: value for key, value in schema["properties"].items() if "$ref" not in value}
    parts = [INTRODUCTION, "## The cluster\n", _table(plain, schema["required"], "")]
    for key, value in sections:
        definition = schema["$defs"][_definition_name(value)]
        rows = _with_nested(definition["properties"], schema["$defs"], "")
        parts += [f"## {key}\n", f"{definition['description']}\n", _table(rows, [], f"{key}.")]
    return "\n".join([*parts, RULES])


def schema_text() -> str:
    """The text of docs/config.schema.json."""
    return json.dumps(config_schema(), indent=2) + "\n"


def generated_files() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    return {DOCS / "configuration.md": reference(), DOCS / "config.schema.json": schema_text()}


def stale_files() -> list[Path]:
    """Generated files that do not hold what they should."""
    return [path for path, text in generated_files().items() if not path.exists() or path.read_text() != text]


def _table(properties: dict[str, Any], required: list[str], prefix: str) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in properties.items():
        default = "required" if key in required else _default(value)
        lines.append(f"| `{prefix}{key}` | {_type(value)} | {default} | {_cell(value.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _definition_name(value: dict[str, Any]) -> str:
    """The section that a key holds, also when it may be left out; empty where it holds a value."""
    options = [value, *value.get("anyOf", ())]
    return next((option["$ref"].rpartition("/")[2] for option in options if "$ref" in option), "")


def _with_nested(properties: dict[str, Any], definitions: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A section's keys, those of the sections in it as `section.key` after it."""
    rows: dict[str, Any] = {}
    for key, value in properties.items():
        name = _definition_name(value)
        if not name:
            rows[f"{prefix}{key}"] = value
            continue
        section = definitions[name]
        rows[f"{prefix}{key}"] = {"type": "object", "description": value.get("description", section["description"])}
        rows |= _with_nested(section["properties"], definitions, f"{prefix}{key}.")
    return rows


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    return "–" if default in (None, {}) else f"`{json.dumps(default)}`"


def _type(value: dict[str, Any]) -> str:
    if "anyOf" in value:
        kinds = [_type(option) for option in value["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    kind = value.get("type", "")
    if kind == "array":
        return f"list of {_type(value['items'])}" if "items" in value else "list"
    limits = (value.get("minimum"), value.get("maximum"))
    return f"number, {limits[0]} to {limits[1]}" if None not in limits else WORDS.get(kind, kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


@click.command()
@click.option("--check", "is_check", is_flag=True, help="Write nothing; exit 1 when a file is stale.")
def main(is_check: bool) -> None:
    """Write the configuration's reference and schema from `dockeree/config.py`."""
    stale = stale_files()
    for path in stale:
        if is_check:
            click.echo(f"{path} is stale: python -m dockeree.commands.reference", err=True)
        else:
            path.write_text(generated_files()[path])
            click.echo(f"wrote {path}", err=True)
    sys.exit(1 if is_check and stale else 0)


if __name__ == "__main__":
    main()
