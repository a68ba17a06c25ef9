"""How docker's client prints rows: tables, `--format`, `--quiet`, and inspected objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dockeree.lab.nodes.simulated.docker.flags import UsageError
from dockeree.lab.nodes.simulated.docker.go_template import TemplateError, compact_json, render

Row = Mapping[str, Any]
MINIMUM_WIDTH = 10
PADDING = 3


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as Go's tabwriter lays them out for docker: the last one is not padded."""
    lines = [list(headers), *[list(row) for row in rows]]
    widths = [max(MINIMUM_WIDTH, *(len(line[i]) + PADDING for line in lines)) for i in range(len(headers) - 1)]
    text = ""
    for line in lines:
        text += "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[-1] + "\n"
    return text


def listing(rows: Sequence[Row], columns: Mapping[str, str], *, template: str, quiet: bool, key: str = "ID") -> str:
    """What a `… ls` prints. `columns` maps headers to fields; `key` is the field that `--quiet` prints."""
    if quiet and not template:
        return "".join(f"{row[key]}\n" for row in rows)
    if not template or template == "table":
        return table(list(columns), [[str(row[field]) for field in columns.values()] for row in rows])
    if template == "json":
        template = "{{json .}}"
    if template.startswith("table "):
        body = template.removeprefix("table ")
        headers = {field: header for header, field in columns.items()}
        lines = [formatted(body, headers), *[formatted(body, row) for row in rows]]
        cells = [line.split("\t") for line in lines]
        return table(cells[0], cells[1:])
    return "".join(formatted(template, row) + "\n" for row in rows)


def formatted(template: str, row: Any) -> str:
    """One row by a template; `{{json .}}` prints its keys sorted, as the client does for rows."""
    try:
        return render(template, dict(sorted(row.items())) if isinstance(row, Mapping) else row)
    except TemplateError as error:
        raise UsageError(f"template parsing error: template: :1: {error}", 64) from error


def inspected(things: Sequence[Any], template: str) -> str:
    """What an `… inspect` prints: an array, or each thing by the template."""
    if template == "json":
        return compact_json(list(things)) + "\n"
    if not template:
        return json.dumps(list(things), indent=4, ensure_ascii=False) + "\n"
    lines = ""
    for thing in things:
        try:
            lines += render(template, thing) + "\n"
        except TemplateError as error:
            raise UsageError(f"template parsing error: template: :1: {error}", 64) from error
    return lines
